/** What a run of a job would do now, without doing any of it. */
import { setMaxListeners } from 'node:events';
import type { Plan } from '../planner/plan';
import { planRun } from '../planner/plan-run';
import { withSpaceNote } from '../planner/space';
import { observe } from './observe/observe';
import { worldsOf } from './observe/world-reader';
import type { RunJobOptions } from './run-job';
import { selectVms } from './select-vms';

export interface VmPlan {
  readonly vm: { readonly uuid: string; readonly name: string };
  /** Null where the VM is gone from the source pool. */
  readonly plan: Plan | null;
}

export type PlanJobOptions = Pick<RunJobOptions, 'job' | 'source' | 'target' | 'onlyVms'> & {
  readonly signal: AbortSignal;
};

/**
 * The plans of a job's VMs; the space that they need together is told, too. Takes no lock: a running run makes the answer
 * provisional.
 */
export async function planJob(options: PlanJobOptions): Promise<readonly VmPlan[]> {
  const { job, source, target, signal } = options;
  // Every call in flight listens to it.
  setMaxListeners(0, signal);
  const vms = await selectVms(source, job, options.onlyVms ?? null, { signal });
  const given = { job, run: 'plan', source, target, worlds: worldsOf(source, target), signal };
  let beforeBytes = 0;
  const plans: VmPlan[] = [];
  // Together they share their looks at the pools; no more at once than a run would take on.
  const atOnce = Math.max(1, job.concurrency);
  for (let at = 0; at < vms.length; at += atOnce) {
    const group = vms.slice(at, at + atOnce);
    const observing = group.map(async (vm) =>
      vm.kind === 'missing' ? null : observe({ ...given, vmUuid: vm.uuid }),
    );
    // All have ended before one that failed is told: nothing is left running behind our caller's back.
    await Promise.allSettled(observing);
    const observed = await Promise.all(observing);
    for (const [index, { uuid, name }] of group.entries()) {
      const observation = observed[index] ?? null;
      const plan =
        observation === null
          ? null
          : withSpaceNote(planRun(job, observation), observation.target, beforeBytes);
      if (plan?.kind === 'replicate') beforeBytes += plan.spaceNeededBytes;
      plans.push({ vm: { uuid, name }, plan });
    }
  }
  return plans;
}
