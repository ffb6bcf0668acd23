/** One VM of a run: lock, observe, plan, execute; again where the world changed or a failure passes. */
import { setMaxListeners } from 'node:events';
import type { NbdReach } from '../nbd';
import { TransportError } from '../xapi';
import type { Pool } from '../xapi';
import { describeConflict, describeDeferral } from '../planner/describe';
import type { JobDefinition } from '../planner/job';
import type { Leftover, NbdFailed, Observation, XoVerdict } from '../planner/observation';
import type { DeferredPlan, Plan, ReplicatePlan } from '../planner/plan';
import { committedPoints } from '../planner/base';
import { leftoversToDiscard } from '../planner/plan-run';
import { quietEnoughMs } from '../planner/shutdown';
import { Produced } from './attempt';
import type { Attempt } from './attempt';
import type { RunContext } from './context';
import type { SegmentLimits } from './data/write-segments';
import { decide } from './decide';
import { BlockedError, codeOf, ReplicationError, retryOf, StalePlan } from './errors';
import type { ErrorSummary, VmOutcome } from './events';
import { execute } from './execute';
import type { GrainCache } from './grain-cache';
import { acquireLock } from './lock';
import type { RunLock } from './lock';
import { observe } from './observe/observe';
import type { Worlds } from './observe/world-reader';
import type { Queues } from './queues';
import type { SnapshotGroup } from './snapshot-group';
import type { RunSpace } from './space-ledger';
import { discardLeftover } from './steps/discard';
import { startAgain } from './steps/offline';

export interface VmRun {
  readonly job: JobDefinition;
  readonly vm: { readonly uuid: string; readonly name: string };
  readonly source: Pool;
  readonly target: Pool;
  /** Shared by the VMs of the run. */
  readonly worlds: Worlds;
  readonly context: RunContext;
  readonly queues: Queues;
  readonly space: RunSpace;
  readonly group: SnapshotGroup | null;
  readonly limits: SegmentLimits;
  readonly grainCache: GrainCache | null;
  readonly lockWaitMs: number;
  /** Disks that could not be read over NBD in this run, by device. */
  readonly nbdFailures: Map<string, NbdFailed>;
  /** Shared by the VMs of the run: a server that does not answer is waited for once. */
  readonly nbdReach: NbdReach;
}

const attemptsMax = 3;
/** Plans of one attempt: repairs and stale plans lead to another, but not without end. */
const plansMax = 8;
const retryLaterMs = 15_000;
const cleanUpMaxMs = 120_000;

/** Never throws: what went wrong is the outcome. */
export async function replicateVm(run: VmRun): Promise<VmOutcome> {
  const { context, vm } = run;
  context.emit({ kind: 'vm-started', vm });
  const outcome = await underLock(run).catch((error: unknown) => toOutcome(error, context.signal));
  run.space.release(vm.uuid);
  run.group?.leave(vm);
  context.emit({ kind: 'vm-finished', vm, outcome });
  return outcome;
}

async function underLock(run: VmRun): Promise<VmOutcome> {
  const { job, vm, target, context } = run;
  const name = { jobId: job.jobId, vmUuid: vm.uuid };
  const lock = await acquireLock(target, name, context, run.lockWaitMs, (holder, untilMs) =>
    context.emit({ kind: 'lock-waiting', vm, holder, untilMs }),
  );
  context.emit({ kind: 'lock-acquired', vm, number: lock.number });
  try {
    return await withRetries(run, lock);
  } finally {
    await lock.release();
  }
}

async function withRetries(run: VmRun, lock: RunLock): Promise<VmOutcome> {
  const { context, vm } = run;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await oneAttempt(run, lock, attempt);
    } catch (error) {
      run.space.release(vm.uuid);
      run.group?.failed(vm, error);
      const { retry } = retryOf(error);
      const last = attempt >= attemptsMax || retry === 'never' || context.signal.aborted;
      const retryInMs = last ? null : retry === 'now' ? 0 : retryLaterMs * attempt;
      context.emit({ kind: 'attempt-failed', vm, attempt, error: summarise(error), retryInMs });
      await cleanUp(run, lock, { failure: error, goesOn: !last });
      if (retryInMs === null) throw error;
      await context.clock.sleep(retryInMs, context.signal).catch(async (stopped: unknown) => {
        await cleanUp(run, lock, { failure: error, goesOn: false });
        throw stopped;
      });
    }
  }
}

/** Observes and plans until a plan was carried out that made a recovery point. */
async function oneAttempt(run: VmRun, lock: RunLock, attemptNumber: number): Promise<VmOutcome> {
  const { vm, source, context } = run;
  const verdicts: XoVerdict[] = [];
  for (let plans = 1; plans <= plansMax; plans += 1) {
    const { observation, plan } = await decide(run, verdicts);
    if (plan === null) {
      const { vm: found, powerState } = observation.source;
      const text =
        powerState === 'Halted'
          ? 'a run that died had shut the VM down for its snapshot: starting it'
          : 'an earlier run had told the VM to shut down for its snapshot: watching whether it goes down';
      context.emit({ kind: 'warning', vm, text });
      await startAgain(source, found, { ...context, quietMs: quietEnoughMs });
      continue;
    }
    context.emit({ kind: 'planned', vm, attempt: attemptNumber, plan });
    if (plan.kind === 'blocked') throw blockedError(run, plan);
    const attempt = newAttempt(run, lock, observation);
    try {
      await execute(attempt, plan);
    } catch (error) {
      if (!(error instanceof StalePlan)) throw error;
      run.group?.failed(vm, error);
      context.emit({ kind: 'warning', vm, text: `planning again: ${error.message}` });
      // Perhaps it was changed by whoever took the lock over while we slept: then nothing here is ours any more.
      await lock.check();
      await cleanUp(run, lock, { failure: error, goesOn: true });
      continue;
    }
    verdicts.push(...attempt.made.verdicts);
    if (plan.kind === 'replicate') return outcomeOf(attempt, plan);
    if (plan.kind === 'deferred') return deferredOutcome(run, plan);
  }
  throw new ReplicationError(
    'stale-plan',
    `VM "${vm.name}" (${vm.uuid}): the pools changed under ${String(plansMax)} plans one after another`,
    { retry: 'later', hint: 'find out what else changes this VM, its snapshots or its replica' },
  );
}

