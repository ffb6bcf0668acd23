/** A clock that the test holds in its hands: nothing sleeps, time moves when the test says so. */
import type { Clock } from '../../lib/engine';

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

export class DrivenClock implements Clock {
  #nowMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new Error('aborted'));
        return;
      }
      const end = (then: () => void) => (): void => {
        this.#sleepers.delete(sleeper);
        signal.removeEventListener('abort', abort);
        then();
      };
      const abort = end(() => reject(new Error('aborted')));
      const sleeper = { atMs: this.#nowMs + ms, wake: end(resolve) };
      signal.addEventListener('abort', abort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Moves on to each time that somebody waits for, one after the other, and lets everybody do what they do then. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const next = [...this.#sleepers].reduce<Sleeper | null>(
        (first, one) => (one.atMs <= untilMs && (first === null || one.atMs < first.atMs) ? one : first),
        null,
      );
      if (next === null) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

/** Lets every promise that can go on do so. Driven worlds wait for nothing but promises and this clock. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 3; turns += 1) await new Promise((resolve) => setImmediate(resolve));
}
