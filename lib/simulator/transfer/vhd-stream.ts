import {
  BITMAP_BYTES,
  BLOCK_BYTES,
  FOOTER_BYTES,
  HEADER_BYTES,
  NO_BLOCK,
  SECTOR_BYTES,
  STORED_BLOCK_BYTES,
  TABLE_OFFSET,
  tableBytes,
} from '../storage/layout';
import { encodeFooter, encodeHeader } from '../storage/vhd-metadata';
import { pump, type ByteSink } from './body-writer';
import type { Progress } from './copier';
import type { DiskSource } from './disk-source';

/**
 * A disk as the server streams it: footer, header, a sector of zeros where the parent locator would be, table, included blocks
 * ascending with full bitmaps, footer again. `uniqueId` is new for each export. Sectors that a child did not write come from its
 * parents, so a block always holds its whole content.
 */
export async function writeVhd(
  source: DiskSource,
  uniqueId: Buffer,
  sink: ByteSink,
  progress: Progress,
): Promise<void> {
  const { parent, sizeBytes, blocks } = source;
  const entries = sizeBytes / BLOCK_BYTES;
  const footer = encodeFooter({
    sizeBytes,
    kind: parent === null ? 'dynamic' : 'differencing',
    uniqueId,
    timeStamp: 0,
    creator: 'caml',
    creatorVersion: 1,
    dataOffset: FOOTER_BYTES,
    hidden: false,
    inflated: false,
  });
  const header = encodeHeader({
    tableOffset: TABLE_OFFSET,
    maxEntries: entries,
    blockBytes: BLOCK_BYTES,
    parentId: parent?.uniqueId ?? Buffer.alloc(16),
    parentTimeStamp: parent?.timeStamp ?? 0,
    parentName: parent?.path ?? '',
    // The locator says where the parent's URL stands, but the sector there is sent as zeros.
    locator:
      parent === null
        ? null
        : {
            space: 1,
            lengthBytes: Buffer.byteLength(`file://${parent.path}`),
            offset: FOOTER_BYTES + HEADER_BYTES,
          },
  });
  const empty = Buffer.alloc(TABLE_OFFSET - FOOTER_BYTES - HEADER_BYTES);
  await sink.write(Buffer.concat([footer, header, empty, tableOf(blocks, entries)]));
  const buffers = [Buffer.alloc(STORED_BLOCK_BYTES, 0xff), Buffer.alloc(STORED_BLOCK_BYTES, 0xff)] as const;
  const fill = async (piece: number, buffer: Buffer): Promise<Buffer> => {
    await source.readBlock(blocks[piece] ?? 0, buffer.subarray(BITMAP_BYTES));
    progress(piece / blocks.length);
    return buffer;
  };
  await pump(blocks.length, buffers, fill, sink);
  await sink.write(footer);
}

function tableOf(blocks: readonly number[], entries: number): Buffer {
  const table = Buffer.alloc(tableBytes(entries), 0xff);
  const first = TABLE_OFFSET + table.length;
  for (let entry = 0; entry < entries; entry++) table.writeUInt32BE(NO_BLOCK, entry * 4);
  blocks.forEach((block, place) => {
    table.writeUInt32BE((first + place * STORED_BLOCK_BYTES) / SECTOR_BYTES, block * 4);
  });
  return table;
}

/** The whole disk from its first byte; with a base, blocks that are not in the difference come as zeros. */
export async function writeRaw(source: DiskSource, sink: ByteSink, progress: Progress): Promise<void> {
  const pieces = Math.ceil(source.sizeBytes / BLOCK_BYTES);
  const buffers = [Buffer.alloc(BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES)] as const;
  const fill = async (piece: number, buffer: Buffer): Promise<Buffer> => {
    await source.readPart(piece * BLOCK_BYTES, buffer);
    progress(piece / pieces);
    return buffer.subarray(0, Math.min(BLOCK_BYTES, source.sizeBytes - piece * BLOCK_BYTES));
  };
  await pump(pieces, buffers, fill, sink);
}
