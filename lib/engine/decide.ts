/** Looks at both pools and plans, with what other VMs of this process are about to take of the target SR. */
import type { Ref } from '../xapi';
import { describeConflict } from '../planner/describe';
import type { Observation, XoVerdict } from '../planner/observation';
import type { Plan } from '../planner/plan';
import { mustStartAgain, planRun } from '../planner/plan-run';
import { heldBytes, stillReserved } from '../planner/reservations';
import { waitsForSpace } from '../planner/space';
import { observe } from './observe/observe';
import type { VmRun } from './replicate-vm';
import { heldDuring } from './space-ledger';
import type { SpaceSeen } from './space-ledger';

/** While it waits for space. A look costs two calls. */
const lookAgainMs = 300_000;

export interface Decision {
  readonly observation: Observation;
  /** Null where the source VM has to be started again before anything is decided. */
  readonly plan: Plan | null;
}

/**
 * Where nothing but the space that others are about to take stands in the way, of this run or of another job's, this VM waits
 * until one of them is done, or has written much of it, and looks again: by then the pool itself says what is left. A group waits for all its members, so
 * none of them may: two groups could wait for each other.
 */
export async function decide(run: VmRun, verdicts: readonly XoVerdict[]): Promise<Decision> {
  const { job, vm, source, target, worlds, context, space, group } = run;
  let told = false;
  let fresh = false;
  for (;;) {
    space.release(vm.uuid);
    // Whoever ends while we look has taken what we may not see yet.
    const before = space.ofOthers(vm.uuid);
    const observation = await observe({
      job,
      vmUuid: vm.uuid,
      run: context.runId,
      source,
      target,
      worlds,
      signal: context.signal,
      verdicts,
      nbdTried: {
        failed: Object.fromEntries(run.nbdFailures),
        unreached: Object.fromEntries(run.nbdReach.unreached()),
      },
    });
    if (mustStartAgain(job, observation)) return { observation, plan: null };
    const { target: storage } = observation;
    const reserved = stillReserved(heldDuring(before, space.ofOthers(vm.uuid)), storage);
    const plan = planRun(job, { ...observation, target: { ...storage, reserved } });
    if (group !== null || !waitsForSpace(plan)) {
      if (plan.kind === 'replicate') {
        const heldBytesThen = heldBytes(storage.staged, job.jobId, vm.uuid);
        const freeBytesThen = storage.freeBytes;
        space.reserve(vm, { needBytes: plan.spaceNeededBytes, freeBytesThen, heldBytesThen });
      }
      return { observation, plan };
    }
    if (!told) context.emit({ kind: 'warning', vm, text: `waits for space: ${obstacles(plan)}` });
    told = true;
    if (fresh) await somethingReleased(run, before);
    else await refreshFigures(run, observation);
    fresh = !fresh;
  }
}

/**
 * The pool's figures are as old as the last operation on the SR: without this a copy that is under way for hours would count
 * twice, by what it was promised and by what it took. Where the SR cannot be asked, the old ones do.
 */
async function refreshFigures(
  { vm, target, queues, context }: VmRun,
  observation: Observation,
): Promise<void> {
  const { ref } = observation.target.sr;
  const { signal } = context;
  try {
    await queues.onStorage([ref], () => target.call('SR.scan', [ref as Ref<'SR'>], { signal }));
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    context.emit({ kind: 'warning', vm, text: `cannot ask the target SR how full it is: ${reason}` });
  }
}

/** Or some time has passed: what others have written by then is not promised to them any more. */
async function somethingReleased({ space, context }: VmRun, seen: SpaceSeen): Promise<void> {
  const enough = new AbortController();
  const signal = AbortSignal.any([context.signal, enough.signal]);
  try {
    await Promise.race([space.released(seen, signal), context.clock.sleep(lookAgainMs, signal)]);
  } finally {
    enough.abort();
  }
}

function obstacles(plan: Plan): string {
  if (plan.kind !== 'blocked') return '';
  return plan.conflicts.map((conflict) => describeConflict(conflict).message).join('; ');
}
