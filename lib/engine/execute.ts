/** Carries out a plan step by step. Decides nothing: a world that no longer matches raises StalePlan. */
import type { AdoptPlan, DeferredPlan, Plan, ReplicatePlan, RepairPlan, Step } from '../planner/plan';
import { stepsAfterComparison, stepsUpToComparison } from '../planner/unchanged';
import type { Attempt } from './attempt';
import { codeOf, StalePlan } from './errors';
import { adoptChain, compareChain } from './steps/adopt';
import { abandonSwap, announceSwap, closeSwap, swapDisks } from './steps/swap';
import { applySettings } from './steps/settings';
import { commitSource, commitTarget, retirePoints } from './steps/commit';
import { closeAllOpened, compareDisk, copyOneDisk } from './steps/copy';
import { destroyMarked } from './steps/destroy';
import { discardLeftover } from './steps/discard';
import { rememberGrains } from './steps/grains';
import { keepDisks } from './steps/keep-disks';
import { createReplica } from './steps/replica';
import { resumeSnapshot, snapshotSource } from './steps/source-snapshot';
import { resumeDisk } from './steps/progress';
import { cloneBase, createDisk } from './steps/staging';
import { dropSnapshotData, enableTracking } from './steps/tracking';
import { verifyStagedDisk } from './steps/verify-disk';

/**
 * From this step on a run is no longer stopped by the user: every disk is filled, a few calls make it a recovery
 * point, and stopping in between would only leave the same calls to the next run.
 */
const pointOfNoReturn: Step['kind'] = 'create-replica';

export async function execute(
  attempt: Attempt,
  plan: ReplicatePlan | RepairPlan | AdoptPlan | DeferredPlan,
): Promise<void> {
  prepare(attempt, plan);
  if (plan.kind !== 'replicate') return performAll(attempt, plan.steps);
  try {
    await performAll(attempt, stepsUpToComparison(plan));
    await performAll(attempt, stepsAfterComparison(plan, new Set(attempt.made.copied.keys())));
    await rememberGrains(attempt, plan.base);
  } finally {
    await closeAllOpened(attempt);
  }
}

async function performAll(attempt: Attempt, steps: readonly Step[]): Promise<void> {
  const { context, vm } = attempt;
  for (const group of grouped(steps)) {
    try {
      if (!isCommitting(group)) context.signal.throwIfAborted();
      await runGroup(attempt, group);
    } catch (error) {
      if (!context.signal.aborted || !isTidyingUp(attempt, group)) throw error;
      context.emit({
        kind: 'warning',
        vm,
        text: 'stopped after the recovery point was made: the next run tidies up',
      });
      return;
    }
  }
}

const tidyingUp: ReadonlySet<Step['kind']> = new Set([
  'drop-snapshot-data',
  'destroy-point',
  'destroy-source-snapshot',
]);

/** Of a run that has its recovery point: to say that it was stopped before would be wrong. */
function isTidyingUp({ made }: Attempt, group: readonly Step[]): boolean {
  return made.commit !== null && group.every(({ kind }) => tidyingUp.has(kind));
}

const parallel: ReadonlySet<Step['kind']> = new Set(['compare-disk', 'copy-disk', 'verify-disk']);

/** Steps that run together: copies of several disks, and their reading back; everything else alone and in order. */
function grouped(steps: readonly Step[]): readonly (readonly Step[])[] {
  const groups: Step[][] = [];
  for (const step of steps) {
    const last = groups.at(-1);
    if (parallel.has(step.kind) && last?.[0]?.kind === step.kind) last.push(step);
    else groups.push([step]);
  }
  return groups;
}

const committing: ReadonlySet<Step['kind']> = new Set([
  pointOfNoReturn,
  'announce-swap',
  'swap-disks',
  'apply-settings',
  'commit-target',
  'commit-source',
  'retire-points',
  'close-swap',
]);

function isCommitting(group: readonly Step[]): boolean {
  // The announcement is the first step of a run with a replica; a wish to stop is heard right before it.
  return group.every(
    ({ kind }) => committing.has(kind) && kind !== pointOfNoReturn && kind !== 'announce-swap',
  );
}

