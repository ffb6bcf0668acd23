/** A digest of what was written: recorded in the commit, compared by verification and before a resume. */
import { createHash } from 'node:crypto';
import type { Extent } from './extent';
import { grainsOf, isZero } from './grains';

const prefix = 'sha256:';
const digestBytes = 32;

/**
 * A chain of sha256 over every grain of 64 KiB in ascending order: each link is the digest of the link before, the
 * grain's offset (u64 little-endian) and the grain's own digest; the first stands on 32 zero bytes. So the same
 * content gives the same digest however the bytes arrived, and one that was written down can be gone on with by
 * another process without reading again what it stands for.
 */
export class ContentDigest {
  /** The link so far, the offset of the next grain, its digest. */
  readonly #link = Buffer.alloc(digestBytes + 8 + digestBytes);
  readonly #skipZeros: boolean;

  /**
   * @param skipZeros grains of zeros do not count: for a disk that holds zeros wherever nothing is written
   * @param goingOn a digest of the content before; what follows is joined to it
   * @throws RangeError where that is no digest
   */
  constructor(skipZeros: boolean, goingOn: string | null = null) {
    this.#skipZeros = skipZeros;
    if (goingOn === null) return;
    if (!/^sha256:[0-9a-f]{64}$/.test(goingOn))
      throw new RangeError(`"${goingOn}" is no digest of a content`);
    this.#link.write(goingOn.slice(prefix.length), 'hex');
  }

  /** Returns the digests of the piece's grains in order; null for those of zeros that do not count. */
  update(extent: Extent): readonly (Buffer | null)[] {
    const digests: (Buffer | null)[] = [];
    for (const { start, end } of grainsOf(extent)) {
      const grain = extent.data.subarray(start, end);
      if (this.#skipZeros && isZero(grain)) {
        digests.push(null);
        continue;
      }
      this.#link.writeBigUInt64LE(BigInt(extent.offsetBytes + start), digestBytes);
      const digest = createHash('sha256').update(grain).digest();
      digests.push(digest);
      digest.copy(this.#link, digestBytes + 8);
      createHash('sha256').update(this.#link).digest().copy(this.#link);
    }
    return digests;
  }

  /** The digest of everything that came so far; more may follow. */
  value(): string {
    return prefix + this.#link.toString('hex', 0, digestBytes);
  }
}
