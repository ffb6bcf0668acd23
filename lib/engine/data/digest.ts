/** A digest of what was written: recorded in the commit, compared by verification and before a resume. */
import { hash } from 'node:crypto';
import type { Extent } from './extent';
import { grainsOf, isZero } from './grains';

const prefix = 'sha256:';
const digestBytes = 32;

/** sha256 of one grain, or of anything else, as bytes. */
export function digestOfGrain(grain: Uint8Array): Buffer {
  return hash('sha256', grain, 'buffer');
}

/**
 * A chain of sha256 over every grain of 64 KiB in ascending order: each link is the digest of the link before, the
 * grain's offset (u64 little-endian) and the grain's own digest; the first stands on 32 zero bytes. So the same
 * content gives the same digest however the bytes arrived, and one that was written down can be gone on with by
 * another process without reading again what it stands for.
 */
export class DigestChain {
  /** The link so far, the offset of the next grain, its digest. */
  readonly #link = Buffer.alloc(digestBytes + 8 + digestBytes);

  /**
   * @param goingOn a digest of the content before; what follows is joined to it
   * @throws RangeError where that is no digest
   */
  constructor(goingOn: string | null = null) {
    if (goingOn === null) return;
    if (!/^sha256:[0-9a-f]{64}$/.test(goingOn))
      throw new RangeError(`"${goingOn}" is no digest of a content`);
    this.#link.write(goingOn.slice(prefix.length), 'hex');
  }

  append(offsetBytes: number, digest: Uint8Array): void {
    // As two halves: a bigint for each grain costs more than both.
    this.#link.writeUInt32LE(offsetBytes % 2 ** 32, digestBytes);
    this.#link.writeUInt32LE(Math.floor(offsetBytes / 2 ** 32), digestBytes + 4);
    this.#link.set(digest, digestBytes + 8);
    this.#link.set(digestOfGrain(this.#link));
  }

  /** The digest of everything that came so far; more may follow. */
  value(): string {
    return prefix + this.#link.toString('hex', 0, digestBytes);
  }
}

/** The chain of what is copied, piece by piece. */
export class ContentDigest {
  readonly #chain: DigestChain;
  readonly #skipZeros: boolean;

  /**
   * @param skipZeros grains of zeros do not count: for a disk that holds zeros wherever nothing is written
   * @param goingOn a digest of the content before; what follows is joined to it
   * @throws RangeError where that is no digest
   */
  constructor(skipZeros: boolean, goingOn: string | null = null) {
    this.#skipZeros = skipZeros;
    this.#chain = new DigestChain(goingOn);
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
      const digest = digestOfGrain(grain);
      digests.push(digest);
      this.#chain.append(extent.offsetBytes + start, digest);
    }
    return digests;
  }

  /** The digest of everything that came so far; more may follow. */
  value(): string {
    return this.#chain.value();
  }
}
