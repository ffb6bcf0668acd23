import { listJobs, listReplicas, selectVms, unreadableJobs } from '../../engine';
import type { JobDefinition } from '../../planner/job';
import { jobActivity } from '../../planner/job-activity';
import { rpoState } from '../../planner/rpo';
import type { RpoState } from '../../planner/rpo';
import type { Pool } from '../../xapi';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { CliError, messageOf } from '../failure';
import { findJob } from '../find-job';
import { warnOfUnreadable } from '../output/pool';
import { duration } from '../output/quantities';
import { printable } from '../output/text';

export interface AssertOptions {
  readonly targetPool: string;
  readonly job: string | null;
  /** In place of what the jobs promise; null: that. */
  readonly rpoMs: number | null;
}

interface Asserted extends RpoState {
  readonly job: { readonly id: string; readonly name: string };
  readonly vm: { readonly uuid: string; readonly name: string | null };
  readonly rpoMs: number;
}

/** One line per VM; succeeds only if every promise holds, and if there was one. For pipelines and cron. */
export async function assertRpo(command: Command, options: AssertOptions): Promise<number> {
  const { signal, out, json, warn } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(options.targetPool);
  const unreadable = await unreadableJobs(target, { signal });
  warnOfUnreadable(command, unreadable);
  const jobs = await jobsOf(target, options, signal);
  const asserted: Asserted[] = [];
  let unasked = unreadable.length > 0 && options.job === null;
  for (const job of jobs) {
    const rpoMs = options.rpoMs ?? job.rpoMs;
    if (rpoMs === null || !job.enabled) continue;
    const tagged = await taggedVms(command, connections, job).catch((error: unknown) => {
      signal.throwIfAborted();
      unasked = true;
      warn(
        `job "${job.name}": VMs that it finds by tag and that have no replica yet cannot be seen: ${messageOf(error)}`,
      );
      return null;
    });
    asserted.push(...(await assertJob(target, job, rpoMs, tagged, signal)));
  }
  for (const one of asserted) out.line(json ? JSON.stringify({ kind: 'rpo', ...one }) : lineOf(one));
  if (asserted.some(({ violated }) => violated)) return exitCodes.violated;
  if (asserted.length === 0) throw nothingAsserted(target, options);
  return unasked ? exitCodes.failed : exitCodes.ok;
}

async function jobsOf(
  target: Pool,
  { job }: AssertOptions,
  signal: AbortSignal,
): Promise<readonly JobDefinition[]> {
  if (job !== null) return [await findJob(target, job, { signal })];
  return (await listJobs(target, { signal })).map(({ definition }) => definition);
}

/** Names by uuid of what the job protects now; null where it names its VMs, which needs no source. */
async function taggedVms(
  { signal }: Command,
  connections: Connections,
  job: JobDefinition,
): Promise<ReadonlyMap<string, string> | null> {
  if (job.selection.tags.length === 0) return null;
  const source = await connections.source(job);
  const vms = await selectVms(source, job, null, { signal });
  return new Map(vms.map(({ uuid, name }) => [uuid.toLowerCase(), name]));
}

async function assertJob(
  target: Pool,
  job: JobDefinition,
  rpoMs: number,
  tagged: ReadonlyMap<string, string> | null,
  signal: AbortSignal,
): Promise<readonly Asserted[]> {
  const replicas = await listReplicas(target, job.jobId, { signal });
  const otherConfig = await target.call('pool.get_other_config', [target.ref], { signal });
  const nowMs = await target.serverTime({ signal });
  const { jobId, name, selection } = job;
  const selectedVms =
    tagged !== null ? new Set(tagged.keys()) : selection.tags.length === 0 ? new Set<string>() : null;
  const past = { jobId, namedVms: selection.uuids, selectedVms, replicas, otherConfig };
  return jobActivity(past, nowMs)
    .filter(({ protectedNow }) => protectedNow)
    .map((vm) => ({
      job: { id: jobId, name },
      vm: { uuid: vm.vmUuid, name: vm.name ?? tagged?.get(vm.vmUuid) ?? null },
      rpoMs,
      ...rpoState(rpoMs, vm.newest, nowMs, null),
    }));
}

function lineOf({ job, vm, rpoMs, ageMs, lagMs, violated }: Asserted): string {
  const name = `${job.name}: ${vm.name ?? vm.uuid}`;
  if (ageMs === null) return printable(`VIOLATED  ${name}: no recovery point, RPO ${duration(rpoMs)}`);
  const late = violated ? `, ${duration(lagMs ?? 0)} too old` : '';
  return printable(
    `${violated ? 'VIOLATED' : 'kept    '}  ${name}: newest recovery point ${duration(ageMs)} old, RPO ${duration(rpoMs)}${late}`,
  );
}

/** An assertion that asserts nothing must not pass for one that holds. */
function nothingAsserted(target: Pool, { job }: AssertOptions): CliError {
  return new CliError(
    'nothing-asserted',
    job === null
      ? `No enabled job of pool "${target.name}" with an RPO protects a VM`
      : `Job "${job}" of pool "${target.name}" is disabled, has no RPO, or protects no VM`,
    'give the job an rpo, or assert one with --rpo 1h',
  );
}
