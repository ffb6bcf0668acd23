import { Inlet } from '../inlet';

/** Reads what a receiving thread puts into shared memory, where it stands. */
export class RingInlet extends Inlet {
  readonly #ring: Buffer;
  readonly #onTaken: (bytes: number) => void;
  #receivedBytes = 0;
  #readBytes = 0;
  #takenBytes = 0;

  /** @param onTaken told how many bytes in all may be written over */
  constructor(memory: SharedArrayBuffer, onTaken: (bytes: number) => void) {
    super();
    this.#ring = Buffer.from(memory);
    this.#onTaken = onTaken;
  }

  protected get waitingBytes(): number {
    return this.#receivedBytes - this.#readBytes;
  }

  /** @param bytes in all */
  received(bytes: number): void {
    this.#receivedBytes = bytes;
    this.wake();
  }

  end(end: 'ended' | Error): void {
    this.finish(end);
  }

  protected take(): Buffer {
    const at = this.#readBytes % this.#ring.length;
    const bytes = this.#ring.subarray(at, Math.min(at + this.waitingBytes, this.#ring.length));
    this.#readBytes += bytes.length;
    return bytes;
  }

  protected release(): void {
    if (this.#takenBytes === this.#readBytes) return;
    this.#takenBytes = this.#readBytes;
    this.#onTaken(this.#takenBytes);
  }
}
