/** Reads one disk back and holds it against its yardstick. */
import { ContentDigest } from '../data/digest';
import type { DiskReader, Extent } from '../data/extent';
import { fillGaps, gather, newPieceBuffer } from '../data/grains';
import { blockCount, blockLength, blocksOf, seedBlockBytes } from '../seed/blocks';
import { compareDisk } from '../seed/compare';

export interface ReadBackOptions {
  /** Null: the whole disk. */
  readonly sampleBytes: number | null;
  readonly signal: AbortSignal;
  /** @param bytesDone how far on the disk */
  readonly onProgress: (bytesDone: number) => void;
}

export interface ReadBack {
  /** `beginning`: every byte before `comparedBytes`; `random`: blocks from all over the disk. */
  readonly sample: 'whole' | 'beginning' | 'random';
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
  const { comparedBytes, differing } = await compareDisk({ kind: 'source', reader: source }, target, {
    sampleBytes,
    signal,
    onProgress,
    ...(sampleBytes === null ? { onTarget: (block: Extent) => void digest.update(block) } : {}),
  });
  const [first] = differing.indices();
  return {
    sample: comparedBytes === target.sizeBytes ? 'whole' : 'beginning',
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
    const memory = newPieceBuffer();
    const content = fillGaps(target.extents(), target.sizeBytes);
    for await (const piece of gather(content, { take: () => memory })) {
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
    sample: 'whole',
    comparedBytes: target.sizeBytes,
    differingBlocks: equal ? 0 : blockCount(target.sizeBytes),
    firstDifferenceBytes: null,
    digest,
  };
}

/**
 * Chosen blocks, from readers that read these and nothing else. On any failure both connections are closed.
 *
 * @param indices ascending
 */
export async function compareChosen(
  indices: readonly number[],
  source: DiskReader,
  target: DiskReader,
  { signal, onProgress }: Omit<ReadBackOptions, 'sampleBytes'>,
): Promise<ReadBack> {
  const differing: number[] = [];
  let comparedBytes = 0;
  try {
    const ofSource = blocksOf(source.extents(), source.sizeBytes);
    const ofTarget = blocksOf(target.extents(), target.sizeBytes);
    for (const index of indices) {
      signal.throwIfAborted();
      const [a, b] = await Promise.all([ofSource.next(), ofTarget.next()]);
      if (a.done === true || b.done === true || a.value.index !== index || b.value.index !== index)
        throw new RangeError(`block ${String(index)} did not come when it was its turn`);
      if (Buffer.compare(a.value.data, b.value.data) !== 0) differing.push(index);
      comparedBytes += a.value.data.length;
      onProgress((index + 1) * seedBlockBytes);
    }
    await Promise.all([ofSource.next(), ofTarget.next()]);
    await Promise.all([source.finish(), target.finish()]);
  } catch (error) {
    await Promise.all([source.abort(), target.abort()]);
    throw error;
  }
  const [first] = differing;
  return {
    sample: 'random',
    comparedBytes,
    differingBlocks: differing.length,
    firstDifferenceBytes: first === undefined ? null : first * seedBlockBytes,
    digest: null,
  };
}

/** Where the chosen blocks lie on a disk. */
export function rangesOf(
  indices: readonly number[],
  sizeBytes: number,
): readonly { readonly offsetBytes: number; readonly lengthBytes: number }[] {
  return indices.map((index) => ({
    offsetBytes: index * seedBlockBytes,
    lengthBytes: blockLength(index, sizeBytes),
  }));
}
