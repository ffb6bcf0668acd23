import type { OnReadOpts, Socket } from 'node:net';
import { Inlet } from './inlet';

/** Once so much waits, the socket is paused: less would be paused all the time, and each piece costs its reader as much. */
const PAUSE_BYTES = 1024 * 1024;
/** Four hold what waits, what TLS has decrypted by the time it stops, and what the reader has. */
const SLAB_BYTES = 512 * 1024;
const SLABS_KEPT = 4;
/** The longest record of TLS. What is left of a slab is not used where it is less. */
const RECORD_BYTES_MAX = 16 * 1024;

/** Memory that is received into: what lies between `from` and `to` was not read yet. */
interface Slab {
  readonly buffer: Buffer;
  /** What is left of it from each multiple of a record on: to make these anew for each record costs a tenth of receiving it. */
  readonly rests: readonly Buffer[];
  from: number;
  to: number;
}

/**
 * What a socket receives, put where the reader finds it, into buffers that are used again. As a stream Node makes a buffer
 * of its own for every record of 16 KiB, which costs more than to decrypt it.
 *
 * Bytes wait here only up to a limit: then the socket is paused, and what TLS has decrypted already is kept besides.
 */
export class SocketInlet extends Inlet {
  /** For `connect` of `node:net` and `node:tls`; the socket then is this one's alone. */
  readonly onread: OnReadOpts;
  #socket: Socket | null = null;
  /** Received into at present. */
  #filling: Slab = newSlab();
  /** Older ones, from the oldest on, with bytes that were not read. */
  #full: Slab[] = [];
  #free: Slab[] = [];
  /** What the reader was given last lies there. */
  #held: Slab | null = null;
  #paused = false;
  #waking: NodeJS.Immediate | null = null;
  protected waitingBytes = 0;

  constructor() {
    super();
    this.onread = {
      // Asked for before bytes come, each time: what was given last is always where `#filling` ends.
      buffer: () => this.#room(),
      callback: (lengthBytes) => this.#receive(lengthBytes),
    };
  }

  /** To be called with the socket that was made with `onread`, before anything can have come. */
  attach(socket: Socket): void {
    this.#socket = socket;
    socket
      .once('end', () => this.#endNow('ended'))
      .once('error', (error: Error) => this.#endNow(error))
      .once('close', () => this.#endNow(new Error('closed before its end')));
  }

  protected take(): Buffer {
    const slab = this.#full.shift() ?? this.#filling;
    this.#held = slab;
    const bytes = slab.buffer.subarray(slab.from, slab.to);
    slab.from = slab.to;
    this.waitingBytes -= bytes.length;
    if (this.#paused && this.waitingBytes < PAUSE_BYTES) {
      this.#paused = false;
      this.#socket?.resume();
    }
    return bytes;
  }

  protected release(): void {
    const slab = this.#held;
    this.#held = null;
    // It may have been received into further meanwhile: then it is read once more before it is free.
    if (slab === null || slab === this.#filling || slab === this.#full[0]) return;
    if (this.#free.length < SLABS_KEPT) this.#free.push(slab);
  }

  #room(): Buffer {
    if (this.#filling.to > SLAB_BYTES - RECORD_BYTES_MAX) {
      const { from, to } = this.#filling;
      if (to > from) this.#full.push(this.#filling);
      else if (this.#held !== this.#filling) this.#free.push(this.#filling);
      this.#filling = this.#free.pop() ?? newSlab();
      this.#filling.from = 0;
      this.#filling.to = 0;
    }
    const { rests, buffer, to } = this.#filling;
    return rests[to / RECORD_BYTES_MAX] ?? buffer.subarray(to);
  }

  /** Returns whether more may come. */
  #receive(lengthBytes: number): boolean {
    this.#filling.to += lengthBytes;
    this.waitingBytes += lengthBytes;
    // Not at once: what else has come is received before the reader wakes up, and it takes all of it in one go.
    if (this.isAwaited) this.#waking ??= setImmediate(() => this.#wakeNow());
    this.#paused ||= this.waitingBytes >= PAUSE_BYTES;
    return !this.#paused;
  }

  #endNow(end: 'ended' | Error): void {
    this.#forgetWaking();
    this.finish(end);
  }

  #wakeNow(): void {
    this.#forgetWaking();
    this.wake();
  }

  #forgetWaking(): void {
    if (this.#waking !== null) clearImmediate(this.#waking);
    this.#waking = null;
  }
}

function newSlab(): Slab {
  const buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  const rests = Array.from({ length: SLAB_BYTES / RECORD_BYTES_MAX }, (_, nth) =>
    buffer.subarray(nth * RECORD_BYTES_MAX),
  );
  return { buffer, rests, from: 0, to: 0 };
}
