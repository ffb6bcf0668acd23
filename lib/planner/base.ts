/**
 * Which pair of source snapshot and recovery point a delta may start from.
 *
 * A base is valid only if the commit stands on both sides and every object that it names is still there. This
 * is the one place that decides it: a delta onto anything else silently loses blocks.
 */
import { doubts } from './doubt';
import { own, sameUuid } from './keys';
import type { TargetCommit } from './keys';
import type { JobDefinition } from './job';
import type { Observation, ObservedReplica, RecoveryPoint, SourceSnapshot } from './observation';
import type { Base } from './plan';

export type BaseSearch =
  | { readonly kind: 'found'; readonly base: Base; readonly point: RecoveryPoint }
  /** The target is committed, the source snapshot matches, only its mark is missing: finish that first. */
  | { readonly kind: 'unfinished'; readonly commit: TargetCommit; readonly point: RecoveryPoint }
  | { readonly kind: 'none'; readonly reasons: readonly string[] };

/** A recovery point whose commit stands on itself, on its disks, and belongs to this replica of this job. */
export interface CommittedPoint {
  readonly point: RecoveryPoint;
  readonly commit: TargetCommit;
}

/** Recovery points that count, newest first. Copies of commits (clones, reverts, imports) are not among them. */
export function committedPoints(
  job: JobDefinition,
  replica: ObservedReplica | null,
): readonly CommittedPoint[] {
  if (replica === null) return [];
  return replica.points
    .flatMap((point) => {
      const commit = own(point.commit);
      return commit !== null && isOfReplica(commit, job, replica) && disksStand(commit, point)
        ? [{ point, commit }]
        : [];
    })
    .sort((a, b) => b.commit.committedAtMs - a.commit.committedAtMs);
}

export function findBase(observation: Observation, job: JobDefinition): BaseSearch {
  const { source, target } = observation;
  const reasons: string[] = [];
  const points = committedPoints(job, target.replica);
  const doubtful = doubts(points);
  for (const { point, commit } of points) {
    const snapshot = source.snapshots.find(({ id }) => id.uuid === commit.sourceSnapshot);
    const broken =
      doubtful.get(commit.self) ??
      whyTampered(point, commit) ??
      (snapshot === undefined ? 'its source snapshot is gone' : whyNotEqual(snapshot, commit));
    if (snapshot === undefined || broken !== null) {
      reasons.push(`recovery point "${point.id.name}" (${point.id.uuid}): ${broken ?? ''}`);
    } else if (snapshot.commit.kind === 'absent') {
      return { kind: 'unfinished', commit, point };
    } else {
      return { kind: 'found', point, base: toBase(point, commit, snapshot) };
    }
  }
  return { kind: 'none', reasons };
}

function isOfReplica(commit: TargetCommit, job: JobDefinition, replica: ObservedReplica): boolean {
  return (
    commit.job === job.jobId &&
    commit.replica === replica.id.uuid &&
    sameUuid(commit.sr, job.target.srUuid) &&
    commit.sourceVm === replica.mark.sourceVm
  );
}

function disksStand(commit: TargetCommit, point: RecoveryPoint): boolean {
  return commit.disks.every((disk) =>
    point.disks.some(({ device, vdi }) => device === disk.device && vdi.uuid === disk.vdi),
  );
}

/** Its commit says what it equals, which is no longer true once somebody attached a disk of it for writing. */
function whyTampered(point: RecoveryPoint, commit: TargetCommit): string | null {
  for (const { device, vdi, contentId } of commit.disks) {
    const now = point.disks.find((disk) => disk.vdi.uuid === vdi)?.contentId ?? null;
    // A commit without one was written where nothing was known: an id that came later proves nothing.
    if (contentId !== undefined && contentId !== null && now !== contentId)
      return `its disk ${device} (${vdi}) was written to since it was committed`;
  }
  return null;
}

/** Why this source snapshot is not the counterpart of the commit, or null where it is (marked or not yet). */
function whyNotEqual(snapshot: SourceSnapshot, commit: TargetCommit): string | null {
  for (const disk of commit.disks) {
    const found = snapshot.disks.find(({ device }) => device === disk.device);
    if (found?.vdi.uuid !== disk.sourceVdi) return `disk ${disk.device} of its source snapshot is gone`;
  }
  if (snapshot.commit.kind === 'unreadable')
    return `the source's commit cannot be read: ${snapshot.commit.reason}`;
  if (snapshot.commit.kind === 'copied')
    return 'the commit on its source snapshot is a copy of another object’s';
  const sourceCommit = own(snapshot.commit);
  if (sourceCommit === null) return null;
  // The key says for whom it is; a record moved to another key by hand says the truth.
  if (sourceCommit.job !== commit.job || !sameUuid(sourceCommit.sr, commit.sr))
    return 'its source snapshot was committed for another job or SR';
  if (sourceCommit.point !== commit.self)
    return 'its source snapshot was committed for another recovery point';
  if (sourceCommit.replica !== commit.replica) return 'its source snapshot was committed for another replica';
  for (const disk of commit.disks) {
    const pair = sourceCommit.disks.find(({ device }) => device === disk.device);
    if (pair?.vdi !== disk.sourceVdi || pair.pointVdi !== disk.vdi) {
      return `the commits on both sides disagree about disk ${disk.device}`;
    }
  }
  return null;
}

function toBase(point: RecoveryPoint, commit: TargetCommit, snapshot: SourceSnapshot): Base {
  return {
    point: point.id,
    sourceSnapshot: snapshot.id,
    disks: commit.disks.flatMap(({ device }) => {
      const pointDisk = point.disks.find((disk) => disk.device === device);
      const sourceDisk = snapshot.disks.find((disk) => disk.device === device);
      return pointDisk === undefined || sourceDisk === undefined
        ? []
        : [{ device, pointVdi: pointDisk.vdi, sourceVdi: sourceDisk.vdi }];
    }),
  };
}
