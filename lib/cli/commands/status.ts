import { listReplicas } from '../../engine';
import type { ReplicaSummary } from '../../engine';
import { decodeJobs } from '../../planner/job-keys';
import type { StoredJob } from '../../planner/job-keys';
import { rpoState } from '../../planner/rpo';
import { jobKeyOf, nextStart, readHistory } from '../../schedule';
import type { RememberedJob } from '../../schedule';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { findJob } from '../find-job';
import { runsUnderWay } from '../locks';
import { stateFolderOf } from './agent';
import type { RunUnderWay } from '../locks';
import { poolOf, warnOfUnreadable } from '../output/pool';
import { duration, instant } from '../output/quantities';
import { table } from '../output/table';
import { printable } from '../output/text';

export interface StatusOptions {
  readonly targetPool: string;
  readonly job: string | null;
  /** Where an agent on this machine keeps its history; null: where it does by default. */
  readonly agentState: string | null;
}

/** How old the newest recovery points are, by the target pool's clock. The source pool is not contacted. */
export async function status(command: Command, options: StatusOptions): Promise<number> {
  const { targetPool, job: wanted } = options;
  const { signal, out } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(targetPool);
  const only = wanted === null ? null : (await findJob(target, wanted, { signal })).jobId;
  const otherConfig = await target.call('pool.get_other_config', [target.ref], { signal });
  const nowMs = await target.serverTime({ signal });
  const replicas = await listReplicas(target, only, { signal });
  const { jobs, unreadable } = decodeJobs(otherConfig);
  warnOfUnreadable(command, unreadable);
  const history = readHistory(stateFolderOf(command, options.agentState));
  const seen = { otherConfig, nowMs };
  const live = [...jobs.values()]
    .filter(({ definition, deleted }) => !deleted && (only === null || definition.jobId === only))
    .sort((a, b) => a.definition.name.localeCompare(b.definition.name))
    .map((job) => {
      const { jobId } = job.definition;
      const runs = runsUnderWay(otherConfig, jobId, nowMs);
      const remembered = history.get(jobKeyOf(target.uuid, jobId));
      return { ...jobStatus(job, replicas, runs, nowMs), ...planStatus(job, replicas, seen, remembered) };
    });
  const orphans = replicas
    .filter(({ jobId }) => jobs.get(jobId)?.deleted !== false)
    .map((replica) => vmStatus(replica, null, null, nowMs));
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
  /** By how much it is older than the job's RPO; 0 where it is not, null where there is no RPO or no point. */
  readonly lagMs: number | null;
  readonly running: RunUnderWay | null;
}

export interface JobStatus {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly revision: number;
  readonly rpoMs: number | null;
  readonly vms: readonly VmStatus[];
}

/** What an agent makes of it. */
export interface PlanStatus {
  /** As an agent decides now; null where none starts it by itself. */
  readonly nextStart: {
    readonly atMs: number;
    readonly cause: string;
    readonly putOffFor: string | null;
  } | null;
  /** Why there is no next start. */
  readonly noStart: string | null;
  /** Of the agent whose history is on this machine; null where there is none. */
  readonly lastSkip: RememberedJob['lastSkip'];
}

/** Pure. */
export function planStatus(
  { definition }: StoredJob,
  replicas: readonly ReplicaSummary[],
  seen: { readonly otherConfig: Readonly<Record<string, string>>; readonly nowMs: number },
  remembered: RememberedJob | undefined,
): PlanStatus {
  const own = replicas.filter(({ jobId }) => jobId === definition.jobId);
  const decision = nextStart(definition, { ...seen, replicas: own }, remembered);
  const lastSkip = remembered?.lastSkip ?? null;
  if (decision.kind === 'none') return { nextStart: null, noStart: decision.why, lastSkip };
  const { atMs, cause, putOff } = decision;
  return { nextStart: { atMs, cause, putOffFor: putOff?.text ?? null }, noStart: null, lastSkip };
}

