/** What a run is given from outside: time, randomness, identity and the wish to stop. */
import type { Emit } from './events';

export interface Clock {
  /** For durations and waits only; decisions use the target pool's clock. */
  nowMs(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as that is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface RunContext {
  readonly runId: string;
  /** Who runs, for the lock: door, host name and process id. */
  readonly who: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: Emit;
}

/** The clock of the machine we run on. */
export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const abort = (): void => {
        clearTimeout(timer);
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', abort);
        resolve();
      }, ms);
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    }),
};
