import { buildFooter, buildHeader, type DiskType } from '../../lib/vhd';

/** An image as no writer of ours makes it: any order, any gaps, any place of the table. */
export interface Assembly {
  readonly sizeBytes: number;
  readonly diskType?: DiskType;
  readonly blockSizeBytes?: number;
  readonly headerOffsetBytes?: number;
  readonly tableOffsetBytes?: number;
  readonly tableEntries?: number;
  /** Physical order. */
  readonly blocks?: readonly AssembledBlock[];
  readonly gapBeforeFooterBytes?: number;
}

export interface AssembledBlock {
  readonly index: number;
  readonly data: Uint8Array;
  readonly bitmap?: Uint8Array;
  readonly gapBeforeBytes?: number;
}

export const uniqueId = '0d15ea5e-0000-4000-8000-000000000001';
export const parentUniqueId = '0d15ea5e-0000-4000-8000-000000000002';

/** Puts an image together byte for byte. Gaps are filled with bytes that would disturb if anybody read them. */
export function assemble(assembly: Assembly): Uint8Array {
  const { sizeBytes, diskType = 'dynamic', blockSizeBytes = 4096, blocks = [] } = assembly;
  const { headerOffsetBytes = 512, tableOffsetBytes = headerOffsetBytes + 1536 } = assembly;
  const tableEntries = assembly.tableEntries ?? Math.ceil(sizeBytes / blockSizeBytes);
  const footer = buildFooter({ diskType, sizeBytes, uniqueId, headerOffsetBytes });
  const parent =
    diskType === 'differencing'
      ? { uniqueId: parentUniqueId, name: 'parent.vhd', timeStampSeconds: 0, locator: null }
      : null;
  const header = buildHeader({ tableOffsetBytes, tableEntries, blockSizeBytes, parent });

  let endBytes = roundUp(tableOffsetBytes + 4 * tableEntries);
  const pieces: [number, Uint8Array][] = [
    [0, footer],
    [headerOffsetBytes, header],
  ];
  const table = Buffer.alloc(4 * tableEntries, 0xff);
  for (const block of blocks) {
    const offsetBytes = endBytes + (block.gapBeforeBytes ?? 0);
    const bitmapBytes = roundUp(blockSizeBytes / 512 / 8);
    table.writeUInt32BE(offsetBytes / 512, 4 * block.index);
    pieces.push([offsetBytes, block.bitmap ?? new Uint8Array(bitmapBytes).fill(0xff)]);
    pieces.push([offsetBytes + bitmapBytes, block.data]);
    endBytes = offsetBytes + bitmapBytes + blockSizeBytes;
  }
  const footerAt = endBytes + (assembly.gapBeforeFooterBytes ?? 0);
  pieces.push([tableOffsetBytes, table], [footerAt, footer]);
  const image = new Uint8Array(footerAt + 512).fill(0xa5);
  for (const [offsetBytes, bytes] of pieces) {
    image.set(bytes, offsetBytes);
  }
  return image;
}

/** A copy with some bytes changed. */
export function changed(image: Uint8Array, offsetBytes: number, ...bytes: number[]): Uint8Array {
  const copy = Uint8Array.from(image);
  copy.set(bytes, offsetBytes);
  return copy;
}

/** A copy with a 32-bit number of a footer or header changed and its checksum made good again. */
export function resealed(
  image: Uint8Array,
  structure: { readonly at: number; readonly lengthBytes: number; readonly checksumAt: number },
  fieldAt: number,
  value: number,
): Uint8Array {
  const copy = Buffer.from(image);
  copy.writeUInt32BE(value, structure.at + fieldAt);
  copy.writeUInt32BE(0, structure.at + structure.checksumAt);
  const sum = copy
    .subarray(structure.at, structure.at + structure.lengthBytes)
    .reduce((total, byte) => total + byte, 0);
  copy.writeUInt32BE(~sum >>> 0, structure.at + structure.checksumAt);
  return Uint8Array.from(copy);
}

export const firstFooter = { at: 0, lengthBytes: 512, checksumAt: 64 } as const;
export const header = { at: 512, lengthBytes: 1024, checksumAt: 36 } as const;

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 512) * 512;
}
