/** Digests of a whole disk as it is read back: by pieces of any length, with zeros wherever no piece came. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { DigestChain, digestOfGrain } from './digest';
import type { Extent } from './extent';
import { grainBytes, isZero } from './grains';

const zeros = Buffer.alloc(grainBytes);

/**
 * Both digests that a content can have: that of a first copy onto a disk which was not known to read as zeros counts its
 * grains of zeros, any other does not. Nothing is digested twice for it, and no piece is copied.
 */
export class DiskDigest {
  readonly #sizeBytes: number;
  readonly #sparse = new DigestChain();
  readonly #whole: DigestChain | null;
  readonly #digestOfZeros = digestOfGrain(zeros);
  /** Everything below was taken. */
  #reachedBytes = 0;
  /** Of the grain that was begun; null while all of it was zeros. */
  #hash: Hash | null = null;

  /** @param countZeros also the digest that counts grains of zeros: it takes a link for each of them */
  constructor(sizeBytes: number, countZeros: boolean) {
    this.#sizeBytes = sizeBytes;
    this.#whole = countZeros ? new DigestChain() : null;
  }

  /** Everything below was taken, gaps included. */
  get reachedBytes(): number {
    return this.#reachedBytes;
  }

  /**
   * @param extent none of its bytes below `reachedBytes`
   * @throws RangeError where it is, or lies behind the end of the disk: no digest would tell
   */
  add({ offsetBytes, data }: Extent): void {
    if (offsetBytes < this.#reachedBytes)
      throw new RangeError(`data at ${String(offsetBytes)} came when it was behind already`);
    this.zerosUntil(offsetBytes);
    let rest = data;
    while (rest.length > 0) {
      const piece = rest.subarray(0, this.#leftOfGrain());
      if (piece.length === 0)
        throw new RangeError(`data at ${String(offsetBytes)} lies behind the end of the disk`);
      this.#take(piece, isZero(piece));
      rest = rest.subarray(piece.length);
    }
  }

  /** Nothing is written up to there. Takes time in proportion only where zeros count. */
  zerosUntil(endBytes: number): void {
    const untilBytes = Math.min(endBytes, this.#sizeBytes);
    while (this.#reachedBytes < untilBytes) {
      const isBetweenGrains = this.#reachedBytes % grainBytes === 0;
      const wholeGrainsBytes = untilBytes - (untilBytes % grainBytes) - this.#reachedBytes;
      if (this.#whole === null && isBetweenGrains && wholeGrainsBytes > 0) {
        this.#reachedBytes += wholeGrainsBytes;
        continue;
      }
      const lengthBytes = Math.min(this.#leftOfGrain(), untilBytes - this.#reachedBytes);
      this.#take(zeros.subarray(0, lengthBytes), true);
    }
  }

  /** Of the whole disk: to be asked once everything up to its end was taken. `whole` is null unless zeros count. */
  values(): { readonly sparse: string; readonly whole: string | null } {
    if (this.#reachedBytes < this.#sizeBytes)
      throw new RangeError(`only ${String(this.#reachedBytes)} bytes of the disk were taken`);
    return { sparse: this.#sparse.value(), whole: this.#whole?.value() ?? null };
  }

  #leftOfGrain(): number {
    const toBorder = grainBytes - (this.#reachedBytes % grainBytes);
    return Math.min(toBorder, this.#sizeBytes - this.#reachedBytes);
  }

  #take(piece: Uint8Array, isZeros: boolean): void {
    const startBytes = this.#reachedBytes % grainBytes;
    const isLast = piece.length === this.#leftOfGrain();
    if (startBytes === 0 && isLast && !isZeros) {
      this.#append(this.#reachedBytes, digestOfGrain(piece));
    } else {
      if (this.#hash === null && !isZeros)
        this.#hash = createHash('sha256').update(zeros.subarray(0, startBytes));
      this.#hash?.update(piece);
      if (isLast) this.#endGrain(this.#reachedBytes - startBytes, startBytes + piece.length);
    }
    this.#reachedBytes += piece.length;
  }

  #endGrain(offsetBytes: number, lengthBytes: number): void {
    const digest = this.#hash?.digest() ?? null;
    this.#hash = null;
    if (digest !== null) this.#append(offsetBytes, digest);
    else this.#whole?.append(offsetBytes, this.#ofZeros(lengthBytes));
  }

  #append(offsetBytes: number, digest: Buffer): void {
    this.#sparse.append(offsetBytes, digest);
    this.#whole?.append(offsetBytes, digest);
  }

  #ofZeros(lengthBytes: number): Buffer {
    return lengthBytes === grainBytes ? this.#digestOfZeros : digestOfGrain(zeros.subarray(0, lengthBytes));
  }
}
