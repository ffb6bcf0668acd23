/** Looks at both pools and plans, with what other VMs of this process are about to take of the target SR. */
import type { Ref } from '../xapi';
import { describeConflict } from '../planner/describe';
import type { Observation, XoVerdict } from '../planner/observation';
import type { Plan } from '../planner/plan';
import { mustStartAgain, planRun } from '../planner/plan-run';
import { heldBytes, withThoseWaiting } from '../planner/reservations';
import { bytesWaitedFor } from '../planner/space';
import { observe } from './observe/observe';
import type { VmRun } from './replicate-vm';
import { heldDuring } from './space-ledger';
import type { SpaceSeen } from './space-ledger';

/** While it waits for space. A look costs two calls. */
const lookAgainMs = 300_000;
/** It holds its lock and a place in its job meanwhile: the next run is as good as more of this. */
const waitMaxMs = 4 * 3_600_000;

export interface Decision {
  readonly observation: Observation;
  /** Null where the source VM has to be started again before anything is decided. */
  readonly plan: Plan | null;
}

/**
 * Where nothing but the space that others are about to take stands in the way, of this run or of another job's, this VM waits
 * until one of them is done, or has written much of it, and looks again: by then the pool itself says what is left. Those that
 * wait keep their order, and do so for a bounded time. A group waits for all its members, so none of them may: two groups
 * could wait for each other.
 */
export async function decide(run: VmRun, verdicts: readonly XoVerdict[]): Promise<Decision> {
  try {
    return await decideInLine(run, verdicts);
  } finally {
    run.space.leaveLine(run.vm.uuid);
  }
}

async function decideInLine(run: VmRun, verdicts: readonly XoVerdict[]): Promise<Decision> {
  const { job, vm, context, space, group } = run;
  const { clock } = context;
  let sinceMs: number | null = null;
  for (let fresh = false; ; fresh = !fresh) {
    space.release(vm.uuid);
    // Whoever ends while we look has taken what we may not see yet.
    const before = space.ofOthers(vm.uuid);
    const observation = await look(run, verdicts);
    if (mustStartAgain(job, observation)) return { observation, plan: null };
    const { target: storage } = observation;
    const after = space.ofOthers(vm.uuid);
    const reserved = withThoseWaiting(heldDuring(before, after), after.waiters, storage);
    const plan = planRun(job, { ...observation, target: { ...storage, reserved } });
    const needBytes = bytesWaitedFor(plan);
    if (group !== null || needBytes === null) {
      reserve(run, observation, plan);
      return { observation, plan };
    }
    space.waitInLine(vm, needBytes);
    if (sinceMs === null) context.emit({ kind: 'warning', vm, text: `waits for space: ${obstacles(plan)}` });
    sinceMs ??= clock.nowMs();
    if (clock.nowMs() - sinceMs >= waitMaxMs) {
      const text = `waited for space for ${String(waitMaxMs / 3_600_000)} hours, and does no longer`;
      context.emit({ kind: 'warning', vm, text });
      return { observation, plan };
    }
    if (fresh) await somethingReleased(run, before);
    else await refreshFigures(run, observation);
  }
}

function look(run: VmRun, verdicts: readonly XoVerdict[]): Promise<Observation> {
  const { job, vm, source, target, worlds, context } = run;
  return observe({
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
}

function reserve({ job, vm, space }: VmRun, { target }: Observation, plan: Plan): void {
  if (plan.kind !== 'replicate') return;
  const heldBytesThen = heldBytes(target.staged, job.jobId, vm.uuid);
  space.reserve(vm, { needBytes: plan.spaceNeededBytes, freeBytesThen: target.freeBytes, heldBytesThen });
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
