/** Reads exact numbers of bytes from a stream of pieces. */
import { seedFileError } from '../errors';

export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  positionBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** Null at the end of the stream, where not even one byte is left. */
  async tryRead(lengthBytes: number): Promise<Buffer | null> {
    const read = Buffer.allocUnsafe(lengthBytes);
    const filled = await this.#fill(read);
    if (filled === 0 && lengthBytes > 0) return null;
    if (filled < lengthBytes) throw cutShort(this.positionBytes);
    return read;
  }

  async read(lengthBytes: number): Promise<Buffer> {
    const read = await this.tryRead(lengthBytes);
    if (read === null) throw cutShort(this.positionBytes);
    return read;
  }

  async skip(lengthBytes: number): Promise<void> {
    let left = lengthBytes;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) throw cutShort(this.positionBytes);
      left -= this.#take(left).length;
    }
  }

  /** Reads on to the end, which is what lets the other end finish. */
  async drain(): Promise<void> {
    do this.#rest = new Uint8Array(0);
    while (await this.#more());
  }

  async #fill(target: Buffer): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      if (this.#rest.length === 0 && !(await this.#more())) break;
      const piece = this.#take(target.length - filled);
      target.set(piece, filled);
      filled += piece.length;
    }
    return filled;
  }

  #take(mostBytes: number): Uint8Array {
    const piece = this.#rest.subarray(0, mostBytes);
    this.#rest = this.#rest.subarray(piece.length);
    this.positionBytes += piece.length;
    return piece;
  }

  async #more(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      this.#rest = next.value;
    }
    return true;
  }
}

function cutShort(atBytes: number): Error {
  return seedFileError(
    `The archive ends in the middle, after ${String(atBytes)} bytes`,
    'it was not written or not carried to its end: export or copy it again',
  );
}
