/**
 * Makes a VM that was carried by hand the replica of a source snapshot, so that the next run sends a delta: for our own
 * engine, and for Xen Orchestra 6.3 and later, by the same keys that either of them writes after a full copy.
 *
 * Order of writing: the recovery point with its commit, then the mark on the VM, then the source. Until the mark stands
 * nothing is a base; with it, but without the source's side, the next run finds everything it needs to finish.
 */
import { setMaxListeners } from 'node:events';
import type { Ref } from '../../xapi';
import { atMost } from '../../planner/bandwidth';
import type { RateLimits } from '../../planner/bandwidth';
import { planSeed } from '../../planner/seed';
import type { TargetCommit } from '../../planner/keys';
import type { SeedCommit, SeedJob, SeedPlan } from '../../planner/seed';
import { segmentLimits } from '../data/write-segments';
import type { SegmentLimits } from '../data/write-segments';
import { ReplicationError } from '../errors';
import { readingPace } from '../job-pace';
import { acquireLock } from '../lock';
import type { RunLock } from '../lock';
import { assertQuiet } from '../steps/quiet';
import type { BlockDigests } from './compare';
import { asRunContext } from './context';
import type { DiskVerification, SeedContext, VerifyMode } from './context';
import { SeedDiffers, SeedRefused } from './errors';
import { observeSeed } from './observe';
import type { ObservedSeed, SeedRequest } from './observe';
import { Undo } from './undo';
import { repairDisk, sampleBytesDefault, verifyDisks } from './verify';
import type { VerifiedDisk, Verification } from './verify';
import { commitSourceSnapshot } from './write-source';
import { commitFirstPoint, discardPoint, markReplica, protectTarget } from './write-target';

export interface AttachSeedOptions extends SeedRequest {
  readonly job: SeedJob;
  readonly context: SeedContext;
  /**
   * How the content is compared. `full` reads both disks from end to end; `sampled` the first `sampleBytes` of data of
   * each disk; `none` trusts the user. Default: `sampled`.
   */
  readonly verify?: VerifyMode;
  readonly sampleBytes?: number;
  /** Sends the blocks that differ. Compares in full, whatever `verify` says: what was not read cannot be repaired. */
  readonly repair?: boolean;
  /** Digests of the source disks by device, from the export's manifest: then only the target is read to compare. */
  readonly manifest?: ReadonlyMap<string, BlockDigests>;
  readonly lockWaitMs?: number;
  readonly limits?: SegmentLimits;
  /** How fast disks are read; absent: as fast as they can be. */
  readonly rate?: RateLimits;
}

export interface AttachReport {
  readonly jobId: string;
  readonly scheduleId: string;
  readonly vm: { readonly uuid: string; readonly name: string };
  readonly sourceSnapshot: { readonly uuid: string; readonly name: string };
  readonly replica: { readonly uuid: string; readonly name: string };
  readonly recoveryPoint: string;
  readonly srUuid: string;
  /** Empty where an interrupted attachment was finished, which compared them. */
  readonly disks: readonly (DiskVerification & { readonly repairedBlocks: number })[];
}

const defaultLockWaitMs = 150_000;

/**
 * @throws SeedRefused, SeedDiffers where the seed does not fit; ReplicationError `locked` where a run of the job is under
 *   way. Whatever is thrown: everything written was taken back, or the message says what could not be.
 */
export async function attachSeed(options: AttachSeedOptions): Promise<AttachReport> {
  const { job, target, context } = options;
  // Every call and transfer in flight listens to it.
  setMaxListeners(0, context.signal);
  const first = planned(options, await observeSeed(options, { signal: context.signal }));
  const vm = { uuid: first.vm.uuid, name: first.vm.name };
  context.emit({ kind: 'seed-started', action: 'attach', vm });
  const lock = await acquireLock(
    target,
    { jobId: job.jobId, vmUuid: first.vm.uuid },
    asRunContext(context),
    options.lockWaitMs ?? defaultLockWaitMs,
    (holder, untilMs) => context.emit({ kind: 'seed-lock-waiting', holder, untilMs }),
  );
  try {
    return await underLock(options, lock);
  } finally {
    await lock.release();
  }
}

async function underLock(options: AttachSeedOptions, lock: RunLock): Promise<AttachReport> {
  const undo = new Undo();
  try {
    return await attach(options, lock, undo);
  } catch (error) {
    const left = await undo.run();
    if (left.length > 0) throw halfUndone(options, error, left);
    throw error;
  }
}

async function attach(options: AttachSeedOptions, lock: RunLock, undo: Undo): Promise<AttachReport> {
  const { context, job, target } = options;
  const signal = { signal: context.signal };
  const observed = await observeSeed(options, signal);
  const plan = planned(options, observed);
  const mode = options.repair === true ? 'full' : (options.verify ?? 'sampled');
  const writing = { target, job, plan, context, undo, knownGood: mode === 'full' };
  if (plan.pending !== null) return finish(options, lock, undo, plan, plan.pending);
  // First of all, so that nobody starts it while its disks are read, which may take hours.
  if (observed.targetRecord !== null) await protectTarget(writing, observed.targetRecord);
  const disks = await compareAndRepair(options, plan, mode);

  // The server lets go of a disk a moment after it was read.
  for (const { target: disk } of plan.pairs) {
    await assertQuiet(target, disk.vdi, context.clock, context.signal, signal);
  }
  // Hours may lie between: what was decided upon must still be so. From here on a wish to stop is not heard any more.
  const again = await observeSeed(options, signal);
  assertSame(plan, planned(options, again));
  context.signal.throwIfAborted();
  await lock.check();
  for (const { id, disks: stale } of again.stale) {
    await discardPoint(target, id, stale, job, plan.sr, context.runId, {});
  }
  const commit = await commitFirstPoint(writing);
  await lock.check();
  await markReplica(writing);
  await commitSourceSnapshot(options.source, job, plan, commit, writing.knownGood, undo);
  await showAsSnapshot(options, plan);
  return reportOf(options, plan, commit, disks);
}

