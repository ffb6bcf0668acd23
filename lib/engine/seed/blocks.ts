/** A disk as blocks of 2 MiB: the unit in which seeds are compared, described and repaired. */
import { createHash } from 'node:crypto';
import type { Extent } from '../data/extent';
import { isZero as isZeroGrain, grainBytes } from '../data/grains';

/** The block size of every VHD that XenServer makes, and the granularity of its exports. */
export const seedBlockBytes = 2 * 1024 * 1024;

export interface Block {
  readonly index: number;
  /** The whole block, shorter only at the end of a disk whose size is no multiple of it. */
  readonly data: Buffer;
}

/**
 * Whole blocks from ascending pieces; what no piece names within a block is zero. Holds one block at a time, in memory that
 * the next one is put into: a block is only there until that is asked for.
 */
export async function* blocksOf(extents: AsyncIterable<Extent>, sizeBytes: number): AsyncGenerator<Block> {
  const memory = Buffer.allocUnsafeSlow(seedBlockBytes);
  let index = -1;
  let data = memory.subarray(0, 0);
  let filledBytes = 0;
  for await (const extent of extents) {
    let { offsetBytes, data: rest } = extent;
    while (rest.length > 0) {
      const at = Math.floor(offsetBytes / seedBlockBytes);
      if (at !== index) {
        data.fill(0, filledBytes);
        if (index >= 0) yield { index, data };
        index = at;
        data = memory.subarray(0, Math.max(0, blockLength(at, sizeBytes)));
        filledBytes = 0;
      }
      const start = offsetBytes - at * seedBlockBytes;
      const taken = Math.min(rest.length, data.length - start);
      if (taken <= 0) throw new RangeError(`data at ${String(offsetBytes)} lies behind the end of the disk`);
      if (start > filledBytes) data.fill(0, filledBytes, start);
      data.set(rest.subarray(0, taken), start);
      filledBytes = Math.max(filledBytes, start + taken);
      rest = rest.subarray(taken);
      offsetBytes += taken;
    }
  }
  data.fill(0, filledBytes);
  if (index >= 0) yield { index, data };
}

export function blockCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / seedBlockBytes);
}

export function blockLength(index: number, sizeBytes: number): number {
  return Math.min(seedBlockBytes, sizeBytes - index * seedBlockBytes);
}

/** Hex sha256 of a block. */
export function digestOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

export function isZeroBlock(data: Uint8Array): boolean {
  for (let start = 0; start < data.length; start += grainBytes) {
    if (!isZeroGrain(data.subarray(start, start + grainBytes))) return false;
  }
  return true;
}

/** A set of block numbers: a bit each, so that a disk of 2 TiB takes 128 KiB. */
export class BlockSet {
  readonly #bits: Uint8Array;
  #size = 0;

  constructor(blocks: number) {
    this.#bits = new Uint8Array(Math.ceil(blocks / 8));
  }

  get size(): number {
    return this.#size;
  }

  add(index: number): void {
    if (this.has(index)) return;
    this.#bits[index >> 3] = (this.#bits[index >> 3] ?? 0) | (1 << (index & 7));
    this.#size += 1;
  }

  has(index: number): boolean {
    return ((this.#bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** Ascending. */
  *indices(): Iterable<number> {
    for (let index = 0; index < this.#bits.length * 8; index += 1) if (this.has(index)) yield index;
  }
}
