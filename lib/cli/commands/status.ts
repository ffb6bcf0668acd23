import { listReplicas } from '../../engine';
import type { ReplicaSummary } from '../../engine';
import { decodeJobs } from '../../planner/job-keys';
import type { StoredJob } from '../../planner/job-keys';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { findJob } from '../find-job';
import { runsUnderWay } from '../locks';
import type { RunUnderWay } from '../locks';
import { poolOf, warnOfUnreadable } from '../output/pool';
import { duration, instant } from '../output/quantities';
import { table } from '../output/table';

export interface StatusOptions {
  readonly targetPool: string;
  readonly job: string | null;
}

/** How old the newest recovery points are, by the target pool's clock. The source pool is not contacted. */
export async function status(command: Command, { targetPool, job: wanted }: StatusOptions): Promise<number> {
  const { signal, out } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(targetPool);
  const only = wanted === null ? null : (await findJob(target, wanted, { signal })).jobId;
  const otherConfig = await target.call('pool.get_other_config', [target.ref], { signal });
  const nowMs = await target.serverTime({ signal });
  const replicas = await listReplicas(target, only, { signal });
  const { jobs, unreadable } = decodeJobs(otherConfig);
  warnOfUnreadable(command, unreadable);
  const live = [...jobs.values()]
    .filter(({ definition, deleted }) => !deleted && (only === null || definition.jobId === only))
    .sort((a, b) => a.definition.name.localeCompare(b.definition.name))
    .map((job) => jobStatus(job, replicas, runsUnderWay(otherConfig, job.definition.jobId, nowMs), nowMs));
  const orphans = replicas
    .filter(({ jobId }) => jobs.get(jobId)?.deleted !== false)
    .map((replica) => vmStatus(replica, null, nowMs));
  answer(command, { pool: poolOf(target), nowMs, jobs: live, orphans, unreadable }, () =>
    linesOf(target.name, live, orphans, nowMs, out.width),
  );
  return exitCodes.ok;
}

/** One VM of a job, whether it has a replica yet or not. */
export interface VmStatus {
  readonly sourceVmUuid: string;
  readonly name: string | null;
  readonly replicaUuid: string | null;
  readonly state: ReplicaSummary['state'] | 'none';
  readonly points: number;
  readonly newest: {
    readonly uuid: string;
    readonly takenAtMs: number;
    readonly committedAtMs: number;
  } | null;
  /** Of what the newest recovery point holds; null where there is none. */
  readonly ageMs: number | null;
  readonly running: RunUnderWay | null;
}

export interface JobStatus {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly revision: number;
  readonly vms: readonly VmStatus[];
}

/** Pure: VMs with a replica, those that are named but have none yet, and those that a run is at work on. */
export function jobStatus(
  { definition, revision }: StoredJob,
  replicas: readonly ReplicaSummary[],
  runs: readonly RunUnderWay[],
  nowMs: number,
): JobStatus {
  const { jobId, name, enabled, selection } = definition;
  const own = replicas.filter((replica) => replica.jobId === jobId);
  const runOf = (uuid: string): RunUnderWay | null =>
    runs.find(({ vmUuid }) => vmUuid.toLowerCase() === uuid.toLowerCase()) ?? null;
  const present = new Set(own.map(({ sourceVmUuid }) => sourceVmUuid.toLowerCase()));
  const absent = [...selection.uuids, ...runs.map(({ vmUuid }) => vmUuid)]
    .map((uuid) => uuid.toLowerCase())
    .filter((uuid) => !present.has(uuid));
  return {
    id: jobId,
    name,
    enabled,
    revision,
    vms: [
      ...own.map((replica) => vmStatus(replica, runOf(replica.sourceVmUuid), nowMs)),
      ...[...new Set(absent)].map((uuid) => notYet(uuid, runOf(uuid))),
    ],
  };
}

function vmStatus(replica: ReplicaSummary, running: RunUnderWay | null, nowMs: number): VmStatus {
  const [newest] = replica.points;
  return {
    sourceVmUuid: replica.sourceVmUuid,
    name: replica.name,
    replicaUuid: replica.uuid,
    state: replica.state,
    points: replica.points.length,
    newest:
      newest === undefined
        ? null
        : { uuid: newest.uuid, takenAtMs: newest.takenAtMs, committedAtMs: newest.committedAtMs },
    // Taken by the source's clock, which may be ahead.
    ageMs: newest === undefined ? null : Math.max(0, nowMs - newest.takenAtMs),
    running,
  };
}

function notYet(sourceVmUuid: string, running: RunUnderWay | null): VmStatus {
  return {
    sourceVmUuid,
    name: null,
    replicaUuid: null,
    state: 'none',
    points: 0,
    newest: null,
    ageMs: null,
    running,
  };
}

const columns = [
  { title: 'JOB', shrinkTo: 10 },
  { title: 'VM', shrinkTo: 10 },
  { title: 'POINTS', align: 'right' },
  { title: 'NEWEST AS OF', shrinkTo: 10 },
  { title: 'AGE', align: 'right' },
  { title: 'STATE', shrinkTo: 12 },
] as const;

function linesOf(
  poolName: string,
  jobs: readonly JobStatus[],
  orphans: readonly VmStatus[],
  nowMs: number,
  width: number | null,
): readonly string[] {
  if (jobs.length === 0 && orphans.length === 0) return [`pool "${poolName}" has no job and no replica`];
  const rows = jobs.flatMap(({ name, enabled, vms }) => {
    const shown = enabled ? name : `${name} (disabled)`;
    return vms.length === 0
      ? [[shown, '-', '0', '-', '-', 'no replica yet']]
      : vms.map((vm) => rowOf(shown, vm));
  });
  return [
    ...table(columns, [...rows, ...orphans.map((vm) => rowOf('(deleted)', vm))], width),
    '',
    `pool "${poolName}", ${instant(nowMs)} by its clock`,
  ];
}

function rowOf(
  job: string,
  { name, sourceVmUuid, points, newest, ageMs, ...vm }: VmStatus,
): readonly string[] {
  const state = vm.state === 'none' ? 'no replica yet' : vm.state;
  return [
    job,
    name ?? sourceVmUuid,
    String(points),
    newest === null ? '-' : instant(newest.takenAtMs),
    ageMs === null ? '-' : duration(ageMs),
    vm.running === null ? state : `${state}, run by ${vm.running.who}`,
  ];
}