/** An earlier try wrote the target's side, which it did after everything was compared, and died before the source's. */
async function finish(
  options: AttachSeedOptions,
  lock: RunLock,
  undo: Undo,
  plan: SeedPlan,
  { commit, knownGood }: SeedCommit,
): Promise<AttachReport> {
  const text =
    'an earlier attachment was interrupted after the target was written: only the source is left to do';
  options.context.emit({ kind: 'seed-note', text });
  await lock.check();
  await commitSourceSnapshot(options.source, options.job, plan, commit, knownGood, undo);
  await showAsSnapshot(options, plan);
  return reportOf(options, plan, commit, []);
}

/**
 * XAPI makes snapshots as templates; both tools take that flag off theirs. It cannot be set again on a snapshot, so this
 * comes after everything that could fail, and fails nothing itself.
 */
async function showAsSnapshot({ source, context }: AttachSeedOptions, { snapshot }: SeedPlan): Promise<void> {
  await source.call('VM.set_is_a_template', [snapshot.id.ref as Ref<'VM'>, false]).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `snapshot "${snapshot.id.name}" is still listed among the templates: ${reason}`;
    context.emit({ kind: 'seed-warning', text });
  });
}

function reportOf(
  { job }: AttachSeedOptions,
  plan: SeedPlan,
  commit: TargetCommit,
  disks: AttachReport['disks'],
): AttachReport {
  return {
    jobId: job.jobId,
    scheduleId: job.scheduleId,
    vm: { uuid: plan.vm.uuid, name: plan.vm.name },
    sourceSnapshot: { uuid: plan.snapshot.id.uuid, name: plan.snapshot.id.name },
    replica: { uuid: plan.target.id.uuid, name: plan.target.id.name },
    recoveryPoint: commit.self,
    srUuid: plan.sr.uuid,
    disks,
  };
}

function planned(request: SeedRequest, { observation }: ObservedSeed): SeedPlan {
  const plan = planSeed(request.job, observation);
  if (plan.kind === 'attach') return plan;
  const { snapshot } = observation.source;
  const { vm } = observation.target;
  const what =
    `VM ${vm === null ? request.targetVmUuid : `"${vm.id.name}" (${vm.id.uuid})`} to snapshot ` +
    (snapshot === null ? request.snapshotUuid : `"${snapshot.id.name}" (${snapshot.id.uuid})`);
  throw new SeedRefused(what, plan.conflicts);
}

async function compareAndRepair(
  options: AttachSeedOptions,
  plan: SeedPlan,
  mode: VerifyMode,
): Promise<AttachReport['disks']> {
  const { source, context, rate } = options;
  const { clock, signal, emit } = context;
  const limits = rate ?? atMost(null);
  const pacing = await readingPace({ limits, clock, signal, emit }, source);
  const work: Verification = {
    source,
    target: options.target,
    jobId: options.job.jobId,
    plan,
    mode,
    sampleBytes: options.sampleBytes ?? sampleBytesDefault,
    manifest: options.manifest ?? null,
    limits: options.limits ?? segmentLimits,
    pacing,
    context,
  };
  const verified = await verifyDisks(work);
  const wrong = verified.filter(({ differing }) => differing.size > 0);
  if (wrong.length > 0 && options.repair !== true) {
    const what = `VM "${plan.target.id.name}" (${plan.target.id.uuid}) to snapshot "${plan.snapshot.id.name}"`;
    throw new SeedDiffers(
      what,
      verified.map(({ verification }) => verification),
    );
  }
  for (const disk of wrong) await repairDisk(work, disk);
  await pacing.nice?.finish();
  return verified.map(({ verification, differing }: VerifiedDisk) => ({
    ...verification,
    repairedBlocks: differing.size,
  }));
}

function assertSame(before: SeedPlan, now: SeedPlan): void {
  const same =
    before.pairs.length === now.pairs.length &&
    before.pairs.every(({ device, source, target }) =>
      now.pairs.some(
        (pair) =>
          pair.device === device &&
          pair.source.vdi.uuid === source.vdi.uuid &&
          pair.target.vdi.uuid === target.vdi.uuid,
      ),
    );
  if (same) return;
  throw new ReplicationError(
    'stale-plan',
    `The disks of VM "${before.target.id.name}" (${before.target.id.uuid}) or of the snapshot changed while they were compared`,
    { retry: 'later', hint: 'attach the seed again' },
  );
}

function halfUndone(options: AttachSeedOptions, error: unknown, left: readonly string[]): ReplicationError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ReplicationError(
    'seed-refused',
    `${reason}; and not everything that was written could be taken back: ${left.join('; ')}`,
    {
      retry: 'later',
      hint:
        `once both pools answer, run xenrepl seed detach for VM ${options.targetVmUuid}, or attach it again: ` +
        'either puts things right',
      cause: error,
    },
  );
}
