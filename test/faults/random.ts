import { createHash } from 'node:crypto';

/** Randomness that is the same for the same words: every point has its own, whichever others are played. */
export class Random {
  readonly #words: string;
  #drawn = 0;

  constructor(...words: readonly (string | number)[]) {
    this.#words = words.join('/');
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    this.#drawn += 1;
    const hash = createHash('sha256')
      .update(`${this.#words}/${String(this.#drawn)}`)
      .digest();
    return Math.floor((hash.readUInt32LE(0) / 2 ** 32) * end);
  }

  /** `count` of the items, in their own order. */
  choose<T>(items: readonly T[], count: number): readonly T[] {
    const indices = items.map((_, index) => index);
    for (let last = indices.length - 1; last > 0; last -= 1) {
      const other = this.below(last + 1);
      [indices[last], indices[other]] = [indices[other] ?? 0, indices[last] ?? 0];
    }
    const chosen = new Set(indices.slice(0, count));
    return items.filter((_, index) => chosen.has(index));
  }
}
