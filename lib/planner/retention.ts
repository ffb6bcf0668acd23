/** What is destroyed after a commit. Names what goes, and why that is safe; never the newest base. */
import { committedPoints } from './base';
import { own, sameUuid } from './keys';
import type { JobDefinition } from './job';
import type { Observation } from './observation';
import type { Step } from './plan';

/** Recovery points beyond the job's retention; this run's own point will be the newest of those kept. */
export function pointsToDestroy(job: JobDefinition, observation: Observation): readonly Step[] {
  return committedPoints(job, observation.target.replica)
    .slice(job.retention.latest - 1)
    .map(({ point, commit }) => ({
      kind: 'destroy-point',
      point: point.id,
      disks: point.disks
        .filter(({ isSnapshot, vdi }) => isSnapshot && commit.disks.some((disk) => disk.vdi === vdi.uuid))
        .map(({ vdi }) => vdi),
      because: `superseded: the job keeps ${String(job.retention.latest)}, and this run's point is the new base`,
    }));
}

/**
 * Source snapshots of this job and target beyond its retention. A snapshot that another job or target still
 * needs as its base stays, however long that target is away.
 */
export function sourceSnapshotsToDestroy(job: JobDefinition, observation: Observation): readonly Step[] {
  return observation.source.snapshots
    .flatMap((snapshot) => {
      const commit = own(snapshot.commit);
      // What a record under our key says of another job or SR is not for us to end.
      const ours = commit?.job === job.jobId && sameUuid(commit.sr, job.target.srUuid);
      // A snapshot that a person took for a seed takes no place among ours, and is not for us to end.
      return ours && commit.kept !== true ? [{ snapshot, commit }] : [];
    })
    .sort((a, b) => b.commit.committedAtMs - a.commit.committedAtMs)
    .slice(job.retention.sourceLatest - 1)
    .filter(({ snapshot }) => snapshot.otherCommits.length === 0)
    .map(({ snapshot }) => ({
      kind: 'destroy-source-snapshot',
      snapshot: snapshot.id,
      // A disk that the snapshot merely shares is the VM's own: it may be detached there and still be wanted.
      disks: snapshot.disks.filter(({ isSnapshot }) => isSnapshot).map(({ vdi }) => vdi),
      because:
        'superseded: this run committed a newer snapshot on both sides, and no other target needs this one',
    }));
}
