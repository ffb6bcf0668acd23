import type { Duplex } from 'node:stream';

/** Reads a socket piece by piece, so that it can be handed over to somebody else in between. */
export class SocketReader {
  readonly #socket: Duplex;
  #buffered: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** What was read and not used yet; the caller takes it over. */
  takeBuffered(): Buffer {
    const taken = this.#buffered;
    this.#buffered = Buffer.alloc(0);
    return taken;
  }

  give(bytes: Buffer): void {
    this.#buffered = Buffer.concat([bytes, this.#buffered]);
  }

  /**
   * Bytes up to the blank line that ends a head. `too-long` once more than `limit` bytes came without it (0: no limit);
   * null at the end of the stream.
   */
  async head(limit: number): Promise<{ readonly text: string } | 'too-long' | null> {
    for (;;) {
      const end = this.#buffered.indexOf('\r\n\r\n');
      if (limit > 0 && (end < 0 ? this.#buffered.length : end + 4) > limit) return 'too-long';
      if (end >= 0) {
        const text = this.#buffered.toString('latin1', 0, end);
        this.#buffered = this.#buffered.subarray(end + 4);
        return { text };
      }
      if (this.#buffered.length > hardHeadLimit) return 'too-long';
      if (!(await this.#more())) return null;
    }
  }

  /** Exactly `length` bytes, or null when the stream ends before. */
  async body(length: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0;) {
      if (this.#buffered.length === 0 && !(await this.#more())) return null;
      const part = this.#buffered.subarray(0, missing);
      this.#buffered = this.#buffered.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  async #more(): Promise<boolean> {
    while (!this.#ended) {
      const chunk = this.#socket.read() as Buffer | null;
      if (chunk !== null) {
        this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
        return true;
      }
      if (this.#socket.readableEnded || this.#socket.destroyed) this.#ended = true;
      else await this.#nextEvent();
    }
    return false;
  }

  #nextEvent(): Promise<void> {
    return new Promise((resolve) => {
      const names = ['readable', 'end', 'close', 'error'] as const;
      const done = (): void => {
        for (const name of names) this.#socket.off(name, done);
        resolve();
      };
      for (const name of names) this.#socket.on(name, done);
    });
  }
}

/** Releases without a limit of their own still do not read for ever. */
const hardHeadLimit = 1024 * 1024;
