/** One connection to one export: reads, as many at once as the caller likes, each reply checked. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { ByteSource } from './byte-source';
import { NbdError } from './errors';
import { openExport, whereOf } from './open';
import type { NbdServer, NbdTimings, OpenExport } from './open';
import { decodeReadReply, encodeDisconnect, encodeRead, readReplyBytes } from './wire';

interface Due {
  readonly data: Buffer;
  readonly resolve: (data: Buffer) => void;
  readonly reject: (error: NbdError) => void;
}

export class NbdConnection {
  readonly sizeBytes: number;
  readonly #where: string;
  readonly #socket: Socket;
  readonly #source: ByteSource;
  readonly #due = new Map<bigint, Due>();
  #nextHandle = 1n;
  #receiving = false;
  #failure: NbdError | null = null;

  private constructor(where: string, { socket, source, sizeBytes }: OpenExport) {
    this.#where = where;
    this.#socket = socket;
    this.#source = source;
    this.sizeBytes = sizeBytes;
  }

  /** @throws NbdError where it does not come to an export; the socket is closed then */
  static async open(server: NbdServer, timings: NbdTimings, signal: AbortSignal): Promise<NbdConnection> {
    return new NbdConnection(whereOf(server), await openExport(server, timings, signal));
  }

  /** Reads that wait for their replies. */
  get dueReads(): number {
    return this.#due.size;
  }

  /** True until the first failure; after it every read fails. */
  get alive(): boolean {
    return this.#failure === null;
  }

  /**
   * Asks at once, resolves with exactly `lengthBytes`. Offset and length are multiples of 512, which the server demands.
   * @throws NbdError after which the connection is closed and every other read has failed too
   */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      const handle = this.#nextHandle;
      this.#nextHandle += 1n;
      this.#due.set(handle, { data: Buffer.allocUnsafeSlow(lengthBytes), resolve, reject });
      this.#socket.write(encodeRead(handle, offsetBytes, lengthBytes));
      if (!this.#receiving) void this.#receive();
    });
  }

  /** Says good-bye, so that the server detaches the disk now. Bounded, never throws. */
  async close(maxMs: number): Promise<void> {
    if (this.#failure !== null || this.#socket.destroyed) return;
    this.#failure = new NbdError('aborted', this.#where, 'the connection was closed');
    this.#socket.end(encodeDisconnect());
    // In paused mode the end is noticed only by somebody who reads.
    this.#source.release();
    this.#socket.resume();
    await once(this.#socket, 'close', { signal: AbortSignal.timeout(maxMs) }).catch(() => undefined);
    this.#socket.destroy();
  }

  /** Closes the socket at once; reads that wait fail. */
  destroy(why: NbdError): void {
    if (this.#failure === null) this.#fail(why);
  }

  async #receive(): Promise<void> {
    this.#receiving = true;
    try {
      while (this.#due.size > 0) await this.#receiveOne();
    } catch (error) {
      this.#fail(error instanceof NbdError ? error : this.#protocol('its reply cannot be read', error));
    } finally {
      this.#receiving = false;
    }
  }

  async #receiveOne(): Promise<void> {
    const reply = decodeReadReply(await this.#source.take(readReplyBytes));
    if (reply === null) throw this.#protocol('it sent something that is no reply');
    const due = this.#due.get(reply.handle);
    if (due === undefined) throw this.#protocol('it answered a request that was not made');
    if (reply.errno !== 0) {
      throw new NbdError('refused', this.#where, `a read failed with error ${String(reply.errno)}`);
    }
    await this.#source.fill(due.data);
    this.#due.delete(reply.handle);
    due.resolve(due.data);
  }

  #fail(error: NbdError): void {
    this.#failure ??= error;
    this.#socket.destroy();
    const waiting = [...this.#due.values()];
    this.#due.clear();
    this.#source.fail(error);
    for (const { reject } of waiting) reject(error);
  }

  #protocol(what: string, cause?: unknown): NbdError {
    return new NbdError('protocol', this.#where, what, cause);
  }
}