/** Pure: VMs with a replica, those that are named but have none yet, and those that a run is at work on. */
export function jobStatus(
  { definition, revision }: StoredJob,
  replicas: readonly ReplicaSummary[],
  runs: readonly RunUnderWay[],
  nowMs: number,
): JobStatus {
  const { jobId, name, enabled, selection, rpoMs } = definition;
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
    rpoMs,
    vms: [
      ...own.map((replica) => vmStatus(replica, rpoMs, runOf(replica.sourceVmUuid), nowMs)),
      ...[...new Set(absent)].map((uuid) => notYet(uuid, runOf(uuid))),
    ],
  };
}

function vmStatus(
  replica: ReplicaSummary,
  rpoMs: number | null,
  running: RunUnderWay | null,
  nowMs: number,
): VmStatus {
  const [newest] = replica.points;
  const { ageMs, lagMs } = rpoState(rpoMs, newest ?? null, nowMs, null);
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
    ageMs,
    lagMs,
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
    lagMs: null,
    running,
  };
}

const columns = [
  { title: 'JOB', shrinkTo: 10 },
  { title: 'VM', shrinkTo: 10 },
  { title: 'POINTS', align: 'right' },
  { title: 'NEWEST AS OF', shrinkTo: 10 },
  { title: 'AGE', align: 'right' },
  { title: 'LAG', align: 'right' },
  { title: 'NEXT START', shrinkTo: 10 },
  { title: 'STATE', shrinkTo: 12 },
] as const;

function linesOf(
  poolName: string,
  jobs: readonly (JobStatus & PlanStatus)[],
  orphans: readonly VmStatus[],
  nowMs: number,
  width: number | null,
): readonly string[] {
  if (jobs.length === 0 && orphans.length === 0) return [`pool "${poolName}" has no job and no replica`];
  const rows = jobs.flatMap((job) => {
    const { name, enabled, vms } = job;
    const shown = enabled ? name : `${name} (disabled)`;
    const next = nextWords(job, nowMs);
    return vms.length === 0
      ? [[shown, '-', '0', '-', '-', '-', next, 'no replica yet']]
      : vms.map((vm) => rowOf(shown, next, vm));
  });
  return [
    ...table(columns, [...rows, ...orphans.map((vm) => rowOf('(deleted)', '-', vm))], width),
    '',
    ...skipLines(jobs),
    `pool "${poolName}", ${instant(nowMs)} by its clock`,
  ];
}

function nextWords({ nextStart: next, noStart }: PlanStatus, nowMs: number): string {
  if (next === null)
    return noStart === 'no-occurrence'
      ? 'never'
      : noStart === 'unreadable'
        ? 'schedule unreadable'
        : (noStart ?? '-');
  return next.atMs <= nowMs ? `due (${next.cause})` : `${instant(next.atMs)} (${next.cause})`;
}

/** Why jobs do not start, or last did not. */
function skipLines(jobs: readonly (JobStatus & PlanStatus)[]): readonly string[] {
  const lines = jobs.flatMap(({ name, nextStart: next, lastSkip }) => [
    ...(next?.putOffFor == null ? [] : [printable(`${name}: put off: ${next.putOffFor}`)]),
    ...(lastSkip === null
      ? []
      : [printable(`${name}: last skip ${instant(lastSkip.atMs)}: ${lastSkip.text} (${lastSkip.reason})`)]),
  ]);
  return lines.length === 0 ? [] : [...lines, ''];
}

function rowOf(
  job: string,
  next: string,
  { name, sourceVmUuid, points, newest, ageMs, lagMs, ...vm }: VmStatus,
): readonly string[] {
  const state = vm.state === 'none' ? 'no replica yet' : vm.state;
  return [
    job,
    name ?? sourceVmUuid,
    String(points),
    newest === null ? '-' : instant(newest.takenAtMs),
    ageMs === null ? '-' : duration(ageMs),
    lagMs === null ? '-' : lagMs === 0 ? 'none' : duration(lagMs),
    next,
    vm.running === null ? state : `${state}, run by ${vm.running.who}`,
  ];
}
