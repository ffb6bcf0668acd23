/** How fast a transfer is now, and when it will be done. */

/** Long enough to be steady over the pauses between segments, short enough to show a line that got slow. */
const windowMs = 10_000;
/** At least this far apart: a disk reports progress up to a thousand times a second. */
const sampleEveryMs = 200;

export interface Reading {
  /** Bytes per second over the last seconds; null until there are two points in time. */
  readonly bytesPerSecond: number | null;
  /** Until `bytesExpected`; null where the rate is not known or nothing moves. */
  readonly remainingMs: number | null;
}

export class Meter {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** Takes the state of a transfer and answers how it goes. Time may not run backwards. */
  read(atMs: number, bytes: number, bytesExpected: number): Reading {
    const last = this.#samples.at(-1);
    if (last === undefined || atMs - last.atMs >= sampleEveryMs) this.#samples.push({ atMs, bytes });
    while ((this.#samples[1]?.atMs ?? Infinity) <= atMs - windowMs) this.#samples.shift();
    const first = this.#samples[0];
    if (first === undefined || atMs <= first.atMs) return { bytesPerSecond: null, remainingMs: null };
    const bytesPerSecond = (1000 * (bytes - first.bytes)) / (atMs - first.atMs);
    const missing = Math.max(0, bytesExpected - bytes);
    return { bytesPerSecond, remainingMs: bytesPerSecond > 0 ? (1000 * missing) / bytesPerSecond : null };
  }
}
