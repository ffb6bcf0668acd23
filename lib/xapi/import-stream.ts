import type { CallOptions } from './call';
import { TransportError, type XapiError } from './errors';
import { cancelled } from './failures';
import { ResponseHeadReader } from './http-head';
import { statusFailure, type RunningTransfer } from './running-transfer';
import type { DiskImport } from './transfer';

/** The unit in which the server writes to the disk; other lengths and offsets make the task fail. */
const SECTOR_BYTES = 512;
const HEADER_BYTES = 12;
const MAX_FRAME_BYTES = 2 ** 31 - SECTOR_BYTES;
const METHOD = 'PUT /import_raw_vdi';
/** One frame on its way and another one ready, so that the line is not idle while a third is read. */
const AHEAD_BYTES_MAX = 3 * 1024 * 1024;

export interface ImportOptions {
  readonly poolName: string;
  /** False where the head of the answer has not come yet. */
  readonly accepted: boolean;
  /** How long the server may take no byte before it is given up. */
  readonly idleTimeoutMs: number;
  /** Called when the server does not take the session. */
  readonly onSessionRefused: () => void;
}

/** Called once with the reason why the upload broke, or with null when the wait is over. */
type Waiter = (reason: Error | null) => void;

/** An upload that has begun: frames of `offset: u64 LE, length: u32 LE, data`, ended by twelve zero bytes. */
export class ImportStream implements DiskImport {
  readonly #transfer: RunningTransfer;
  readonly #options: ImportOptions;
  readonly #waiters = new Set<Waiter>();
  /** Null once the head of the answer was read: what comes then is an error message. */
  #headReader: ResponseHeadReader | null;
  #broken: Promise<XapiError | TransportError> | undefined;
  /** No frame may follow: finish() or abort() was called. */
  #ended = false;
  /** The terminator has left, so that from now on the task alone says how it went. */
  #terminated = false;
  #finished: Promise<void> | undefined;
  readonly #queue: Uint8Array[] = [];
  #writing = false;
  #bytesSent = 0;
  #bytesWritten = 0;

  constructor(transfer: RunningTransfer, options: ImportOptions) {
    this.#transfer = transfer;
    this.#options = options;
    this.#headReader = options.accepted ? null : new ResponseHeadReader();
    transfer.wire
      .on('error', (error: Error) => this.#break(transfer.lost(error)))
      .on('close', () => this.#break(transfer.lost(null)));
    void this.#listen();
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  async write(offsetBytes: number, data: Uint8Array, roomBytes = 0): Promise<void> {
    if (this.#ended) throw new Error('a frame was written after finish() or abort()');
    const frame = framed(offsetBytes, data, roomBytes);
    if (this.#broken !== undefined) throw await this.#broken;
    this.#bytesSent += frame.byteLength;
    this.#queue.push(frame);
    this.#writeNext();
    while (this.#bytesSent - this.#bytesWritten > AHEAD_BYTES_MAX) await this.#wait();
  }

  finish(options: CallOptions = {}): Promise<void> {
    this.#finished ??= this.#conclude(options);
    return this.#finished;
  }

  async abort(): Promise<void> {
    this.#ended = true;
    this.#broken ??= Promise.resolve(cancelled(METHOD, this.#options.poolName));
    this.#release(await this.#broken);
    await this.#transfer.close();
  }

  async #conclude(options: CallOptions): Promise<void> {
    this.#ended = true;
    try {
      await this.#terminate();
      // The connection stays open in both directions: the server closes it when the task is done.
      await this.#transfer.outcome(options);
    } finally {
      await this.#transfer.close();
    }
  }

  /** One write at a time: of several that wait the socket would make one, by copying them. */
  #writeNext(): void {
    const frame = this.#writing || this.#broken !== undefined ? undefined : this.#queue.shift();
    if (frame === undefined) return;
    this.#writing = true;
    this.#transfer.wire.write(frame, (error) => {
      this.#writing = false;
      if (error !== null && error !== undefined) return;
      this.#bytesWritten += frame.byteLength;
      this.#release(null);
      this.#writeNext();
    });
  }

  /** Resolves once the terminator has left: no success of the task before that can be ours. */
  async #terminate(): Promise<void> {
    while (this.#bytesWritten < this.#bytesSent) await this.#wait();
    if (this.#broken !== undefined) throw await this.#broken;
    this.#transfer.wire.write(Buffer.alloc(HEADER_BYTES), (error) => {
      if (error !== null && error !== undefined) return;
      this.#terminated = true;
      this.#release(null);
    });
    this.#bytesSent += HEADER_BYTES;
    this.#bytesWritten += HEADER_BYTES;
    await this.#wait();
  }

  /** Reads what the server says, which is nothing as long as all goes well; that the connection ends is told besides. */
  async #listen(): Promise<void> {
    const { inlet } = this.#transfer;
    try {
      for (let piece = await inlet.read(); piece !== null; piece = await inlet.read()) this.#onData(piece);
    } catch (error) {
      this.#break(this.#transfer.lost(error instanceof Error ? error : null));
    }
  }

