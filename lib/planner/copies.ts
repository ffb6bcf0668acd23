/** How each disk of the source VM gets to the target: a delta where its own history is proved, else a full. */
import type { JobDefinition } from './job';
import type { NbdFacts, ObservedDisk, SourceSnapshot, TargetObservation } from './observation';
import type { Base, DiskCopy } from './plan';
import { methodOfDelta, methodOfFull, whyUnreadable } from './transfer';

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
  { job, nbd }: { readonly job: JobDefinition; readonly nbd: NbdFacts | null },
): readonly DiskCopy[] {
  return disks.map((disk): DiskCopy => {
    const common = { device: disk.device, sourceVdi: disk.vdi, sizeBytes: disk.sizeBytes };
    const baseDisk = base?.disks.find(({ device }) => device === disk.device);
    // Of a disk that is new, or that no snapshot can be of, nothing is lost: its full is the only copy there can be.
    const inBase =
      base === null ? undefined : baseSnapshot?.disks.find(({ device }) => device === disk.device);
    const because =
      base === null
        ? noBaseBecause
        : (whyFull(disk, inBase, target.zeroedDisks) ?? unreadable(nbd, disk, inBase));
    return because === null && baseDisk !== undefined && inBase !== undefined
      ? { kind: 'delta', ...common, base: baseDisk, ...methodOfDelta(nbd, disk, inBase) }
      : {
          kind: 'full',
          ...common,
          ...methodOfFull(job, nbd, disk),
          because: because ?? 'the base has no such disk',
          baseLost: inBase?.isSnapshot === true,
          elideZeros: target.zeroedDisks,
        };
  });
}

function unreadable(
  nbd: NbdFacts | null,
  disk: ObservedDisk,
  inBase: ObservedDisk | undefined,
): string | null {
  return inBase === undefined ? null : whyUnreadable(nbd, disk, inBase);
}

function whyFull(disk: ObservedDisk, inBase: ObservedDisk | undefined, zeroedDisks: boolean): string | null {
  if (inBase === undefined) return 'the disk was added since the last recovery point';
  if (!inBase.isSnapshot)
    return 'the disk is attached read-only, so that a snapshot shares it and nothing tells what changed';
  if (inBase.snapshotOf !== disk.vdi.uuid)
    return 'the disk was replaced by another since the last recovery point';
  // The server compares any two disks without a word; a relation over two SRs is none.
  if (inBase.sr.uuid !== disk.sr.uuid)
    return 'the disk was moved to another SR since the last recovery point';
  if (inBase.sizeBytes > disk.sizeBytes) return 'the disk is smaller than it was at the last recovery point';
  // A delta names only what was written: the rest of the new end must read as zeros by itself.
  if (inBase.sizeBytes < disk.sizeBytes && !zeroedDisks)
    return 'the disk has grown, and the target SR is not known to hand out zeroed space';
  return null;
}
