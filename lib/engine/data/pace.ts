/** Keeps all disks of a run together below a limit that may change with the time of day. */
import type { Clock } from '../context';

/** A limit is looked at again at least this often while bytes wait for their turn. */
const lookAgainMs = 1_000;

export class Pace {
  readonly #limitAt: (nowMs: number) => number | null;
  readonly #clock: Clock;
  /** Bytes wait in the order in which they came. */
  #line: Promise<unknown> = Promise.resolve();

  /** @param limitAt bytes a second at an instant of the clock; null: no limit */
  constructor(limitAt: (nowMs: number) => number | null, clock: Clock) {
    this.#limitAt = limitAt;
    this.#clock = clock;
  }

  /** Resolves when so many bytes have had their time. Rejects with the signal's reason. */
  take(bytes: number, signal: AbortSignal): Promise<void> {
    const turn = this.#line.then(() => this.#spend(bytes, signal));
    this.#line = turn.catch(() => undefined);
    return turn;
  }

  async #spend(bytes: number, signal: AbortSignal): Promise<void> {
    for (let left = bytes; left > 0;) {
      const limit = this.#limitAt(this.#clock.nowMs());
      if (limit === null) return;
      const waitMs = Math.min(lookAgainMs, limit > 0 ? (left * 1000) / limit : lookAgainMs);
      const startedMs = this.#clock.nowMs();
      await this.#clock.sleep(waitMs, signal);
      // A timer may be late: what passed counts, or the line would stay below its limit.
      left -= ((this.#clock.nowMs() - startedMs) * limit) / 1000;
    }
  }
}
