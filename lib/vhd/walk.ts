import { VhdError } from './errors';
import { sectorBytes } from './geometry';
import { Skipped, type Stretch } from './stretches';

/** No file with a sector number of 32 bits for each block reaches further. */
const offsetBytesMax = 2 ** 32 * sectorBytes;

/** The way through a stream, forward only, one stretch after the other. */
export class Walk {
  #stretch: Stretch = new Skipped(0);
  #what: string;
  #next: () => void;
  #positionBytes = 0;

  /** @param start enters the first stretch */
  constructor(what: string, start: () => void) {
    this.#what = what;
    this.#next = start;
  }

  /** How much of the stream was read. */
  get positionBytes(): number {
    return this.#positionBytes;
  }

  /** Name of the stretch where the stream is now, for messages. */
  get what(): string {
    return this.#what;
  }

  get stretch(): Stretch {
    return this.#stretch;
  }

  /** Reads a chunk. Stretches that are complete, or empty from the start, are left at once. */
  consume(chunk: Uint8Array): void {
    let rest = chunk;
    for (;;) {
      while (this.#stretch.leftBytes === 0) {
        this.#next();
      }
      if (rest.length === 0) {
        return;
      }
      const pieceBytes = Math.min(rest.length, this.#stretch.leftBytes);
      this.#stretch.take(rest.subarray(0, pieceBytes));
      this.#positionBytes += pieceBytes;
      rest = rest.subarray(pieceBytes);
    }
  }

  /** Reads this stretch next; `next` is called when it is complete, and enters the one after it. */
  enter<S extends Stretch>(what: string, stretch: S, next: (stretch: S) => void): void {
    this.#what = what;
    this.#stretch = stretch;
    this.#next = () => {
      next(stretch);
    };
  }

  /** Skips to a position that a checked structure names, or refuses it: there is no way back. */
  skipTo(offsetBytes: number, what: string, next: () => void): void {
    const isAligned = offsetBytes % sectorBytes === 0;
    if (!isAligned || offsetBytes < this.#positionBytes || offsetBytes > offsetBytesMax) {
      throw new VhdError(
        'bad-header',
        this.#positionBytes,
        `Cannot read the VHD: its ${what} is said to stand at byte ${offsetBytes}, expected a multiple of 512 from ${this.#positionBytes} on`,
      );
    }
    this.enter(`gap before the ${what}`, new Skipped(offsetBytes - this.#positionBytes), next);
  }
}
