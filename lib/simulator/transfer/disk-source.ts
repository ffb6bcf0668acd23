import { BLOCK_BYTES } from '../storage';
import { vhdTime } from '../storage/vhd-metadata';
import type { TransferPool, TransferVdi } from './pool-side';

/** The file that a delta export names as the parent of its stream. */
export interface ExportParent {
  readonly uniqueId: Buffer;
  readonly timeStamp: number;
  readonly path: string;
}

/** A disk as an export reads it: which 2 MiB blocks are included, and their content. */
export interface DiskSource {
  readonly sizeBytes: number;
  readonly blocks: readonly number[];
  readonly parent: ExportParent | null;
  /** Content of one block, in `target` (2 MiB). */
  readBlock(block: number, target: Buffer): Promise<void>;
  /** Content of included blocks, zeros elsewhere. */
  readPart(offset: number, target: Buffer): Promise<void>;
}

/** Thrown for disks that are no VHDs where a difference is asked for. */
class NoDifferenceError extends Error {
  readonly code = 'INTERNAL_ERROR';
  readonly params: readonly string[];
  constructor(text: string) {
    super(text);
    this.params = [`Failure("${text}")`];
  }
}

/** Throws INTERNAL_ERROR when a difference is asked for between disks that are not both VHDs. */
export function openDiskSource(pool: TransferPool, vdi: TransferVdi, base: TransferVdi | null): DiskSource {
  if (base !== null && !base.vhdBacked) {
    throw new NoDifferenceError('base VDI is not a vhd; cannot compute differences');
  }
  if (base !== null && !vdi.vhdBacked)
    throw new NoDifferenceError('Cannot compute differences on non-VHD images');
  const blocks = includedBlocks(vdi, base);
  const included = new Set(blocks);
  const readBlock = (block: number, target: Buffer): Promise<void> =>
    vdi.store.readInto(vdi.imageId, block * BLOCK_BYTES, target);
  return {
    sizeBytes: vdi.sizeBytes,
    blocks,
    parent: base === null ? null : parentOf(pool, base),
    readBlock,
    async readPart(offset, target) {
      if (included.has(Math.floor(offset / BLOCK_BYTES)))
        await vdi.store.readInto(vdi.imageId, offset, target);
      else target.fill(0);
    },
  };
}

/**
 * A VHD: every block present in a file of the chain, or, with a base, in a file that only one of the two chains has; an unrelated
 * base is not refused. A raw volume: every block, zeros are not looked for.
 */
function includedBlocks(vdi: TransferVdi, base: TransferVdi | null): number[] {
  if (base === null) {
    if (vdi.vhdBacked) return vdi.store.allocatedBlocks(vdi.imageId);
    return Array.from({ length: vdi.sizeBytes / BLOCK_BYTES }, (_, block) => block);
  }
  if (base.store === vdi.store) return vdi.store.changedBlocks(vdi.imageId, base.imageId);
  const both = [...vdi.store.allocatedBlocks(vdi.imageId), ...base.store.allocatedBlocks(base.imageId)];
  return [...new Set(both)].filter((block) => block * BLOCK_BYTES < vdi.sizeBytes).sort((a, b) => a - b);
}

function parentOf(pool: TransferPool, base: TransferVdi): ExportParent {
  const sr = pool.findSr(base.srRef);
  return {
    uniqueId: base.store.uniqueId(base.imageId),
    timeStamp: vhdTime(base.store.modifiedMs(base.imageId)),
    path: `/run/sr-mount/${sr?.uuid ?? base.srRef}/${base.imageId}.vhd`,
  };
}

/** Success is reported, but the last included block is left out: what the fault `lie` does to an export. */
export function withoutLastBlock(source: DiskSource): DiskSource {
  const blocks = source.blocks.slice(0, -1);
  const missing = source.blocks.at(-1);
  return {
    ...source,
    blocks,
    async readPart(offset, target) {
      if (Math.floor(offset / BLOCK_BYTES) === missing) target.fill(0);
      else await source.readPart(offset, target);
    },
  };
}
