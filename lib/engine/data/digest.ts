/** A digest of what was written: recorded in the commit, compared by verification. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { Extent } from './extent';
import { grainsOf } from './grains';

/**
 * sha256 over every grain of 64 KiB in ascending order, each preceded by its offset (u64 little-endian): the
 * same content gives the same digest however the bytes arrived.
 */
export class ContentDigest {
  readonly #hash: Hash = createHash('sha256');
  readonly #offset = Buffer.alloc(8);

  async *through(extents: AsyncIterable<Extent>): AsyncIterable<Extent> {
    for await (const extent of extents) {
      for (const { start, end } of grainsOf(extent)) {
        this.#offset.writeBigUInt64LE(BigInt(extent.offsetBytes + start));
        this.#hash.update(this.#offset).update(extent.data.subarray(start, end));
      }
      yield extent;
    }
  }

  value(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}
