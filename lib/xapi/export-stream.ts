import type { CallOptions } from './call';
import { TransportError } from './errors';
import type { RunningTransfer } from './running-transfer';
import type { DiskExport } from './transfer';

/** Silence after which a download is given up. Sparse stretches of a disk are skipped by the server within seconds. */
export const IDLE_TIMEOUT_MS = 5 * 60_000;

/** A download that has begun: the head was read and is good. */
export class ExportStream implements DiskExport {
  readonly body: AsyncIterable<Uint8Array>;
  readonly #transfer: RunningTransfer;
  readonly #idleTimeoutMs: number;
  readonly #poolName: string;
  #finished: Promise<void> | undefined;

  constructor(transfer: RunningTransfer, poolName: string, idleTimeoutMs: number) {
    this.#transfer = transfer;
    this.#poolName = poolName;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.body = { [Symbol.asyncIterator]: () => this.#read() };
  }

  finish(options: CallOptions = {}): Promise<void> {
    this.#finished ??= this.#conclude(options);
    return this.#finished;
  }

  abort(): Promise<void> {
    return this.#transfer.close();
  }

  async *#read(): AsyncGenerator<Uint8Array, void> {
    const { wire, inlet } = this.#transfer;
    const silence = new SilenceWatch(this.#idleTimeoutMs, () => wire.destroy(this.#silent()));
    try {
      for (;;) {
        silence.expect();
        const next = await inlet.read();
        silence.relax();
        if (next === null) return;
        yield next;
      }
    } catch (error) {
      const lost = this.#transfer.lost(error instanceof Error ? error : null);
      throw await this.#transfer.explain(lost);
    } finally {
      silence.stop();
      wire.destroy();
    }
  }

  async #conclude(options: CallOptions): Promise<void> {
    // Whoever has what it needs may stop before the end of the stream; the server must not wait for a reader then.
    this.#transfer.wire.destroy();
    try {
      await this.#transfer.outcome(options);
    } finally {
      await this.#transfer.close();
    }
  }

  #silent(): TransportError {
    return new TransportError({
      kind: 'timeout',
      retry: 'later',
      what: `GET /export_raw_vdi: no byte came for ${this.#idleTimeoutMs} ms`,
      hint: 'the host or the line is stuck',
      poolName: this.#poolName,
    });
  }
}

/**
 * Measures silence only while bytes are expected: a slow consumer is no fault of the server. One timer for the whole
 * stream, since arming one for each piece costs.
 */
class SilenceWatch {
  readonly #limitMs: number;
  readonly #timer: NodeJS.Timeout;
  #expectedSinceMs = Infinity;

  constructor(limitMs: number, onSilence: () => void) {
    this.#limitMs = limitMs;
    this.#timer = setInterval(
      () => {
        if (performance.now() - this.#expectedSinceMs >= this.#limitMs) onSilence();
      },
      Math.max(1, limitMs / 20),
    );
    // The socket keeps the process alive while there is something to watch over.
    this.#timer.unref();
  }

  expect(): void {
    this.#expectedSinceMs = performance.now();
  }

  relax(): void {
    this.#expectedSinceMs = Infinity;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
