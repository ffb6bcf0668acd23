import { listReplicas } from '../../engine';
import type { RecoveryPointSummary, ReplicaSummary } from '../../engine';
import { decodeJobs } from '../../planner/job-keys';
import type { StoredJob } from '../../planner/job-keys';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { jobIdOf } from '../find-job';
import { poolOf } from '../output/pool';
import { bytes, instant } from '../output/quantities';
import { table } from '../output/table';
import { printable } from '../output/text';

export interface ReplicasOptions {
  readonly targetPool: string;
  /** Null for all, those of deleted jobs too. */
  readonly job: string | null;
}

/** Replicas and their recovery points, newest first. The source pool is not contacted. */
export async function replicas(command: Command, { targetPool, job }: ReplicasOptions): Promise<number> {
  const { signal, out } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(targetPool);
  const { jobs } = decodeJobs(await target.call('pool.get_other_config', [target.ref], { signal }));
  const jobId = job === null ? null : jobIdOf([...jobs.values()], job, target.name);
  const found = await listReplicas(target, jobId, { signal });
  answer(command, { pool: poolOf(target), replicas: found }, () =>
    found.length === 0
      ? [emptyWords(target.name, job)]
      : found.flatMap((replica, index) => [
          ...(index === 0 ? [] : ['']),
          headOf(replica, jobs.get(replica.jobId)),
          ...pointLines(replica.points, out.width),
        ]),
  );
  return exitCodes.ok;
}

function emptyWords(poolName: string, job: string | null): string {
  return job === null
    ? `pool "${poolName}" has no replica`
    : `pool "${poolName}" has no replica of job "${job}" yet`;
}

function headOf(replica: ReplicaSummary, job: StoredJob | undefined): string {
  const { name, uuid, state, srUuid, jobId } = replica;
  const jobWords =
    job === undefined
      ? `job ${jobId}, unknown here`
      : `job "${job.definition.name}"${job.deleted ? ', deleted' : ''}`;
  return printable(`${name} (${uuid}): ${state}, ${jobWords}, SR ${srUuid}`);
}

const columns = [
  { title: '  AS OF' },
  { title: 'KIND' },
  { title: 'DISKS', align: 'right' },
  { title: 'SIZE', align: 'right' },
  { title: 'VERIFIED' },
  { title: 'RECOVERY POINT', shrinkTo: 13 },
] as const;

function pointLines(points: readonly RecoveryPointSummary[], width: number | null): readonly string[] {
  if (points.length === 0) return ['  no recovery point yet'];
  return table(columns, points.map(rowOf), width);
}

function rowOf({ takenAtMs, kind, disks, verified, uuid }: RecoveryPointSummary): readonly string[] {
  const sizeBytes = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  const found = verified === null ? 'no' : verified.equal ? verified.mode : 'DIFFERS';
  return [`  ${instant(takenAtMs)}`, kind, String(disks.length), bytes(sizeBytes), found, uuid];
}
