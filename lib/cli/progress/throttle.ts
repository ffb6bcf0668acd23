/** Lets something through only now and then, for each of several things on its own. */
export class Throttle {
  readonly #pauseMs: (sinceFirstMs: number) => number;
  readonly #seen = new Map<string, { readonly firstMs: number; lastMs: number }>();

  /** @param pauseMs the pause wanted at this age of the thing */
  constructor(pauseMs: (sinceFirstMs: number) => number) {
    this.#pauseMs = pauseMs;
  }

  /** True where the pause is over, which starts it anew. The first time only starts it. */
  isDue(key: string, atMs: number): boolean {
    const seen = this.#seen.get(key);
    if (seen === undefined) {
      this.#seen.set(key, { firstMs: atMs, lastMs: atMs });
      return false;
    }
    if (atMs - seen.lastMs < this.#pauseMs(atMs - seen.firstMs)) return false;
    seen.lastMs = atMs;
    return true;
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}