/** All of a group, even where one fails: the others must have ended before anything is cleaned up. */
async function runGroup(attempt: Attempt, group: readonly Step[]): Promise<void> {
  const results = await Promise.allSettled(group.map((step) => runStep(attempt, step)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function runStep(attempt: Attempt, step: Step): Promise<void> {
  const { context, vm } = attempt;
  const device = deviceOf(step);
  context.emit({ kind: 'step-started', vm, step: step.kind, device });
  await perform(attempt, step).catch((error: unknown) => {
    throw isGone(error) ? new StalePlan(error.message, error) : error;
  });
  context.emit({ kind: 'step-finished', vm, step: step.kind, device });
}

/** What the plan names is not there any more: somebody destroyed it since we looked. */
function isGone(error: unknown): error is Error {
  return error instanceof Error && ['HANDLE_INVALID', 'UUID_INVALID'].includes(codeOf(error) ?? '');
}

function deviceOf(step: Step): string | null {
  if (parallel.has(step.kind) && 'copy' in step) return step.copy.device;
  return step.kind === 'create-disk' ? step.device : null;
}

async function perform(attempt: Attempt, step: Step): Promise<void> {
  switch (step.kind) {
    case 'compare-chain':
      attempt.made.verdicts.push(await compareChain(attempt, step.pair, step.verify));
      return;
    case 'adopt-chain':
      return adoptChain(attempt, step.pair);
    case 'discard-leftover':
      return discardLeftover(attempt, step.leftover);
    case 'enable-tracking':
      return enableTracking(attempt, step.disks);
    case 'drop-snapshot-data':
      return dropSnapshotData(attempt);
    case 'snapshot-source':
      return snapshotSource(attempt, step);
    case 'clone-base':
      return cloneBase(attempt, step.base, step.devices);
    case 'create-disk':
      return createDisk(attempt, step.device, step.sizeBytes, step.name);
    case 'resume-snapshot':
      return resumeSnapshot(attempt, step.snapshot);
    case 'resume-disk':
      return resumeDisk(attempt, step.device, step.vdi, step.progress);
    case 'compare-disk':
      return compareDisk(attempt, step.copy);
    case 'keep-disks':
      return keepDisks(attempt, step.expected, step.cardRefs);
    case 'copy-disk':
      return copyOneDisk(attempt, step.copy);
    case 'verify-disk':
      return verifyStagedDisk(attempt, step.copy, step.mode);
    case 'create-replica':
      return createReplica(attempt, step.sourceVm);
    case 'announce-swap':
      return announceSwap(attempt, step.copyKind, step.expected);
    case 'swap-disks':
      return swapDisks(attempt);
    case 'apply-settings':
      return applySettings(attempt, step.cards);
    case 'commit-target':
      return commitTarget(attempt);
    case 'commit-source':
      return commitSource(attempt);
    case 'retire-points':
      return retirePoints(attempt, step.disks);
    case 'close-swap':
      return closeSwap(attempt);
    case 'abandon-swap':
      return abandonSwap(attempt);
    case 'destroy-point':
      if (isTooLate(attempt, step.ifTakenBeforeMs)) return;
      return destroySnapshot(attempt, attempt.target, step.point, step.disks, [attempt.targetSr.ref]);
    case 'destroy-source-snapshot':
      return destroySnapshot(attempt, attempt.source, step.snapshot, step.disks, [
        `source of ${attempt.source.uuid}`,
      ]);
  }
}

/** The plan was made before the snapshot: by then an hour may have ended, of which the older point is the newest. */
function isTooLate({ made }: Attempt, ifTakenBeforeMs: number | null): boolean {
  return ifTakenBeforeMs !== null && made.need('commit').takenAtMs >= ifTakenBeforeMs;
}

async function destroySnapshot(
  attempt: Attempt,
  pool: Attempt['source'],
  snapshot: Parameters<typeof destroyMarked>[1],
  disks: Parameters<typeof destroyMarked>[2],
  storages: readonly string[],
): Promise<void> {
  const { job, context } = attempt;
  await attempt.lock.check();
  const mark = { job: job.jobId, run: context.runId, sr: job.target.srUuid };
  try {
    await attempt.queues.onStorage(storages, () => destroyMarked(pool, snapshot, disks, mark, {}));
  } catch (error) {
    if (codeOf(error) !== 'disk-busy' || !(error instanceof Error)) throw error;
    // The run has its recovery point; a disk that somebody attached keeps the old one for now, as a leftover.
    context.emit({ kind: 'warning', vm: attempt.vm, text: error.message });
  }
}

/** Hands over what the plan knows already: the live replica, or what an interrupted run left announced. */
function prepare({ made }: Attempt, plan: Exclude<Plan, { kind: 'blocked' }>): void {
  made.replica = plan.replica;
  if (plan.kind === 'adopt' || plan.kind === 'deferred') return;
  if (plan.kind === 'repair') {
    made.swap = plan.swap;
    made.commit = plan.commit;
    return;
  }
  made.baseSnapshot = plan.copyKind === 'full' ? null : (plan.base?.sourceSnapshot ?? null);
}
