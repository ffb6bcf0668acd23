import { VhdError } from './errors';
import { fieldsOf } from './fields';
import { sectorBytes } from './geometry';

/** What a table entry says of a block that is not in the file. */
export const absentBlock = 0xffff_ffff;

/** A disk of 2040 GiB in blocks of 2 MiB needs 1 044 480 entries: 4 MiB of table. */
export const tableEntriesMaxDefault = 2 ** 20;

/** Above this an entry and its block index no longer fit together in one exact number (see `sortedKeys`). */
export const tableEntriesMaxLimit = 2 ** 21;

/** What the table is judged by: all of it comes from a footer and a header whose checksums were right. */
export interface TableFrame {
  readonly tableOffsetBytes: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
}

/** The blocks of a file in the order in which they stand there, which need not be that of the disk. */
export class PhysicalBlocks {
  readonly count: number;
  readonly #keys: Float64Array;

  /**
   * Reads the block allocation table. It has no checksum, so everything it says is checked: a block beyond the
   * disk's end, before the table, or over another one is refused.
   *
   * @throws VhdError `bad-table`, with the position of the entry
   */
  constructor(table: Uint8Array, frame: TableFrame) {
    this.#keys = sortedKeys(table, frame);
    this.count = this.#keys.length;
    this.#refuseOverlaps(frame, frame.tableOffsetBytes + table.length);
  }

  /** Block index on the disk of the nth block in the file. */
  indexOf(nth: number): number {
    return this.#keyOf(nth) % tableEntriesMaxLimit;
  }

  /** Where the nth block in the file starts: its bitmap, which its data follow. */
  offsetBytesOf(nth: number): number {
    return Math.floor(this.#keyOf(nth) / tableEntriesMaxLimit) * sectorBytes;
  }

  #keyOf(nth: number): number {
    const key = this.#keys[nth];
    if (key === undefined) {
      throw new RangeError(`There is no block number ${nth} among ${this.count}`);
    }
    return key;
  }

  #refuseOverlaps(frame: TableFrame, tableEndBytes: number): void {
    const strideBytes = bitmapBytesOf(frame.blockSizeBytes) + frame.blockSizeBytes;
    let endBytes = tableEndBytes;
    for (let nth = 0; nth < this.count; nth += 1) {
      const offsetBytes = this.offsetBytesOf(nth);
      if (offsetBytes < endBytes) {
        const over = nth === 0 ? 'the table or what precedes it' : `block ${this.indexOf(nth - 1)}`;
        throw badEntry(frame, this.indexOf(nth), `starts at byte ${offsetBytes}, over ${over}`);
      }
      endBytes = offsetBytes + strideBytes;
    }
  }
}

/** Bitmaps take whole sectors in the file, however few bits they have. */
export function bitmapBytesOf(blockSizeBytes: number): number {
  return Math.ceil(blockSizeBytes / sectorBytes / 8 / sectorBytes) * sectorBytes;
}

/** How many blocks a disk has, the last of which may be cut short by the disk's end. */
export function blockCountOf(sizeBytes: number, blockSizeBytes: number): number {
  return Math.ceil(sizeBytes / blockSizeBytes);
}

/**
 * One number for each block that is there: the sector where it starts, times 2^21, plus its index. It stays below
 * 2^53, so sorting plain numbers puts a million blocks in file order without an object for each.
 */
function sortedKeys(table: Uint8Array, frame: TableFrame): Float64Array {
  const fields = fieldsOf(table);
  const entries = table.length / 4;
  const keys = new Float64Array(countPresent(fields, entries));
  const blockCount = blockCountOf(frame.sizeBytes, frame.blockSizeBytes);
  let used = 0;
  for (let index = 0; index < entries; index += 1) {
    const sector = fields.getUint32(4 * index);
    if (sector !== absentBlock) {
      if (index >= blockCount) {
        throw badEntry(
          frame,
          index,
          `lies past the disk's end: a disk of ${frame.sizeBytes} bytes has ${blockCount} blocks`,
        );
      }
      keys[used] = sector * tableEntriesMaxLimit + index;
      used += 1;
    }
  }
  return keys.sort();
}

function countPresent(fields: DataView, entries: number): number {
  let present = 0;
  for (let index = 0; index < entries; index += 1) {
    present += fields.getUint32(4 * index) === absentBlock ? 0 : 1;
  }
  return present;
}

function badEntry(frame: TableFrame, index: number, fault: string): VhdError {
  const offsetBytes = frame.tableOffsetBytes + 4 * index;
  return new VhdError('bad-table', offsetBytes, `Cannot read the VHD block table: block ${index} ${fault}`);
}
