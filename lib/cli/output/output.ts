/** Lines to a stream whose reader may be slow, or gone. */
import type { TextStream } from '../io';

/** What may wait for a slow reader before lines that can be missed are missed. */
const waitingBytesMax = 64 * 1024;

export class Output {
  readonly #stream: TextStream;
  readonly #onBroken: (error: NodeJS.ErrnoException) => void;
  #broken = false;
  #instead: ((line: string) => void) | null = null;

  /** @param onBroken called once, when the stream takes no more: its reader has left, or a disk is full */
  constructor(stream: TextStream, onBroken: (error: NodeJS.ErrnoException) => void) {
    this.#stream = stream;
    this.#onBroken = onBroken;
    stream.on('error', this.#break);
  }

  /** The stream itself, for what moves the cursor. */
  get stream(): TextStream {
    return this.#stream;
  }

  /** Columns of the terminal; null where it is none, and nothing is to be cut. */
  get width(): number | null {
    return this.#stream.isTTY === true ? (this.#stream.columns ?? 80) : null;
  }

  lines(lines: readonly string[]): void {
    for (const one of lines) this.line(one);
  }

  line(text: string): void {
    if (this.#instead !== null) this.#instead(text);
    else if (!this.#broken) this.#stream.write(`${text}\n`);
  }

  /** Lines go there instead until null is given: to whoever draws on the same terminal and knows where the cursor is. */
  divert(instead: ((line: string) => void) | null): void {
    this.#instead = instead;
  }

  /**
   * For progress, which is worth nothing when it is late: left out while the reader is behind, so that a reader that
   * sleeps does not fill our memory. Answers whether the line was written.
   */
  lineIfReady(text: string): boolean {
    if (this.#broken || this.#stream.writableLength > waitingBytesMax) return false;
    this.line(text);
    return true;
  }

  /** Resolves when everything was handed over, or can no longer be; by then it is also known whether it could. */
  async flushed(): Promise<void> {
    if (!this.#broken && this.#stream.writableLength > 0) {
      await new Promise<void>((resolve) => {
        this.#stream.write('', () => resolve());
      });
    }
    // A stream tells its writer of a failure before it tells those who listen for errors.
    await new Promise((resolve) => setImmediate(resolve));
  }

  readonly #break = (error: NodeJS.ErrnoException): void => {
    if (this.#broken) return;
    this.#broken = true;
    this.#onBroken(error);
  };
}
