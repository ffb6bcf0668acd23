/** Keeps all disks of a run together below a limit that may change with the time of day. */
import type { Clock } from '../context';
import type { DiskReader } from './extent';
import { through } from './forwarding-reader';

/** A limit is looked at again at least this often while bytes wait for their turn. */
const lookAgainMs = 1_000;
/** How much of a pause may be made up for. */
const keptMs = 250;

export class Pace {
  readonly #limitAt: (nowMs: number) => number | null;
  readonly #clock: Clock;
  readonly #onPassed: (bytes: number, nowMs: number) => void;
  /** Bytes that might have been moved besides, and until when that was counted. */
  #spare = 0;
  #leftOffMs: number | null = null;
  /** Bytes wait in the order in which they came. */
  #line: Promise<unknown> = Promise.resolve();

  /**
   * @param limitAt bytes a second at an instant of the clock; null: no limit
   * @param onPassed told of bytes that have had their time
   */
  constructor(
    limitAt: (nowMs: number) => number | null,
    clock: Clock,
    onPassed: (bytes: number, nowMs: number) => void = () => undefined,
  ) {
    this.#limitAt = limitAt;
    this.#clock = clock;
    this.#onPassed = onPassed;
  }

  /** Resolves when so many bytes have had their time. Rejects with the signal's reason. */
  take(bytes: number, signal: AbortSignal): Promise<void> {
    const turn = this.#line.then(async () => {
      await this.#spend(bytes, signal);
      this.#onPassed(bytes, this.#clock.nowMs());
    });
    this.#line = turn.catch(() => undefined);
    return turn;
  }

  async #spend(bytes: number, signal: AbortSignal): Promise<void> {
    const beganMs = this.#clock.nowMs();
    let balance = this.#earned(beganMs, this.#limitAt(beganMs)) - bytes;
    // Less than a byte is what numbers lose on the way.
    while (balance <= -1) {
      const limit = this.#limitAt(this.#clock.nowMs());
      if (limit === null) break;
      const waitMs = Math.min(lookAgainMs, limit > 0 ? (-balance * 1000) / limit : lookAgainMs);
      const startedMs = this.#clock.nowMs();
      await this.#clock.sleep(waitMs, signal);
      // A timer may be late: what passed counts, or the line would stay below its limit.
      balance += ((this.#clock.nowMs() - startedMs) * limit) / 1000;
    }
    this.#spare = Math.max(0, balance);
    this.#leftOffMs = this.#clock.nowMs();
  }

  /**
   * What may be moved for the time that has passed: the bytes before were worked on meanwhile, and small pieces would lose
   * most of it to timers. Of a longer pause little is kept, or a burst would follow it.
   */
  #earned(nowMs: number, limit: number | null): number {
    if (limit === null || this.#leftOffMs === null) return 0;
    const passedMs = Math.max(0, nowMs - this.#leftOffMs);
    return Math.min(this.#spare + (passedMs * limit) / 1000, (keptMs * limit) / 1000);
  }
}

/** The same disk, read no faster than the run may. */
export function paced(reader: DiskReader, pace: Pace, signal: AbortSignal): DiskReader {
  return through(reader, async function* (extents) {
    for await (const extent of extents) {
      await pace.take(extent.data.length, signal);
      yield extent;
    }
  });
}
