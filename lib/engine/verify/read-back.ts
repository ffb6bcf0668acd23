/** Reads one disk back and holds it against its yardstick. */
import { setImmediate } from 'node:timers/promises';
import { DiskDigest } from '../data/disk-digest';
import type { DiskReader, Extent } from '../data/extent';
import { blockCount, blockLength, blocksOf, isZeroBlock, seedBlockBytes } from '../seed/blocks';
import { compareDisk } from '../seed/compare';

export interface ReadBackOptions {
  /** Null: the whole disk. */
  readonly sampleBytes: number | null;
  readonly signal: AbortSignal;
  /** @param bytesDone how far on the disk */
  readonly onProgress: (bytesDone: number) => void;
}

export interface CompareWithSourceOptions extends ReadBackOptions {
  /** Also digest the content, where all of it is read: half as much work again. */
  readonly takeDigest: boolean;
}

export interface ReadBack {
  /** `beginning`: every byte before `comparedBytes`; `random`: blocks from all over the disk. */
  readonly sample: 'whole' | 'beginning' | 'random';
  readonly comparedBytes: number;
  readonly differingBlocks: number;
  /** Where the first block that differs begins; null where none does, or where only a digest tells. */
  readonly firstDifferenceBytes: number | null;
  /** Digest of the whole content as the recovery point has it; null where not all was read, or nobody asked. */
  readonly digest: string | null;
}

/** Side by side, byte by byte. On any failure both transfers are closed. */
export async function compareWithSource(
  source: DiskReader,
  target: DiskReader,
  { sampleBytes, signal, onProgress, takeDigest }: CompareWithSourceOptions,
): Promise<ReadBack> {
  const digest = takeDigest && sampleBytes === null ? new DiskDigest(source.sizeBytes, false) : null;
  const { comparedBytes, differing } = await compareDisk({ kind: 'source', reader: source }, target, {
    sampleBytes,
    signal,
    onProgress,
    ...(digest === null ? {} : { onTarget: (piece: Extent) => addContent(digest, piece, source.sizeBytes) }),
  });
  digest?.zerosUntil(source.sizeBytes);
  const [first] = differing.indices();
  return {
    sample: comparedBytes === target.sizeBytes ? 'whole' : 'beginning',
    comparedBytes,
    differingBlocks: differing.size,
    firstDifferenceBytes: first === undefined ? null : first * seedBlockBytes,
    digest: digest?.values().sparse ?? null,
  };
}

/**
 * Against a digest of the whole content. It says whether, not where. Storage may have made the disk larger than the content:
 * behind it there have to be zeros, which no digest counts.
 *
 * A first copy onto a disk that was not known to read as zeros has a digest with its zeros in it, any other has one
 * without: both are taken of what is read.
 */
export async function compareWithDigest(
  { digest: wanted, contentBytes }: { readonly digest: string; readonly contentBytes: number },
  target: DiskReader,
  { signal, onProgress }: ReadBackOptions,
): Promise<ReadBack> {
  const { sizeBytes } = target;
  const digest = new DiskDigest(contentBytes, true);
  let isZeroBehind = true;
  try {
    for await (const piece of target.extents()) {
      await takeZeros(digest, Math.min(piece.offsetBytes, contentBytes), signal);
      addContent(digest, piece, contentBytes);
      isZeroBehind &&= isZeroBlock(piece.data.subarray(Math.max(0, contentBytes - piece.offsetBytes)));
      onProgress(digest.reachedBytes);
    }
    await takeZeros(digest, contentBytes, signal);
    onProgress(sizeBytes);
    await target.finish();
  } catch (error) {
    await target.abort();
    throw error;
  }
  const { sparse, whole } = digest.values();
  const equal = isZeroBehind && (sparse === wanted || whole === wanted);
  return {
    sample: 'whole',
    comparedBytes: sizeBytes,
    differingBlocks: equal ? 0 : blockCount(sizeBytes),
    firstDifferenceBytes: null,
    digest: sparse,
  };
}

/** What of a piece lies behind the end of the content is none of it. */
function addContent(digest: DiskDigest, { offsetBytes, data }: Extent, contentBytes: number): void {
  if (offsetBytes < contentBytes)
    digest.add({ offsetBytes, data: data.subarray(0, contentBytes - offsetBytes) });
}

/** So much takes some milliseconds: of a disk of terabytes in which nothing is written, all of it would take a minute. */
const zerosAtOnceBytes = 128 * 1024 * 1024;

async function takeZeros(digest: DiskDigest, endBytes: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  while (endBytes - digest.reachedBytes > zerosAtOnceBytes) {
    digest.zerosUntil(digest.reachedBytes + zerosAtOnceBytes);
    await setImmediate();
    signal.throwIfAborted();
  }
  digest.zerosUntil(endBytes);
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
