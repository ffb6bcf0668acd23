import { planJob } from '../../engine';
import type { VmPlan } from '../../engine';
import { describePlan } from '../../planner/describe';
import { niceNote } from '../../planner/nice';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { findJob } from '../find-job';
import { refuseForeignVms } from '../foreign-vms';
import { bytes } from '../output/quantities';
import { printable } from '../output/text';

export interface PlanOptions {
  readonly targetPool: string;
  readonly job: string;
  readonly onlyVms: readonly string[] | null;
}

/** What a run would do now. Changes nothing on either side. */
export async function plan(
  command: Command,
  { targetPool, job: wanted, onlyVms }: PlanOptions,
): Promise<number> {
  const { signal } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(targetPool);
  const job = await findJob(target, wanted, { signal });
  const source = await connections.source(job);
  await refuseForeignVms(source, job, onlyVms, { signal });
  const vms = await planJob({ job, source, target, signal, ...(onlyVms === null ? {} : { onlyVms }) });
  const notes = job.limits.nice ? [niceNote] : [];
  answer(command, { job: { id: job.jobId, name: job.name }, notes, vms }, () =>
    vms.length === 0
      ? [`job "${printable(job.name)}" selects no VM at present`]
      : [...notes, ...vms.flatMap(linesOf)],
  );
  return exitCodeOf(vms);
}

function linesOf({ vm, plan: planned }: VmPlan): readonly string[] {
  const head = `${vm.name} (${vm.uuid})`;
  if (planned === null) return [printable(head), '  the source pool has no such VM: a run would fail'];
  const space =
    planned.kind === 'replicate' && planned.spaceNeededBytes > 0
      ? [`needs up to ${bytes(planned.spaceNeededBytes)} on the target SR`]
      : [];
  return [head, ...[...describePlan(planned), ...space].map((line) => `  ${line}`)].map(printable);
}

function exitCodeOf(vms: readonly VmPlan[]): number {
  if (vms.some((one) => one.plan?.kind === 'blocked')) return exitCodes.blocked;
  if (vms.some((one) => one.plan === null)) return exitCodes.failed;
  return vms.some((one) => one.plan?.kind === 'deferred') ? exitCodes.deferred : exitCodes.ok;
}
