/** How each disk of the source VM gets to the target: a delta where its own history is proved, else a full. */
import type { ObservedDisk, SourceSnapshot, TargetObservation } from './observation';
import type { Base, DiskCopy } from './plan';

/**
 * One copy per source disk. `base` null means that the whole VM has none, for the reason given.
 * A disk that was added or replaced since the base is copied in full, and says so.
 */
export function planCopies(
  disks: readonly ObservedDisk[],
  base: Base | null,
  baseSnapshot: SourceSnapshot | null,
  noBaseBecause: string,
  target: TargetObservation,
): readonly DiskCopy[] {
  return disks.map((disk): DiskCopy => {
    const common = { device: disk.device, sourceVdi: disk.vdi, sizeBytes: disk.sizeBytes };
    const baseDisk = base?.disks.find(({ device }) => device === disk.device);
    const because =
      base === null
        ? noBaseBecause
        : whyFull(
            disk,
            baseSnapshot?.disks.find(({ device }) => device === disk.device),
          );
    return because === null && baseDisk !== undefined
      ? { kind: 'delta', ...common, base: baseDisk }
      : {
          kind: 'full',
          ...common,
          because: because ?? 'the base has no such disk',
          elideZeros: target.zeroedDisks,
        };
  });
}

function whyFull(disk: ObservedDisk, inBase: ObservedDisk | undefined): string | null {
  if (inBase === undefined) return 'the disk was added since the last recovery point';
  if (inBase.snapshotOf !== disk.vdi.uuid)
    return 'the disk was replaced by another since the last recovery point';
  if (inBase.sizeBytes > disk.sizeBytes) return 'the disk is smaller than it was at the last recovery point';
  return null;
}

/**
 * Bytes the target SR must have free before a byte is sent. On thick SRs a clone needs its full virtual size;
 * on thin ones a full copy needs what the source has allocated (a delta's size is known only from its stream).
 */
export function spaceNeeded(
  copies: readonly DiskCopy[],
  disks: readonly ObservedDisk[],
  allocation: 'thin' | 'thick',
): number {
  const needs = copies.map((copy) => {
    if (allocation === 'thick') return copy.sizeBytes;
    if (copy.kind === 'delta') return 0;
    return disks.find(({ device }) => device === copy.device)?.allocatedBytes ?? copy.sizeBytes;
  });
  return needs.reduce((sum, bytes) => sum + bytes, 0);
}
