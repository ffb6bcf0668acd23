/**
 * The pool's clock: real time plus an offset that tests move forward. Everything that waits for a time (the delay
 * after a wrong password, `event.from`, expiry of sessions and tasks) waits by this clock, so that moving it ends
 * those waits at once.
 */
export class Clock {
  #offsetMs = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #onAdvance = new Set<() => void>();

  /** Milliseconds since 1970. */
  now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Moves time forward by `ms` and wakes everybody whose time has come. */
  advance(ms: number): void {
    if (!Number.isFinite(ms) || ms < 0) throw new Error(`the clock moves forward only, not by ${ms} ms`);
    this.#offsetMs += ms;
    for (const sleeper of [...this.#sleepers]) if (sleeper.wakesAt <= this.now()) sleeper.wake();
    for (const listener of [...this.#onAdvance]) listener();
  }

  /** Called after every jump; periodic work looks then whether something is due. */
  onAdvance(listener: () => void): void {
    this.#onAdvance.add(listener);
  }

  /** Waits `ms` by this clock. An abort ends the wait early and rejects with the signal's reason. */
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve) => {
      const sleeper: Sleeper = { wakesAt: this.now() + ms, wake: () => wake() };
      const timer = setTimeout(() => wake(), Math.min(Math.max(ms, 0), longestTimerMs));
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', wake);
    });
    signal?.throwIfAborted();
  }
}

interface Sleeper {
  readonly wakesAt: number;
  wake(): void;
}

/** Longer timers overflow 32 bits in Node and would fire at once. */
const longestTimerMs = 2_000_000_000;

/** `YYYYMMDDTHH:MM:SSZ`, the only form in which this API writes a time. */
export function formatDate(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replaceAll('-', '')
    .replace(/\.\d+Z$/, 'Z');
}

/** Milliseconds since 1970 of a date in the API's form. */
export function parseDate(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T/, '$1-$2-$3T'));
}

/** The value of a date that never happened. */
export const never = '19700101T00:00:00Z';
