/** What is destroyed after a commit. Names what goes, and why that is safe; never the newest base. */
import { committedPoints } from './base';
import type { CommittedPoint } from './base';
import { own, sameUuid } from './keys';
import type { JobDefinition } from './job';
import type { Observation } from './observation';
import type { Base, KeptPoint, Step } from './plan';
import { endOfHourMs, hasTiers, isTimeZone, judge } from './tiers';
import type { Dated, Verdict } from './tiers';

export interface Pruning {
  readonly steps: readonly Step[];
  readonly kept: readonly KeptPoint[];
  readonly notes: readonly string[];
}

/** The recovery point that the run is about to make, which is the newest of those kept. */
export interface OwnPoint {
  /** Null where the source's clock was not read: the job's retention only counts. */
  readonly takenAtMs: number | null;
  /** True where the snapshot exists already; else it is taken at this time or somewhat later. */
  readonly exact: boolean;
}

const ownId = 'this run';

/** Recovery points beyond the job's retention, once this run's own has joined them. */
export function pointsToDestroy(job: JobDefinition, observation: Observation, point: OwnPoint): Pruning {
  const committed = committedPoints(job, observation.target.replica);
  const { timeZone } = job.retention;
  if (hasTiers(job.retention) && !isTimeZone(timeZone)) {
    const note = `no recovery point is destroyed: the retention's time zone "${timeZone}" is not known here`;
    return { steps: [], kept: [], notes: [note] };
  }
  const dated = committed.map(datedOf);
  const now = judgePoints(job, [{ id: ownId, takenAtMs: point.takenAtMs }, ...dated]);
  // Taken in a later hour it would not stand in for a point of this one.
  const later = judgePoints(job, [{ id: ownId, takenAtMs: null }, ...dated]);
  const steps = committed.flatMap((one): Step[] => {
    const verdict = now.get(one.point.id.uuid);
    if (verdict?.stays !== false) return [];
    const depends = !point.exact && later.get(one.point.id.uuid)?.stays === true;
    const ifTakenBeforeMs =
      depends && point.takenAtMs !== null ? endOfHourMs(point.takenAtMs, timeZone) : null;
    const because = `superseded: ${verdict.reasons.join('; ')}; this run's point is the new base`;
    return [destroyPoint(one, because, ifTakenBeforeMs)];
  });
  const kept = committed.flatMap(({ point: { id } }): KeptPoint[] => {
    const verdict = now.get(id.uuid);
    return verdict?.stays === true ? [{ point: id, because: verdict.reasons.join('; ') }] : [];
  });
  return { steps, kept, notes: [] };
}

/** What retention does not keep even without a new recovery point: it may go before the next run, but never its base. */
export function alreadySuperseded(
  job: JobDefinition,
  observation: Observation,
  base: Base | null,
): readonly Step[] {
  if (hasTiers(job.retention) && !isTimeZone(job.retention.timeZone)) return [];
  const committed = committedPoints(job, observation.target.replica);
  const verdicts = judgePoints(job, committed.map(datedOf));
  const points = committed.flatMap((one): Step[] => {
    const { uuid } = one.point.id;
    const verdict = verdicts.get(uuid);
    if (verdict?.stays !== false || uuid === base?.point.uuid) return [];
    const because = `superseded: ${verdict.reasons.join('; ')}; the newest base stays, and chains get shorter`;
    return [destroyPoint(one, because, null)];
  });
  const snapshots = supersededSnapshots(
    job,
    observation,
    job.retention.sourceLatest,
    'superseded: newer snapshots are committed on both sides, no other target needs this one, and chains get shorter',
  );
  const isBase = (step: Step): boolean =>
    step.kind === 'destroy-source-snapshot' && step.snapshot.uuid === base?.sourceSnapshot.uuid;
  return [...points, ...snapshots.filter((step) => !isBase(step))];
}

/**
 * Source snapshots of this job and target beyond its retention. A snapshot that another job or target still
 * needs as its base stays, however long that target is away.
 */
export function sourceSnapshotsToDestroy(job: JobDefinition, observation: Observation): readonly Step[] {
  return supersededSnapshots(
    job,
    observation,
    job.retention.sourceLatest - 1,
    'superseded: this run committed a newer snapshot on both sides, and no other target needs this one',
  );
}

function datedOf({ point, commit }: CommittedPoint): Dated {
  return { id: point.id.uuid, takenAtMs: commit.takenAtMs };
}

function judgePoints(job: JobDefinition, newestFirst: readonly Dated[]): ReadonlyMap<string, Verdict> {
  const { retention } = job;
  return judge(newestFirst, hasTiers(retention) ? retention : { ...retention, timeZone: 'UTC' });
}

function destroyPoint(
  { point, commit }: CommittedPoint,
  because: string,
  ifTakenBeforeMs: number | null,
): Step {
  return {
    kind: 'destroy-point',
    point: point.id,
    disks: point.disks
      .filter(({ isSnapshot, vdi }) => isSnapshot && commit.disks.some((disk) => disk.vdi === vdi.uuid))
      .map(({ vdi }) => vdi),
    because,
    ifTakenBeforeMs,
  };
}

function supersededSnapshots(
  job: JobDefinition,
  observation: Observation,
  stay: number,
  because: string,
): readonly Step[] {
  return observation.source.snapshots
    .flatMap((snapshot) => {
      const commit = own(snapshot.commit);
      // What a record under our key says of another job or SR is not for us to end.
      const ours = commit?.job === job.jobId && sameUuid(commit.sr, job.target.srUuid);
      // A snapshot that a person took for a seed takes no place among ours, and is not for us to end.
      return ours && commit.kept !== true ? [{ snapshot, commit }] : [];
    })
    .sort((a, b) => b.commit.committedAtMs - a.commit.committedAtMs)
    .slice(stay)
    .filter(({ snapshot }) => snapshot.otherCommits.length === 0)
    .map(({ snapshot }) => ({
      kind: 'destroy-source-snapshot',
      snapshot: snapshot.id,
      // A disk that the snapshot merely shares is the VM's own: it may be detached there and still be wanted.
      disks: snapshot.disks.filter(({ isSnapshot }) => isSnapshot).map(({ vdi }) => vdi),
      because,
    }));
}
