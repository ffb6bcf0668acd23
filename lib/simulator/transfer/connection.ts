import type { Duplex } from 'node:stream';
import type { Line } from '../line';
import { Intake } from './intake';

/** Bytes read ahead of the copier: enough to keep decryption busy while a block is written; more would outlive the young heap. */
const READ_AHEAD_BYTES = 512 * 1024;
/** How long the far side may take to close after our last byte before the socket is cut. */
const CLOSE_GRACE_MS = 500;

const STALL_SIP_MS = 200;

/** The far side closed or reset the connection while something was to be sent. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  constructor() {
    super('the client closed the connection');
  }
}

/**
 * A socket after the head of a request. Reading stops the sender when the reader is behind; every end of the stream, orderly or
 * not, is the same to a reader: TLS is ended by another process on a real host, which turns a reset into a plain end.
 */
export class Connection {
  readonly #ahead: Buffer[] = [];
  #aheadBytes = 0;
  /** The client sends nothing more. */
  #ended = false;
  /** What the client sends is thrown away. */
  #ignoring = false;
  #wanted: { readonly target: Uint8Array; filled: number; readonly done: (count: number) => void } | null =
    null;
  /** Stops reading, as a copier that hangs. */
  #stalling = false;
  readonly #closed = new AbortController();
  readonly #intake: Intake;
  readonly #abort = (): void => this.#closed.abort(new ConnectionLostError());

  /** @param buffered what was read of the socket already; it has the line before it as all that follows */
  constructor(
    private readonly socket: Duplex,
    buffered: Buffer,
    private readonly line: Line,
  ) {
    this.#intake = new Intake(socket, line.received, {
      take: (chunk) => this.#take(chunk),
      end: () => this.#end(),
    });
    if (buffered.length > 0) this.#intake.offer(buffered);
    socket.on('close', this.#abort);
    if (socket.destroyed) this.#abort();
    this.#ended = socket.destroyed || socket.readableEnded;
  }

  /** Aborted when the socket is closed in both directions. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Fills `target`; gives fewer bytes than asked for only at the end of the stream. One call at a time. */
  read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.byteLength) {
      const chunk = this.#ahead.shift();
      if (chunk === undefined) break;
      const used = Math.min(chunk.length, target.byteLength - filled);
      target.set(chunk.subarray(0, used), filled);
      filled += used;
      this.#aheadBytes -= used;
      if (used < chunk.length) this.#ahead.unshift(chunk.subarray(used));
    }
    if (this.#ignoring) return Promise.resolve(0);
    if (!this.#ended && this.#aheadBytes < READ_AHEAD_BYTES / 2) this.#intake.resume();
    if (filled === target.byteLength || this.#ended) return Promise.resolve(filled);
    return new Promise((done) => {
      this.#wanted = { target, filled, done };
    });
  }

  /** Body bytes that came in and that nobody read. */
  takeBuffered(): Buffer {
    const rest = Buffer.concat(this.#ahead.splice(0));
    this.#aheadBytes = 0;
    return rest;
  }

  /** Resolves when the bytes left this process, so their buffer may be used again. One call at a time. */
  send(bytes: Uint8Array | string): Promise<void> {
    const lane = this.line.sent;
    return lane.passesNow(Buffer.byteLength(bytes)) ? this.#write(bytes) : this.#sendInTurns(bytes);
  }

  /** A piece is out before the next one asks for the line: a client that does not read holds nothing of it. */
  async #sendInTurns(bytes: Uint8Array | string): Promise<void> {
    const whole = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    for (let at = 0; at < whole.byteLength;) {
      const piece = whole.subarray(at, Math.min(at + this.line.sent.pieceBytes, whole.byteLength));
      await this.line.sent.pass(piece.byteLength);
      await this.#write(piece);
      at += piece.byteLength;
    }
  }

  #write(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed.signal.aborted || this.socket.writableEnded) reject(new ConnectionLostError());
      else
        this.socket.write(bytes, (error) => {
          if (error === null || error === undefined) resolve();
          else reject(new ConnectionLostError());
        });
    });
  }

  /** Sends a last word to a client that may be gone already. */
  async sendIfOpen(bytes: string): Promise<void> {
    try {
      await this.send(bytes);
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
    }
  }

  /** Nothing of what the client sends matters any more; its close is noticed all the same. */
  ignoreInput(): void {
    this.#ahead.length = 0;
    this.#aheadBytes = 0;
    this.#ignoring = true;
    this.#intake.resume();
  }

  /** Ends our side, gives the client a moment to read and close, then cuts. Resolves when our last byte left. */
  async finish(): Promise<void> {
    if (this.#closed.signal.aborted || this.socket.destroyed) return;
    this.ignoreInput();
    const cut = setTimeout(() => this.socket.destroy(), CLOSE_GRACE_MS);
    this.#closed.signal.addEventListener('abort', () => clearTimeout(cut));
    this.socket.once('end', () => this.socket.destroy());
    await new Promise<void>((resolve) => {
      this.#closed.signal.addEventListener('abort', () => resolve(), { once: true });
      this.socket.end(() => resolve());
    });
    if (this.socket.readableEnded) this.socket.destroy();
  }

  /**
   * Stops taking bytes, as a copier that hangs. A socket that is not read does not tell of its end, so a little is read and thrown
   * away now and then. Resolves when the client gave up, rejects when `signal` is aborted.
   */
  stall(signal: AbortSignal): Promise<void> {
    const sip = setInterval(() => this.#intake.resume(), STALL_SIP_MS);
    this.#wanted = null;
    this.#stalling = true;
    return new Promise<void>((resolve, reject) => {
      this.socket.once('end', () => resolve());
      this.#closed.signal.addEventListener('abort', () => resolve(), { once: true });
      signal.addEventListener('abort', () => reject(new ConnectionLostError()), { once: true });
      if (this.#ended || this.#closed.signal.aborted) resolve();
      if (signal.aborted) reject(new ConnectionLostError());
    }).finally(() => clearInterval(sip));
  }

  /** As if the network broke. */
  cut(): void {
    this.socket.destroy();
  }

  /** Gives the socket back, for the next request on it. */
  release(): Buffer {
    const waiting = this.#intake.release();
    this.socket.off('close', this.#abort);
    return Buffer.concat([this.takeBuffered(), ...waiting]);
  }

  #take(chunk: Buffer): void {
    if (this.#stalling) {
      this.#ahead.length = 0;
      this.#intake.pause();
    }
    if (this.#ignoring || this.#stalling) return;
    const wanted = this.#wanted;
    if (wanted === null) {
      this.#keep(chunk);
      return;
    }
    const used = Math.min(chunk.length, wanted.target.byteLength - wanted.filled);
    wanted.target.set(used === chunk.length ? chunk : chunk.subarray(0, used), wanted.filled);
    wanted.filled += used;
    if (wanted.filled < wanted.target.byteLength) return;
    this.#wanted = null;
    if (used < chunk.length) this.#keep(chunk.subarray(used));
    wanted.done(wanted.filled);
  }

  #keep(chunk: Buffer): void {
    this.#ahead.push(chunk);
    this.#aheadBytes += chunk.length;
    if (this.#aheadBytes > READ_AHEAD_BYTES) this.#intake.pause();
  }

  #end(): void {
    this.#ended = true;
    const wanted = this.#wanted;
    this.#wanted = null;
    wanted?.done(wanted.filled);
  }
}
