/** A connection that is received by a thread of its own. */
import { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { PeerProof } from '../peer-proof';
import type { Wire } from '../wire';
import type { ConnectionOrder, FromThread, ThreadOrder, ToThread } from './messages';
import { program } from './program-text';
import { RingInlet } from './ring-inlet';

/**
 * Much, because a pause is dear: the sender's window closes, and opening it again is work of whoever receives. Two that are
 * read side by side are seldom equally fast.
 */
const MEMORY_BYTES = 16 * 1024 * 1024;
/** What is left is for what was decrypted by the time the socket stops: no more than it reads at once. */
const PAUSE_BYTES = MEMORY_BYTES - 1024 * 1024;

/**
 * Receiving is most of what reading a disk costs: the kernel's work for each packet, and decrypting. Who reads two disks side
 * by side has one of them received here, on another core. Emits `connect` once the other end has shown who it is;
 * nothing has been sent by then.
 */
export class ThreadConnection extends EventEmitter implements Wire {
  readonly inlet: RingInlet;
  readonly #thread: Worker;
  readonly #unwritten: ((error?: Error | null) => void)[] = [];
  #proof: PeerProof | null = null;
  #destroyed = false;
  #hasSpoken = false;
  #neverStarted = false;

  constructor(connection: ConnectionOrder) {
    super();
    const memory = new SharedArrayBuffer(MEMORY_BYTES);
    this.inlet = new RingInlet(memory, (bytes) => this.#tell({ kind: 'taken', bytes }));
    this.#thread = new Worker(program, {
      eval: true,
      name: 'xenrepl receives',
      workerData: { connection, memory, pauseBytes: PAUSE_BYTES } satisfies ThreadOrder,
      // Neither options of this process nor secrets of its environment are the thread's business.
      execArgv: [],
      env: {},
    });
    this.#thread
      .on('message', (message: FromThread) => this.#onMessage(message))
      .on('error', (error: Error) => this.#onThreadEnd(error))
      .on('exit', () => this.#onThreadEnd(new Error('the thread that receives has ended')));
    // Who reads learns of it from the inlet. Between the proof and the head of an answer nobody else listens, and an
    // error that nobody listens to ends the process with all its runs.
    this.on('error', () => undefined);
  }

  /** True where it failed for the thread, which never got as far as to try the connection. */
  get neverStarted(): boolean {
    return this.#neverStarted;
  }

  /** What the other end showed; null without TLS. */
  get proof(): PeerProof | null {
    return this.#proof;
  }

  write(data: Uint8Array | string, onWritten: (error?: Error | null) => void = () => undefined): void {
    if (this.#destroyed) {
      process.nextTick(onWritten, new Error('closed'));
      return;
    }
    this.#unwritten.push(onWritten);
    this.#tell({ kind: 'write', data });
  }

  destroy(error?: Error): this {
    if (this.#destroyed) return this;
    this.#destroyed = true;
    void this.#thread.terminate();
    this.inlet.end(error ?? new Error('closed before its end'));
    process.nextTick(() => {
      for (const onWritten of this.#unwritten.splice(0)) onWritten(error ?? new Error('closed'));
      if (error !== undefined) this.emit('error', error);
      this.emit('close');
    });
    return this;
  }

  #onThreadEnd(error: Error): void {
    if (this.#destroyed) return;
    this.#neverStarted = !this.#hasSpoken;
    this.destroy(error);
  }

  #tell(message: ToThread): void {
    if (!this.#destroyed) this.#thread.postMessage(message);
  }

  #onMessage(message: FromThread): void {
    if (this.#destroyed) return;
    this.#hasSpoken = true;
    switch (message.kind) {
      case 'connected':
        this.#proof = message.proof;
        this.emit('connect');
        break;
      case 'received':
        this.inlet.received(message.bytes);
        break;
      case 'written':
        this.#unwritten.shift()?.(null);
        break;
      case 'ended':
        this.inlet.end('ended');
        break;
      case 'failed':
        this.destroy(Object.assign(new Error(message.message), { code: message.code }));
        break;
      case 'closed':
        this.destroy();
        break;
    }
  }
}
