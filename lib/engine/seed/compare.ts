/**
 * Whether two disks have the same content, block by block.
 *
 * Exports are streams from the start of the disk: nothing can be read from the middle without reading all before it.
 * So a sample is a beginning, and what it proves is said as it is: every byte up to a position, and nothing about the
 * rest.
 */
import type { DiskReader, Extent } from '../data/extent';
import { sideBySide } from '../data/side-by-side';
import type { Stretch } from '../data/side-by-side';
import { blockCount, blockLength, BlockSet, blocksOf, digestOf, isZeroBlock, seedBlockBytes } from './blocks';

/** The digest of each block of a disk, null where it is all zeros; as written at the export. */
export type BlockDigests = readonly (string | null)[];

/** What the target disk is compared with. */
export type Wanted =
  | { readonly kind: 'source'; readonly reader: DiskReader }
  | { readonly kind: 'manifest'; readonly digests: BlockDigests };

export interface CompareOptions {
  /** Stop once this much was read of one side; null: to the end. */
  readonly sampleBytes: number | null;
  readonly signal: AbortSignal;
  /** @param positionBytes how far on the disk */
  readonly onProgress: (positionBytes: number) => void;
  /** Sees everything that the target gives, ascending; what is left out holds zeros. */
  readonly onTarget?: (piece: Extent) => void;
}

export interface Comparison {
  /** Every byte of the disk before this position was compared. */
  readonly comparedBytes: number;
  readonly differing: BlockSet;
}

/** Reads both sides side by side, holding nothing. On any failure both transfers are closed. */
export async function compareDisk(
  wanted: Wanted,
  target: DiskReader,
  options: CompareOptions,
): Promise<Comparison> {
  const readers = wanted.kind === 'source' ? [wanted.reader, target] : [target];
  try {
    const comparison =
      wanted.kind === 'source'
        ? await compareStreams(wanted.reader, target, options)
        : await compareDigests(wanted.digests, target, options);
    if (comparison.comparedBytes < target.sizeBytes) {
      await Promise.all(readers.map((reader) => reader.abort()));
    } else {
      // The end of a stream says that it is whole only together with the verdict of its task.
      for (const reader of readers) await reader.finish();
    }
    return comparison;
  } catch (error) {
    await Promise.all(readers.map((reader) => reader.abort()));
    throw error;
  }
}

async function compareStreams(
  source: DiskReader,
  target: DiskReader,
  { sampleBytes, signal, onProgress, onTarget }: CompareOptions,
): Promise<Comparison> {
  const { sizeBytes } = target;
  const differing = new BlockSet(blockCount(sizeBytes));
  let blocks = 0;
  /** Where the block ends that is being read. */
  let endBytes = 0;
  for await (const stretch of sideBySide(source.extents(), target.extents(), seedBlockBytes)) {
    signal.throwIfAborted();
    const { offsetBytes, lengthBytes } = stretch;
    if (offsetBytes + lengthBytes > sizeBytes)
      throw new RangeError(`data at ${String(offsetBytes)} lies behind the end of the disk`);
    const index = Math.floor(offsetBytes / seedBlockBytes);
    if (offsetBytes >= endBytes) {
      if (blocks > 0) onProgress(endBytes);
      if (sampleBytes !== null && blocks > 0 && blocks * seedBlockBytes >= sampleBytes)
        return { comparedBytes: endBytes, differing };
      blocks += 1;
      endBytes = index * seedBlockBytes + blockLength(index, sizeBytes);
    }
    if (!sameContent(stretch)) differing.add(index);
    if (stretch.target !== null) onTarget?.({ offsetBytes, data: stretch.target });
  }
  onProgress(sizeBytes);
  return { comparedBytes: sizeBytes, differing };
}

async function compareDigests(
  digests: BlockDigests,
  target: DiskReader,
  { sampleBytes, signal, onProgress }: CompareOptions,
): Promise<Comparison> {
  const count = blockCount(target.sizeBytes);
  const differing = new BlockSet(count);
  let next = 0;
  let readBytes = 0;
  const absentUntil = (end: number): void => {
    for (; next < end; next += 1) if ((digests[next] ?? null) !== null) differing.add(next);
  };
  for await (const { index, data } of blocksOf(target.extents(), target.sizeBytes)) {
    signal.throwIfAborted();
    absentUntil(index);
    const digest = isZeroBlock(data) ? null : digestOf(data);
    if (digest !== (digests[index] ?? null)) differing.add(index);
    next = index + 1;
    readBytes += data.length;
    const positionBytes = Math.min(next * seedBlockBytes, target.sizeBytes);
    onProgress(positionBytes);
    if (sampleBytes !== null && readBytes >= sampleBytes && next < count) {
      return { comparedBytes: positionBytes, differing };
    }
  }
  absentUntil(count);
  return { comparedBytes: target.sizeBytes, differing };
}

/** What a stream leaves out reads as zeros. */
function sameContent({ source, target }: Stretch): boolean {
  if (source !== null && target !== null) return Buffer.compare(source, target) === 0;
  const present = source ?? target;
  return present === null || isZeroBlock(present);
}
