import type { OnReadOpts, Socket } from 'node:net';

/** Once so much waits, the socket is paused. */
const PAUSE_BYTES = 256 * 1024;
const RECEIVE_BYTES = 64 * 1024;
/** With room for what TLS has decrypted by then. */
const SLAB_BYTES = PAUSE_BYTES + 2 * RECEIVE_BYTES;

/**
 * What a socket receives, copied once, into buffers that are used again. As a stream Node makes a buffer of its own for
 * every record of 16 KiB, which costs more than to decrypt it.
 *
 * Bytes wait here only as far as the two buffers go: then the socket is paused, and what TLS has decrypted already is
 * kept besides.
 */
export class Inlet {
  /** For `connect` of `node:net` and `node:tls`; the socket then is this one's alone. */
  readonly onread: OnReadOpts;
  #socket: Socket | null = null;
  #filling: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #spare: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #filledBytes = 0;
  #paused = false;
  /** What came although the socket was paused, and found no room; in order, copies. */
  #surplus: Buffer[] = [];
  #unread: Buffer | null = null;
  #end: 'open' | 'ended' | Error = 'open';
  #wake: (() => void) | null = null;
  #waking: NodeJS.Immediate | null = null;

  constructor() {
    this.onread = {
      buffer: Buffer.allocUnsafeSlow(RECEIVE_BYTES),
      callback: (lengthBytes, buffer) => this.#receive(buffer.subarray(0, lengthBytes)),
    };
  }

  /** To be called with the socket that was made with `onread`, before anything can have come. */
  attach(socket: Socket): void {
    this.#socket = socket;
    socket
      .once('end', () => this.#finish('ended'))
      .once('error', (error: Error) => this.#finish(error))
      .once('close', () => this.#finish(new Error('closed before its end')));
  }

  /**
   * The next bytes, or null at the end of the stream. They are the caller's until the next call, no longer.
   * @throws what the socket failed with, after everything that came before
   */
  async read(): Promise<Buffer | null> {
    if (!this.#ready) await this.arrival();
    const next = this.#take();
    if (next !== null) return next;
    if (this.#end instanceof Error) throw this.#end;
    return null;
  }

  /** Whether anything came (bytes, the end, a failure) within this time; without one, waits for it. */
  arrival(timeoutMs?: number): Promise<boolean> {
    if (this.#ready) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? null : setTimeout(() => settle(false), timeoutMs);
      const settle = (came: boolean): void => {
        if (timer !== null) clearTimeout(timer);
        this.#wake = null;
        resolve(came);
      };
      this.#wake = () => settle(true);
    });
  }

  /** Gives back what was read too much: the next read begins with it. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#unread = this.#unread === null ? bytes : Buffer.concat([bytes, this.#unread]);
  }

  get #ready(): boolean {
    return this.#unread !== null || this.#filledBytes > 0 || this.#end !== 'open';
  }

  #take(): Buffer | null {
    if (this.#unread !== null) {
      const bytes = this.#unread;
      this.#unread = null;
      return bytes;
    }
    if (this.#filledBytes === 0) return null;
    const bytes = this.#filling.subarray(0, this.#filledBytes);
    [this.#filling, this.#spare] = [this.#spare, this.#filling];
    this.#filledBytes = 0;
    if (this.#paused) this.#goOn();
    return bytes;
  }

  #goOn(): void {
    const waiting = this.#surplus;
    this.#surplus = [];
    for (const bytes of waiting) this.#keep(bytes);
    if (this.#filledBytes >= PAUSE_BYTES) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  /** Returns whether more may come. */
  #receive(bytes: Uint8Array): boolean {
    this.#keep(bytes);
    // Not at once: what else has come is received before the reader wakes up, and it takes all of it in one go.
    if (this.#wake !== null) this.#waking ??= setImmediate(() => this.#wakeUp());
    this.#paused ||= this.#filledBytes >= PAUSE_BYTES;
    return !this.#paused;
  }

  #keep(bytes: Uint8Array): void {
    if (this.#surplus.length > 0 || this.#filledBytes + bytes.length > SLAB_BYTES) {
      this.#surplus.push(Buffer.from(bytes));
      return;
    }
    this.#filling.set(bytes, this.#filledBytes);
    this.#filledBytes += bytes.length;
  }

  #finish(end: 'ended' | Error): void {
    if (this.#end === 'open') this.#end = end;
    this.#wakeUp();
  }

  #wakeUp(): void {
    if (this.#waking !== null) clearImmediate(this.#waking);
    this.#waking = null;
    this.#wake?.();
  }
}
