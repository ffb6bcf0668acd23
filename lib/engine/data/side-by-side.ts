/** Two disks, read at the same pace. */
import type { Extent } from './extent';

/** A stretch of a disk that each side either gave or left out, that is: holds zeros in. Never both left out. */
export interface Stretch {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly source: Uint8Array | null;
  readonly target: Uint8Array | null;
}

/**
 * Everything that either side gives, cut where the other one's pieces or a block end. Nothing is copied and nothing is
 * held: a stretch is only there until the next is asked for, and neither side gets ahead of the other by more than a piece.
 *
 * @param blockBytes no stretch crosses a multiple of it
 * @throws what either side failed with, at once: what the other one is waiting for is not waited for. Whoever reads them
 *   has to abort both
 */
export async function* sideBySide(
  source: AsyncIterable<Extent>,
  target: AsyncIterable<Extent>,
  blockBytes: number,
): AsyncGenerator<Stretch> {
  const sides = [new Side(source), new Side(target)] as const;
  const [ofSource, ofTarget] = sides;
  let failed = false;
  try {
    for (;;) {
      if (ofSource.needsMore || ofTarget.needsMore) await Promise.all(sides.map((side) => side.pull()));
      const offsetBytes = Math.min(ofSource.offsetBytes, ofTarget.offsetBytes);
      if (offsetBytes === Infinity) return;
      const toBorder = blockBytes - (offsetBytes % blockBytes);
      const lengthBytes = Math.min(toBorder, ofSource.runFrom(offsetBytes), ofTarget.runFrom(offsetBytes));
      yield {
        offsetBytes,
        lengthBytes,
        source: ofSource.take(offsetBytes, lengthBytes),
        target: ofTarget.take(offsetBytes, lengthBytes),
      };
    }
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    const closing = Promise.allSettled(sides.map((side) => side.close()));
    if (!failed) await closing;
  }
}

const nothing = new Uint8Array(0);

/** What one side gave last, as far as it was not used up. */
class Side {
  readonly #extents: AsyncIterator<Extent>;
  #data: Uint8Array = nothing;
  /** Where `#data` begins; Infinity after the end. */
  offsetBytes = 0;

  constructor(extents: AsyncIterable<Extent>) {
    this.#extents = extents[Symbol.asyncIterator]();
  }

  get needsMore(): boolean {
    return this.#data.length === 0 && this.offsetBytes !== Infinity;
  }

  async pull(): Promise<void> {
    while (this.needsMore) {
      const next = await this.#extents.next();
      this.#data = next.done === true ? nothing : next.value.data;
      this.offsetBytes = next.done === true ? Infinity : next.value.offsetBytes;
    }
  }

  /** How far from there on it is the same: given, or left out. */
  runFrom(offsetBytes: number): number {
    return this.offsetBytes === offsetBytes ? this.#data.length : this.offsetBytes - offsetBytes;
  }

  take(offsetBytes: number, lengthBytes: number): Uint8Array | null {
    if (this.offsetBytes !== offsetBytes) return null;
    const taken = this.#data.subarray(0, lengthBytes);
    this.#data = this.#data.subarray(lengthBytes);
    this.offsetBytes += lengthBytes;
    return taken;
  }

  async close(): Promise<void> {
    await this.#extents.return?.();
  }
}
