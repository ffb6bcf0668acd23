/** Reads one disk back and holds it against its yardstick. */
import { ContentDigest } from '../data/digest';
import type { DiskReader, Extent } from '../data/extent';
import { fillGaps, gather } from '../data/grains';
import { blockCount, seedBlockBytes } from '../seed/blocks';
import { compareDisk } from '../seed/compare';

export interface ReadBackOptions {
  /** Null: the whole disk. */
  readonly sampleBytes: number | null;
  readonly signal: AbortSignal;
  /** @param bytesDone how far on the disk */
  readonly onProgress: (bytesDone: number) => void;
}

export interface ReadBack {
  /** Every byte before this position was compared. */
  readonly comparedBytes: number;
  readonly differingBlocks: number;
  /** Where the first block that differs begins; null where none does, or where only a digest tells. */
  readonly firstDifferenceBytes: number | null;
  /** Digest of the whole content as the recovery point has it; null where not all was read. */
  readonly digest: string | null;
}

/** Side by side, block by block. On any failure both transfers are closed. */
export async function compareWithSource(
  source: DiskReader,
  target: DiskReader,
  { sampleBytes, signal, onProgress }: ReadBackOptions,
): Promise<ReadBack> {
  const digest = new ContentDigest(true);
  const { comparedBytes, differing } = await compareDisk(
    { kind: 'source', reader: source },
    sampleBytes === null ? new Digested(target, digest) : target,
    { sampleBytes, signal, onProgress },
  );
  const [first] = differing.indices();
  return {
    comparedBytes,
    differingBlocks: differing.size,
    firstDifferenceBytes: first === undefined ? null : first * seedBlockBytes,
    digest: sampleBytes === null ? digest.value() : null,
  };
}

/**
 * Against a digest of the whole content. It says whether, not where.
 *
 * A first copy onto a disk that was not known to read as zeros has a digest with its zeros in it, any other has one
 * without: both are taken of what is read.
 */
export async function compareWithDigest(
  wanted: string,
  target: DiskReader,
  { signal, onProgress }: ReadBackOptions,
): Promise<ReadBack> {
  const sparse = new ContentDigest(true);
  const whole = new ContentDigest(false);
  try {
    for await (const piece of gather(fillGaps(target.extents(), target.sizeBytes))) {
      signal.throwIfAborted();
      sparse.update(piece);
      whole.update(piece);
      onProgress(piece.offsetBytes + piece.data.length);
    }
    await target.finish();
  } catch (error) {
    await target.abort();
    throw error;
  }
  const digest = sparse.value();
  const equal = digest === wanted || whole.value() === wanted;
  return {
    comparedBytes: target.sizeBytes,
    differingBlocks: equal ? 0 : blockCount(target.sizeBytes),
    firstDifferenceBytes: null,
    digest,
  };
}

/** A reader whose content is digested on its way. */
class Digested implements DiskReader {
  readonly #reader: DiskReader;
  readonly #digest: ContentDigest;

  constructor(reader: DiskReader, digest: ContentDigest) {
    this.#reader = reader;
    this.#digest = digest;
  }

  get sizeBytes(): number {
    return this.#reader.sizeBytes;
  }

  get changedBytes(): number {
    return this.#reader.changedBytes;
  }

  get bytesRead(): number {
    return this.#reader.bytesRead;
  }

  async *extents(): AsyncIterable<Extent> {
    for await (const piece of gather(this.#reader.extents())) {
      this.#digest.update(piece);
      yield piece;
    }
  }

  finish(): Promise<void> {
    return this.#reader.finish();
  }

  abort(): Promise<void> {
    return this.#reader.abort();
  }
}
