/** Exactly so many bytes from a socket, within a bound of silence. */
import type { Socket } from 'node:net';
import { NbdError } from './errors';

/**
 * Reads a socket in paused mode: what nobody asked for stays with the kernel, so a server that sends too much fills no
 * memory of ours.
 */
export class ByteSource {
  readonly #socket: Socket;
  readonly #where: string;
  readonly #silenceMaxMs: number;
  #failure: NbdError | null = null;
  #wake: (() => void) | null = null;

  constructor(socket: Socket, where: string, silenceMaxMs: number) {
    this.#socket = socket;
    this.#where = where;
    this.#silenceMaxMs = silenceMaxMs;
    socket.on('readable', this.#onReadable).on('end', this.#onEnd).on('close', this.#onEnd);
    socket.on('error', this.#onError);
  }

  /** Bytes that came in and that nobody has asked for yet. */
  get bufferedBytes(): number {
    return this.#socket.readableLength;
  }

  async take(lengthBytes: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(lengthBytes);
    await this.fill(bytes);
    return bytes;
  }

  /**
   * Fills the whole of `target`.
   * @throws NbdError `connection` where the other end is gone before, `timeout` where it says nothing for too long
   */
  async fill(target: Buffer): Promise<void> {
    let filled = 0;
    while (filled < target.length) {
      const available = Math.min(target.length - filled, this.#socket.readableLength);
      const chunk = available === 0 ? null : (this.#socket.read(available) as Buffer | null);
      if (chunk === null) await this.#more();
      else filled += chunk.copy(target, filled);
    }
  }

  /** Makes everything that waits fail now, and everything after it. */
  fail(error: NbdError): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Leaves the socket to somebody else. */
  release(): void {
    this.#socket.off('readable', this.#onReadable).off('end', this.#onEnd).off('close', this.#onEnd);
    this.#socket.off('error', this.#onError);
  }

  readonly #onReadable = (): void => this.#wake?.();

  /** The stream ends only after everything before was taken; a destroyed socket gives nothing any more. */
  readonly #onEnd = (): void =>
    this.fail(new NbdError('connection', this.#where, 'the other end closed the connection'));

  readonly #onError = (error: Error): void =>
    this.fail(new NbdError('connection', this.#where, `the connection broke: ${error.message}`, error));

  async #more(): Promise<void> {
    if (this.#failure === null && (this.#socket.readableEnded || this.#socket.destroyed)) this.#onEnd();
    if (this.#failure === null) {
      const timer = setTimeout(() => this.fail(this.#silence()), this.#silenceMaxMs);
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
      clearTimeout(timer);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #silence(): NbdError {
    return new NbdError('timeout', this.#where, `not a byte within ${String(this.#silenceMaxMs)} ms`);
  }
}
