/** Looks at both pools and plans, with what the other VMs of the run are about to take of the target SR. */
import { describeConflict } from '../planner/describe';
import type { Observation, XoVerdict } from '../planner/observation';
import type { Plan } from '../planner/plan';
import { mustStartAgain, planRun } from '../planner/plan-run';
import { waitsForSpace } from '../planner/space';
import { observe } from './observe/observe';
import type { VmRun } from './replicate-vm';

export interface Decision {
  readonly observation: Observation;
  /** Null where the source VM has to be started again before anything is decided. */
  readonly plan: Plan | null;
}

/**
 * Where nothing but the space that others of this run are about to take stands in the way, this VM waits until one of them is
 * done and looks again: by then the pool itself says what is left. A group waits for all its members, so none of them may.
 */
export async function decide(run: VmRun, verdicts: readonly XoVerdict[]): Promise<Decision> {
  const { job, vm, source, target, context, space, group } = run;
  let told = false;
  for (;;) {
    space.release(vm.uuid);
    // Whoever ends while we look has taken what we may not see yet.
    const reservedBefore = space.reservedByOthers(vm.uuid);
    const observation = await observe({
      job,
      vmUuid: vm.uuid,
      run: context.runId,
      source,
      target,
      signal: context.signal,
      verdicts,
      nbdFailures: Object.fromEntries(run.nbdFailures),
    });
    if (mustStartAgain(job, observation)) return { observation, plan: null };
    const reservedBytes = Math.max(reservedBefore, space.reservedByOthers(vm.uuid));
    const plan = planRun(job, withReserved(observation, reservedBytes));
    if (group !== null || !waitsForSpace(plan)) {
      if (plan.kind === 'replicate') space.reserve(vm.uuid, plan.spaceNeededBytes);
      return { observation, plan };
    }
    if (!told)
      context.emit({ kind: 'warning', vm, text: `waits for other VMs of this run: ${obstacles(plan)}` });
    told = true;
    await space.released(context.signal);
  }
}

function withReserved(observation: Observation, reservedBytes: number): Observation {
  return { ...observation, target: { ...observation.target, reservedBytes } };
}

function obstacles(plan: Plan): string {
  if (plan.kind !== 'blocked') return '';
  return plan.conflicts.map((conflict) => describeConflict(conflict).message).join('; ');
}
