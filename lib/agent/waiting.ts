/** Waits of the agent, by a clock that tests drive. */
import type { Clock } from '../engine';

/** Sleeps that somebody else can end. */
export class Wake {
  #ring = new AbortController();

  /** Ends the present sleep, or the next one if nobody sleeps. */
  ring(): void {
    this.#ring.abort();
  }

  /** Until that time is over, somebody rings, or the signal is aborted; never rejects. */
  async sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const end = (): void => this.#ring.abort();
    signal.addEventListener('abort', end, { once: true });
    try {
      if (!signal.aborted && ms > 0) await clock.sleep(ms, this.#ring.signal);
    } catch {
      // Rung: that is what sleeping here is for.
    } finally {
      signal.removeEventListener('abort', end);
      this.#ring = new AbortController();
    }
  }
}

interface Waiter {
  readonly pools: readonly string[];
  readonly urgencyMs: number;
  readonly enter: () => void;
}

/** Runs at once, in all and per pool; who is more urgent goes first, and nobody waits for a pool that is not his. */
export class Slots {
  readonly #total: number;
  readonly #perPool: number;
  readonly #taken = new Map<string, number>();
  #running = 0;
  #waiting: Waiter[] = [];

  constructor({ total, perPool }: { readonly total: number; readonly perPool: number }) {
    this.#total = total;
    this.#perPool = perPool;
  }

  /**
   * @param urgencyMs when it should have started
   * @returns what lets the next one in
   */
  async take(pools: readonly string[], urgencyMs: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        pools,
        urgencyMs,
        enter: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
        reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
      this.#admit();
    });
    return this.#leaveOnce(pools);
  }

  #leaveOnce(pools: readonly string[]): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#running -= 1;
      for (const pool of pools) this.#count(pool, -1);
      this.#admit();
    };
  }

  #admit(): void {
    for (const waiter of [...this.#waiting].sort((a, b) => a.urgencyMs - b.urgencyMs)) {
      if (this.#running >= this.#total) return;
      if (waiter.pools.some((pool) => (this.#taken.get(pool) ?? 0) >= this.#perPool)) continue;
      this.#waiting = this.#waiting.filter((one) => one !== waiter);
      this.#running += 1;
      for (const pool of waiter.pools) this.#count(pool, 1);
      waiter.enter();
    }
  }

  #count(pool: string, change: number): void {
    const count = (this.#taken.get(pool) ?? 0) + change;
    if (count === 0) this.#taken.delete(pool);
    else this.#taken.set(pool, count);
  }
}
