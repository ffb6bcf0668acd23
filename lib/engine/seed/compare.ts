/**
 * Whether two disks have the same content, block by block.
 *
 * Exports are streams from the start of the disk: nothing can be read from the middle without reading all before it.
 * So a sample is a beginning, and what it proves is said as it is: every byte up to a position, and nothing about the
 * rest.
 */
import type { DiskReader, Extent } from '../data/extent';
import { blockCount, BlockSet, blocksOf, digestOf, isZeroBlock, seedBlockBytes } from './blocks';
import type { Block } from './blocks';

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
  /** Sees each whole block of the target, ascending; what is left out holds zeros. */
  readonly onTarget?: (block: Extent) => void;
}

export interface Comparison {
  /** Every byte of the disk before this position was compared. */
  readonly comparedBytes: number;
  readonly differing: BlockSet;
}

/** Reads both sides side by side, holding one block of each. On any failure both transfers are closed. */
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
  const differing = new BlockSet(blockCount(target.sizeBytes));
  const left = new Cursor(blocksOf(source.extents(), source.sizeBytes));
  const right = new Cursor(blocksOf(target.extents(), target.sizeBytes));
  let readBytes = 0;
  for (;;) {
    signal.throwIfAborted();
    const [a, b] = await Promise.all([left.peek(), right.peek()]);
    if (a === null && b === null) break;
    const index = Math.min(a?.index ?? Infinity, b?.index ?? Infinity);
    const ofSource = a?.index === index ? left.take() : null;
    const ofTarget = b?.index === index ? right.take() : null;
    if (!sameContent(ofSource, ofTarget)) differing.add(index);
    if (ofTarget !== null) onTarget?.({ offsetBytes: index * seedBlockBytes, data: ofTarget.data });
    readBytes += seedBlockBytes;
    const positionBytes = Math.min((index + 1) * seedBlockBytes, target.sizeBytes);
    onProgress(positionBytes);
    if (sampleBytes !== null && readBytes >= sampleBytes && positionBytes < target.sizeBytes) {
      await Promise.all([left.close(), right.close()]);
      return { comparedBytes: positionBytes, differing };
    }
  }
  return { comparedBytes: target.sizeBytes, differing };
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

/** A block that a stream leaves out reads as zeros. */
function sameContent(one: Block | null, other: Block | null): boolean {
  if (one !== null && other !== null) return Buffer.compare(one.data, other.data) === 0;
  const present = one ?? other;
  return present === null || isZeroBlock(present.data);
}

/** Looks one block ahead. */
class Cursor {
  readonly #blocks: AsyncGenerator<Block>;
  #ahead: Block | null | undefined;

  constructor(blocks: AsyncGenerator<Block>) {
    this.#blocks = blocks;
  }

  async peek(): Promise<Block | null> {
    if (this.#ahead === undefined) {
      const next = await this.#blocks.next();
      this.#ahead = next.done === true ? null : next.value;
    }
    return this.#ahead;
  }

  take(): Block | null {
    const block = this.#ahead ?? null;
    if (block !== null) this.#ahead = undefined;
    return block;
  }

  async close(): Promise<void> {
    await this.#blocks.return(undefined);
  }
}
