/** Whether what a run wrote is what changed on the source: two deltas, block by block. */
import type { DiskReader } from '../data/extent';
import { blocksOf, seedBlockBytes } from '../seed/blocks';
import type { Block } from '../seed/blocks';

export interface DeltaOptions {
  /**
   * Whether this block may be missing on the target: the copy left all of it out, since it knew the base to hold the same
   * already. Any other block that changed on the source must have been written.
   */
  readonly mayMiss: (index: number) => boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (bytesDone: number) => void;
}

export interface DeltaComparison {
  readonly comparedBytes: number;
  readonly differingBlocks: number;
  readonly firstDifferenceBytes: number | null;
}

/**
 * A block of the target that did not change on the source was written by somebody else, and counts as a difference. On
 * any failure both transfers are closed.
 */
export async function compareDeltas(
  source: DiskReader,
  target: DiskReader,
  options: DeltaOptions,
): Promise<DeltaComparison> {
  try {
    const found = await compare(source, target, options);
    await source.finish();
    await target.finish();
    return found;
  } catch (error) {
    await Promise.all([source.abort(), target.abort()]);
    throw error;
  }
}

async function compare(
  source: DiskReader,
  target: DiskReader,
  { mayMiss, signal, onProgress }: DeltaOptions,
): Promise<DeltaComparison> {
  const written = blocksOf(target.extents(), target.sizeBytes);
  const differing: number[] = [];
  let comparedBytes = 0;
  let ahead = await next(written);
  for await (const changed of blocksOf(source.extents(), source.sizeBytes)) {
    signal.throwIfAborted();
    for (; ahead !== null && ahead.index < changed.index; ahead = await next(written))
      differing.push(ahead.index);
    if (ahead?.index === changed.index) {
      comparedBytes += changed.data.length;
      if (Buffer.compare(ahead.data, changed.data) !== 0) differing.push(changed.index);
      ahead = await next(written);
    } else if (!mayMiss(changed.index)) {
      differing.push(changed.index);
    }
    onProgress(comparedBytes);
  }
  for (; ahead !== null; ahead = await next(written)) differing.push(ahead.index);
  const [first] = differing;
  return {
    comparedBytes,
    differingBlocks: differing.length,
    firstDifferenceBytes: first === undefined ? null : first * seedBlockBytes,
  };
}

async function next(blocks: AsyncGenerator<Block>): Promise<Block | null> {
  const result = await blocks.next();
  return result.done === true ? null : result.value;
}
