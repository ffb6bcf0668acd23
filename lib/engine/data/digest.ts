/** A digest of what was written: recorded in the commit, compared by verification and before a resume. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { Extent } from './extent';
import { grainsOf, isZero } from './grains';

/**
 * sha256 over every grain of 64 KiB in ascending order, each preceded by its offset (u64 little-endian): the
 * same content gives the same digest however the bytes arrived.
 */
export class ContentDigest {
  readonly #hash: Hash = createHash('sha256');
  readonly #offset = Buffer.alloc(8);
  readonly #skipZeros: boolean;

  /** @param skipZeros grains of zeros do not count: for a disk that holds zeros wherever nothing is written */
  constructor(skipZeros: boolean) {
    this.#skipZeros = skipZeros;
  }

  update(extent: Extent): void {
    for (const { start, end } of grainsOf(extent)) {
      const grain = extent.data.subarray(start, end);
      if (this.#skipZeros && isZero(grain)) continue;
      this.#offset.writeBigUInt64LE(BigInt(extent.offsetBytes + start));
      this.#hash.update(this.#offset).update(grain);
    }
  }

  /** The digest of what came so far; more may follow. */
  soFar(): string {
    return `sha256:${this.#hash.copy().digest('hex')}`;
  }

  /** The digest of everything; nothing may follow. */
  value(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}
