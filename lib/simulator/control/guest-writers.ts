import { createHash } from 'node:crypto';
import type { Pool } from '../pool/pool';
import type { GuestWriter } from './api';

const sectorBytes = 512;
/** Writes are made in ticks, as many as are due by the clock. */
const tickMs = 20;

interface Running {
  readonly stop: AbortController;
  readonly done: Promise<number>;
}

/** Guests that write to their disks while somebody replicates them. */
export class GuestWriters {
  readonly #pool: Pool;
  readonly #write: (vdi: string, offset: number, data: Uint8Array) => Promise<void>;
  readonly #running = new Map<string, Running>();
  #next = 1;

  constructor(pool: Pool, write: (vdi: string, offset: number, data: Uint8Array) => Promise<void>) {
    this.#pool = pool;
    this.#write = write;
  }

  start(writer: GuestWriter, sizeBytes: number): string {
    const id = `writer-${this.#next++}`;
    const stop = new AbortController();
    const done = this.#run(writer, sizeBytes, stop.signal);
    done.catch(() => undefined);
    this.#running.set(id, { stop, done });
    return id;
  }

  /** @throws Error when there is no such writer, or when a write of it failed. */
  async stop(id: string): Promise<number> {
    const running = this.#running.get(id);
    if (running === undefined) throw new Error(`there is no guest writer "${id}"`);
    this.#running.delete(id);
    running.stop.abort();
    return running.done;
  }

  async stopAll(): Promise<void> {
    for (const id of [...this.#running.keys()]) await this.stop(id).catch(() => 0);
  }

  async #run(writer: GuestWriter, sizeBytes: number, signal: AbortSignal): Promise<number> {
    const started = this.#pool.clock.now();
    const bytes = writer.writeBytes ?? 4096;
    const span = Math.min(writer.spanBytes ?? sizeBytes, sizeBytes) - bytes;
    let count = 0;
    while (!signal.aborted) {
      const due = ((this.#pool.clock.now() - started) / 1000) * writer.writesPerSecond;
      for (; count < due; count++) {
        if (isAborted(signal)) return count;
        const seed = createHash('sha256')
          .update(`${writer.seed ?? 1}/${count}`)
          .digest();
        const sector = Math.floor((seed.readUInt32LE(0) / 2 ** 32) * (span / sectorBytes));
        await this.#write(writer.vdi, sector * sectorBytes, repeat(seed, bytes));
      }
      await this.#pool.clock.sleep(tickMs, signal).catch(() => undefined);
    }
    return count;
  }
}

function repeat(seed: Buffer, bytes: number): Buffer {
  return Buffer.alloc(bytes, seed);
}

/** A function, since the compiler takes a property that was false a moment ago for false still. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