  /** Waits until the socket has taken what was written; rejects when the upload breaks. */
  async #wait(): Promise<void> {
    if (this.#broken !== undefined) throw await this.#broken;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => this.#break(this.#stuck()), this.#options.idleTimeoutMs);
      this.#waiters.add((reason) => {
        clearTimeout(timer);
        if (reason === null) resolve();
        else reject(reason);
      });
    });
  }

  #release(reason: Error | null): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter(reason);
  }

  /** Stops sending at once; the task is then asked for the true reason, for a bounded time. */
  #break(error: TransportError): void {
    if (this.#broken !== undefined || this.#terminated) return;
    this.#broken = this.#transfer.explain(error);
    this.#transfer.wire.destroy();
    void this.#broken.then((reason) => this.#release(reason));
  }

  #onData(piece: Buffer): void {
    const appended = this.#headReader === null ? piece : this.#onHead(this.#headReader, piece);
    if (appended.length === 0) return;
    const line = appended.subarray(0, 80).toString('latin1').split('\r\n')[0] ?? '';
    this.#break(
      new TransportError({
        kind: 'http',
        retry: 'later',
        what: `${METHOD}: the server gave up in the middle (${line})`,
        hint: 'what was sent since the last confirmed segment has to be sent again',
        poolName: this.#options.poolName,
      }),
    );
  }

  /** Returns what came after the head. */
  #onHead(reader: ResponseHeadReader, piece: Buffer): Buffer {
    try {
      const answer = reader.push(piece);
      if (answer === null) return Buffer.alloc(0);
      this.#headReader = null;
      if (answer.head.status === 200) return answer.rest;
      if (answer.head.status === 401) this.#options.onSessionRefused();
      this.#break(statusFailure(answer.head, METHOD, this.#options.poolName));
    } catch (error) {
      this.#break(this.#transfer.lost(error instanceof Error ? error : null));
    }
    return Buffer.alloc(0);
  }

  #stuck(): TransportError {
    return new TransportError({
      kind: 'timeout',
      retry: 'later',
      what: `${METHOD}: the server took no byte for ${this.#options.idleTimeoutMs} ms`,
      hint: 'the host, its storage or the line is stuck',
      poolName: this.#options.poolName,
    });
  }
}

/**
 * Header and data in one piece of memory, and so in one write: a header that travels alone and is cut short can read as
 * the terminator, and the task would succeed without the data.
 *
 * @throws RangeError where the frame is one the server fails on, or takes for the terminator
 */
function framed(offsetBytes: number, data: Uint8Array, roomBytes: number): Uint8Array {
  const lengthBytes = data.byteLength;
  const wholeSectors = offsetBytes % SECTOR_BYTES === 0 && lengthBytes % SECTOR_BYTES === 0;
  if (!wholeSectors || !Number.isSafeInteger(offsetBytes) || offsetBytes < 0)
    throw new RangeError(
      `a frame at ${offsetBytes} of ${lengthBytes} bytes: both must be multiples of ${SECTOR_BYTES}`,
    );
  if (lengthBytes === 0 || lengthBytes > MAX_FRAME_BYTES)
    throw new RangeError(`a frame of ${lengthBytes} bytes: between ${SECTOR_BYTES} and ${MAX_FRAME_BYTES}`);
  const hasRoom = roomBytes >= HEADER_BYTES && data.byteOffset >= HEADER_BYTES;
  const frame = hasRoom
    ? Buffer.from(data.buffer, data.byteOffset - HEADER_BYTES, HEADER_BYTES + lengthBytes)
    : Buffer.concat([Buffer.alloc(HEADER_BYTES), data]);
  frame.writeBigUInt64LE(BigInt(offsetBytes), 0);
  frame.writeUInt32LE(lengthBytes, 8);
  return frame;
}