function newAttempt(run: VmRun, lock: RunLock, observation: Observation): Attempt {
  return {
    job: run.job,
    vm: observation.source.vm,
    source: run.source,
    target: run.target,
    targetSr: observation.target.sr,
    sourceDisks: [...observation.source.disks, ...observation.source.excluded],
    context: run.context,
    lock,
    queues: run.queues,
    group: run.group,
    limits: run.limits,
    grainCache: run.grainCache,
    nbdFailures: run.nbdFailures,
    nbdReach: run.nbdReach,
    newestCommitMs: committedPoints(run.job, observation.target.replica)[0]?.commit.committedAtMs ?? 0,
    made: new Produced(),
  };
}

/**
 * Removes what a failed attempt made, by looking for our marks as the next run would: one way to clean up,
 * tested by every interruption. Best effort: what stays is found again by the next run.
 */
async function cleanUp(run: VmRun, lock: RunLock, failed: Failed): Promise<void> {
  const { job, vm, source, target, worlds, context } = run;
  const isWanted = toCleanUp(run, failed.failure);
  if (isWanted === null) return;
  // The user's wish to stop must not stop the cleaning up; a bound must.
  const signal = AbortSignal.timeout(cleanUpMaxMs);
  setMaxListeners(0, signal);
  const own: RunContext = { ...context, signal };
  try {
    const place = { source, target, worlds };
    const observation = await observe({ job, vmUuid: vm.uuid, run: context.runId, ...place, signal });
    const attempt = newAttempt({ ...run, context: own }, lock, observation);
    const announced = observation.target.replica?.swap.kind === 'own';
    // What an announced exchange of disks still needs is not garbage: the next run finishes it.
    if (announced) return;
    for (const leftover of leftoversToDiscard(job, observation, failed.goesOn).filter(isWanted))
      await discardLeftover(attempt, leftover);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.emit({ kind: 'warning', vm, text: `could not clean up, the next run will: ${reason}` });
  }
}

interface Failed {
  readonly failure: unknown;
  /** Whether the run tries again. */
  readonly goesOn: boolean;
}

/** Null: nothing at all. */
function toCleanUp({ group, context }: VmRun, failure: unknown): ((leftover: Leftover) => boolean) | null {
  switch (codeOf(failure)) {
    case 'lock-lost':
      return null;
    case 'blocked':
      // Made nothing; but an attempt before it may have kept the snapshot of its group.
      return group === null ? null : ({ run }) => run === context.runId;
    default:
      return () => true;
  }
}

function outcomeOf(attempt: Attempt, plan: ReplicatePlan): VmOutcome {
  const { made } = attempt;
  const snapshot = made.need('snapshot');
  const point = made.point ?? made.need('replica');
  return {
    kind: 'replicated',
    copyKind: plan.copyKind,
    replica: made.need('replica'),
    point,
    sourceSnapshot: snapshot.id,
    takenAtMs: snapshot.takenAtMs,
  };
}

/** Storage takes minutes to merge layers: trying again within this run would only wait. */
function deferredOutcome(run: VmRun, plan: DeferredPlan): VmOutcome {
  const { message, hint } = describeDeferral(plan);
  const text = `VM "${run.vm.name}" (${run.vm.uuid}) is put off: ${message}`;
  return { kind: 'deferred', error: { code: 'deferred', message: text, hint, retry: 'later' } };
}

function blockedError(run: VmRun, plan: Extract<Plan, { kind: 'blocked' }>): BlockedError {
  const described = plan.conflicts.map(describeConflict);
  const objection = described.map(({ message }) => message).join('; ');
  const hint = described.map((one) => one.hint).join('; ');
  return new BlockedError(plan, `Cannot replicate VM "${run.vm.name}" (${run.vm.uuid}): ${objection}`, hint);
}

function toOutcome(error: unknown, signal: AbortSignal): VmOutcome {
  const summary = summarise(error);
  if (signal.aborted)
    return { kind: 'cancelled', error: error === signal.reason ? stopped(summary) : summary };
  if (summary.code === 'blocked' || summary.code === 'locked') return { kind: summary.code, error: summary };
  return { kind: 'failed', error: summary };
}

/** The signal's own reason is no error of ours, and nothing to be reported. */
function stopped({ message }: ErrorSummary): ErrorSummary {
  return { code: 'cancelled', message, hint: 'the next run goes on', retry: 'later' };
}

export function summarise(error: unknown): ErrorSummary {
  const { retry, hint } = retryOf(error);
  const message = error instanceof Error ? error.message : String(error);
  // A pool that does not answer gives no code: what kind of failure it was is told instead.
  const code = codeOf(error) ?? (error instanceof TransportError ? error.kind : 'unknown');
  return { code, message, hint, retry };
}
