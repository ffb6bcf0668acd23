import { VhdError } from './errors';
import { hasText } from './fields';
import { footerBytes, footerCookie, parseFooter } from './footer';
import { HttpTail } from './http-tail';
import type { VhdPart } from './parts';
import { FixedReader } from './read-fixed';
import { SparseReader } from './read-sparse';
import { Reading, type VhdDecoderOptions } from './reading';
import { Collected, HeldBack } from './stretches';
import { Walk } from './walk';

/**
 * Reads a VHD as it arrives, in chunks of any size, forward only. Blocks come in the order in which they stand in
 * the stream. Memory is bounded by the table; data are never collected.
 *
 * Every fault throws `VhdError`, and the decoder is then of no more use. Parts that came before a fault were right
 * as far as the format can tell, but an HTTP error appended within a block passes for data up to the end of the
 * stream: only the `end` part says that all of it was a disk.
 */
export class VhdDecoder {
  readonly #reading: Reading;
  readonly #tail = new HttpTail();
  readonly #walk = new Walk('first footer', () => {
    this.#enterFirstFooter();
  });
  #failure: Error | null = null;

  /** @throws VhdError `bad-input` or `bad-size` where the options cannot be met by any stream */
  constructor(options: VhdDecoderOptions = {}) {
    this.#reading = new Reading(options);
  }

  /** Exact length of the stream: as given, else known once the block table was read, else null. */
  get lengthBytes(): number | null {
    return this.#reading.lengthBytes;
  }

  /** Takes the next bytes of the stream and returns what became complete with them. */
  push(chunk: Uint8Array): VhdPart[] {
    return this.#guarded(() => {
      this.#tail.add(chunk);
      this.#walk.consume(chunk);
    });
  }

  /**
   * To be called at the end of the stream: throws `truncated` unless the last footer was read. Returns nothing,
   * but for a fixed disk of unknown length: only here its last 512 bytes turn out to be the footer.
   */
  end(): VhdPart[] {
    return this.#guarded(() => {
      if (this.#walk.stretch instanceof HeldBack) {
        new FixedReader(this.#walk, this.#reading).end(this.#walk.stretch);
      }
      if (!this.#reading.isComplete) {
        throw this.#truncated();
      }
    });
  }

  #enterFirstFooter(): void {
    this.#walk.enter('first footer', new Collected(footerBytes), ({ bytes }) => {
      if (this.#reading.acceptFixed && !hasText(bytes, footerCookie)) {
        new FixedReader(this.#walk, this.#reading).start(bytes);
        return;
      }
      const footer = parseFooter(bytes, 0);
      if (footer.headerOffsetBytes !== null) {
        new SparseReader(this.#walk, this.#reading, footer).start(footer.headerOffsetBytes);
      } else if (this.#reading.acceptFixed) {
        new FixedReader(this.#walk, this.#reading).start(bytes);
      } else {
        throw new VhdError(
          'unsupported',
          0,
          'Cannot read a fixed VHD here: expected a dynamic or differencing one',
        );
      }
    });
  }

  #guarded(work: () => void): VhdPart[] {
    if (this.#failure !== null) {
      throw this.#failure;
    }
    try {
      work();
      return this.#reading.takeParts();
    } catch (error) {
      this.#failure = this.#explained(error);
      throw this.#failure;
    }
  }

  #truncated(): VhdError {
    const { positionBytes, stretch, what } = this.#walk;
    const isFirst = stretch instanceof Collected && positionBytes === stretch.soFar().length;
    const first = isFirst ? stretch.soFar() : new Uint8Array(0);
    if (!hasText(first, footerCookie.slice(0, first.length)) && !this.#reading.acceptFixed) {
      return new VhdError('bad-cookie', 0, `Not a VHD: ${positionBytes} bytes without "${footerCookie}"`);
    }
    const of = this.lengthBytes === null ? '' : ` of ${this.lengthBytes}`;
    return new VhdError(
      'truncated',
      positionBytes,
      `The VHD is cut short: the stream ended after ${positionBytes}${of} bytes, in the ${what}`,
    );
  }

  /** Adds the reason where the bytes that do not fit turn out to be an HTTP error of the server. */
  #explained(error: unknown): Error {
    if (!(error instanceof VhdError)) {
      return error instanceof Error ? error : new Error(String(error));
    }
    const found = tailCodes.has(error.code)
      ? this.#tail.find(error.code === 'truncated' ? 0 : error.offsetBytes)
      : null;
    if (found === null) {
      return error;
    }
    const { offsetBytes, statusLine } = found;
    return new VhdError(
      error.code,
      offsetBytes,
      `${error.message}; from byte ${offsetBytes} on stands an HTTP error of the server: ${statusLine}`,
      statusLine,
    );
  }
}

/** Faults that bytes of something else than a VHD cause. */
const tailCodes: ReadonlySet<string> = new Set(['bad-cookie', 'truncated', 'trailing-data']);
