import { systemClock } from '../../lib/engine';
import type { Clock } from '../../lib/engine';

/** Waiting for one's turn costs no time of ours; what takes longer than a second is somebody else's wait. */
export class SkippingClock implements Clock {
  skippedMs = 0;
  readonly #startedMs = systemClock.nowMs();

  /** With what truly passed: whoever is slow for reasons of its own waits for less, but never gets by with less time. */
  get passedMs(): number {
    return this.nowMs() - this.#startedMs;
  }

  nowMs(): number {
    return systemClock.nowMs() + this.skippedMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (ms > 1000) return systemClock.sleep(ms, signal);
    signal.throwIfAborted();
    this.skippedMs += ms;
    return Promise.resolve();
  }
}
