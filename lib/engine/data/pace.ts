/** Keeps all disks of a run together below a limit that may change with the time of day. */
import type { Clock } from '../context';
import type { DiskReader, Extent } from './extent';

/** A limit is looked at again at least this often while bytes wait for their turn. */
const lookAgainMs = 1_000;

export class Pace {
  readonly #limitAt: (nowMs: number) => number | null;
  readonly #clock: Clock;
  readonly #onPassed: (bytes: number, nowMs: number) => void;
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

/** The same disk, read no faster than the run may. */
export function paced(reader: DiskReader, pace: Pace, signal: AbortSignal): DiskReader {
  return new PacedReader(reader, pace, signal);
}

class PacedReader implements DiskReader {
  readonly #reader: DiskReader;
  readonly #pace: Pace;
  readonly #signal: AbortSignal;

  constructor(reader: DiskReader, pace: Pace, signal: AbortSignal) {
    this.#reader = reader;
    this.#pace = pace;
    this.#signal = signal;
  }

  get sizeBytes(): number {
    return this.#reader.sizeBytes;
  }

  get changedBytes(): number {
    return this.#reader.changedBytes;
  }

  get bytesRead(): number {
    return this.#reader.bytesRead;
  }

  async *extents(): AsyncIterable<Extent> {
    for await (const extent of this.#reader.extents()) {
      await this.#pace.take(extent.data.length, this.#signal);
      yield extent;
    }
  }

  finish(): Promise<void> {
    return this.#reader.finish();
  }

  abort(): Promise<void> {
    return this.#reader.abort();
  }
}
