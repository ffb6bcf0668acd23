/** Whether a run that died left a copy that can be gone on with, and where. */
import { own, sameUuid } from './keys';
import type { StagingProgress } from './keys';
import type { JobDefinition } from './job';
import { parseTemporaryName } from './marks';
import type { Leftover, ObjectId, Observation, SourceSnapshot } from './observation';
import type { DiskCopy } from './plan';

export interface ResumableDisk {
  readonly device: string;
  readonly vdi: ObjectId;
  readonly progress: StagingProgress;
}

export interface Resume {
  readonly snapshot: SourceSnapshot;
  readonly disks: readonly ResumableDisk[];
}

/**
 * The copy to go on with, or null. It must be the same copy: the same snapshot, still of these disks; the same
 * size; started from the same base. That the content is the same is proved by digest while it is read again.
 * Of several the one that got furthest.
 */
export function findResume(
  job: JobDefinition,
  observation: Observation,
  copies: readonly DiskCopy[],
): Resume | null {
  const candidates = observation.source.snapshots
    .filter(
      (snapshot) =>
        isUnfinished(job, snapshot, observation.source.snapshots) &&
        isOfItsGroup(job, snapshot, observation.run) &&
        fits(snapshot, observation),
    )
    .map((snapshot): Resume => ({ snapshot, disks: disksOf(snapshot, observation.leftovers, copies) }))
    .filter(({ snapshot, disks }) => disks.length > 0 || isGroupsOwn(job, snapshot))
    .sort((a, b) => confirmedBytes(b) - confirmedBytes(a));
  return candidates[0] ?? null;
}

/** Leftovers that are garbage: all but what is gone on with. */
export function garbage(leftovers: readonly Leftover[], resume: Resume | null): readonly Leftover[] {
  if (resume === null) return leftovers;
  const kept = new Set([resume.snapshot.id.uuid, ...resume.disks.map(({ vdi }) => vdi.uuid)]);
  return leftovers.filter(({ id }) => !kept.has(id.uuid));
}

/** Taken for this job and target, never committed, and newer than all that was: a replica does not go back in time. */
function isUnfinished(job: JobDefinition, snapshot: SourceSnapshot, all: readonly SourceSnapshot[]): boolean {
  const mark = own(snapshot.runMark);
  return (
    mark?.job === job.jobId &&
    sameUuid(mark.sr, job.target.srUuid) &&
    snapshot.commit.kind === 'absent' &&
    snapshot.otherCommits.length === 0 &&
    all.every((other) => own(other.commit) === null || other.takenAtMs <= snapshot.takenAtMs)
  );
}

/** The snapshot of an earlier run belongs to another moment than those that the group gets now. */
function isOfItsGroup(job: JobDefinition, snapshot: SourceSnapshot, run: string): boolean {
  return job.snapshot.groupSkewMs === null || own(snapshot.runMark)?.run === run;
}

/**
 * Of a snapshot that passed all else: an earlier attempt of this very run took it together with those of its group, and
 * there is no second one, so it is gone on with though no disk was begun. It bears its final name once all is done that
 * makes it fit to be copied.
 */
function isGroupsOwn(job: JobDefinition, { id }: SourceSnapshot): boolean {
  return job.snapshot.groupSkewMs !== null && parseTemporaryName(id.name) === null;
}

/** Disks that were added, removed, grown or replaced since make it another copy. */
function fits(snapshot: SourceSnapshot, { source }: Observation): boolean {
  return (
    snapshot.disks.length === source.disks.length &&
    source.disks.every((live) =>
      snapshot.disks.some(
        (disk) =>
          disk.device === live.device &&
          disk.snapshotOf === live.vdi.uuid &&
          disk.sizeBytes === live.sizeBytes,
      ),
    )
  );
}

function disksOf(
  snapshot: SourceSnapshot,
  leftovers: readonly Leftover[],
  copies: readonly DiskCopy[],
): readonly ResumableDisk[] {
  return copies.flatMap((copy): ResumableDisk[] => {
    const disk = snapshot.disks.find(({ device }) => device === copy.device);
    const best = leftovers
      .filter(
        (leftover) =>
          disk !== undefined &&
          isSameCopy(leftover.progress, copy, snapshot, disk.vdi.uuid) &&
          isUntouched(leftover),
      )
      .sort((a, b) => (b.progress?.confirmedBytes ?? 0) - (a.progress?.confirmedBytes ?? 0))[0];
    return best?.progress === undefined
      ? []
      : [{ device: copy.device, vdi: best.id, progress: best.progress }];
  });
}

function isSameCopy(
  progress: StagingProgress | undefined,
  copy: DiskCopy,
  snapshot: SourceSnapshot,
  sourceVdi: string,
): boolean {
  return (
    progress?.device === copy.device &&
    progress.sourceSnapshot === snapshot.id.uuid &&
    progress.sourceVdi === sourceVdi &&
    progress.sizeBytes === copy.sizeBytes &&
    progress.base === (copy.kind === 'delta' ? copy.base.pointVdi.uuid : null) &&
    // A delta read another way skips other parts: its digest, and what was sent, do not go on.
    (progress.complete || copy.kind === 'full' || progress.method === copy.method) &&
    (progress.complete || progress.confirmedBytes > 0)
  );
}

/** One that was filled is not read again before its commit: it must still be as it was then. */
function isUntouched({ progress, contentId }: Leftover): boolean {
  const then = progress?.contentId;
  return progress?.complete !== true || then === undefined || then === null || then === contentId;
}

function confirmedBytes({ disks }: Resume): number {
  return disks.reduce(
    (sum, { progress }) => sum + (progress.complete ? progress.sizeBytes : progress.confirmedBytes),
    0,
  );
}
