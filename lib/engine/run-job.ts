/** One run of a job: its VMs, several at once with a bound. */
import { setMaxListeners } from 'node:events';
import PQueue from 'p-queue';
import type { Pool, VmRecord } from '../xapi';
import { bandwidthAt } from '../planner/bandwidth';
import type { JobDefinition } from '../planner/job';
import type { Plan } from '../planner/plan';
import { planRun } from '../planner/plan-run';
import { withSpaceNote } from '../planner/space';
import type { RunContext } from './context';
import { Pace } from './data/pace';
import { segmentLimits } from './data/write-segments';
import type { SegmentLimits } from './data/write-segments';
import { ReplicationError } from './errors';
import type { RunEvent, VmOutcome } from './events';
import { GrainCache } from './grain-cache';
import { NiceKeeper, vcpusOfControlDomains } from './nice';
import { observe } from './observe/observe';
import { Queues } from './queues';
import { replicateVm, summarise } from './replicate-vm';
import { ReportBuilder } from './report';
import type { RunReport } from './report';
import { selectFrom, selectionWarnings, selectVms } from './select-vms';
import type { SelectedVm } from './select-vms';
import { SnapshotGroup } from './snapshot-group';
import { SpaceLedger } from './space-ledger';

export interface RunJobOptions {
  readonly job: JobDefinition;
  readonly source: Pool;
  readonly target: Pool;
  readonly context: RunContext;
  /** Only these VMs of the job, by uuid; all where absent. */
  readonly onlyVms?: readonly string[];
  /** How long to wait for another run of the same VM. A dead one's lock runs out after two minutes. */
  readonly lockWaitMs?: number;
  readonly limits?: SegmentLimits;
  /** Where to keep what deltas of later runs may leave out; nothing is kept where absent. */
  readonly cacheDir?: string;
}

const defaultLockWaitMs = 150_000;

/** Never throws for what happens to a VM: that is in the report. */
export async function runJob(options: RunJobOptions): Promise<RunReport> {
  const { job, context } = options;
  // Every call in flight listens to it, and there are as many as the job's concurrency and its disks want.
  setMaxListeners(0, context.signal);
  const report = new ReportBuilder(context.runId, job, () => context.clock.nowMs());
  const emit = (event: RunEvent): void => {
    report.add(event);
    context.emit(event);
  };
  const all = await options.source.call('VM.get_all_records', [], { signal: context.signal });
  const records = Object.values(all);
  const vms = selectFrom(records, job, options.onlyVms ?? null);
  emit({ kind: 'run-started', run: context.runId, jobId: job.jobId, jobName: job.name, vms: vms.length });
  if (options.onlyVms === undefined) await warnOfSelection(options, records, vms, emit);
  const { pace, nice } = paceOf(options, records, emit);
  const queues = new Queues(job.limits, pace, nice);
  const { groupSkewMs } = job.snapshot;
  const group = groupSkewMs === null ? null : new SnapshotGroup(vms.map(idOf), groupSkewMs, context.clock);
  // A group waits for all its members: one that does not start would never come. Transfers have a bound of their own.
  const concurrency = group === null ? job.concurrency : Math.max(1, vms.length);
  const workers = new PQueue({ concurrency });
  const space = new SpaceLedger();
  const shared: Shared = { options, context: { ...context, emit }, queues, space, group };
  await Promise.all(vms.map((vm) => workers.add(() => runVm(shared, vm))));
  await nice?.finish();
  emit({ kind: 'run-finished', run: context.runId });
  return report.finish();
}

/** How fast the bytes of a run may move: by its limits, and by how busy the hosts are where it gives way to them. */
function paceOf(
  { job, source, context }: RunJobOptions,
  records: readonly VmRecord[],
  emit: (event: RunEvent) => void,
): { readonly pace: Pace; readonly nice: NiceKeeper | null } {
  const { clock, signal } = context;
  const limitAt = (nowMs: number): number | null => bandwidthAt(job.limits, nowMs);
  if (!job.limits.nice) return { pace: new Pace(limitAt, clock), nice: null };
  const vcpus = vcpusOfControlDomains(records);
  const nice = new NiceKeeper({ source, vcpus, limitAt, clock, signal, emit });
  const pace = new Pace(
    (nowMs) => nice.limitAt(nowMs),
    clock,
    (bytes, nowMs) => nice.passed(bytes, nowMs),
  );
  return { pace, nice };
}

/** A look that fails must not fail a run: what it would have said is not what the run is for. */
async function warnOfSelection(
  { job, target, context: { signal } }: RunJobOptions,
  records: readonly VmRecord[],
  vms: readonly SelectedVm[],
  emit: (event: RunEvent) => void,
): Promise<void> {
  const texts = await selectionWarnings(records, target, job, vms, { signal }).catch((error: unknown) => [
    `could not look for VMs that the job has lost: ${error instanceof Error ? error.message : String(error)}`,
  ]);
  for (const text of texts) emit({ kind: 'selection-warning', text });
}

/** What the VMs of a run have in common. */
interface Shared {
  readonly options: RunJobOptions;
  readonly context: RunContext;
  readonly queues: Queues;
  readonly space: SpaceLedger;
  readonly group: SnapshotGroup | null;
}

function idOf({ uuid, name }: SelectedVm): { readonly uuid: string; readonly name: string } {
  return { uuid, name };
}

async function runVm({ options, context, queues, space, group }: Shared, vm: SelectedVm): Promise<VmOutcome> {
  const { job, source, target } = options;
  if (vm.kind === 'missing' || context.signal.aborted) {
    group?.leave(vm);
    return notStarted(context, vm, source, job);
  }
  return replicateVm({
    job,
    vm: { uuid: vm.uuid, name: vm.name },
    source,
    target,
    context,
    queues,
    space,
    group,
    limits: options.limits ?? segmentLimits,
    grainCache: options.cacheDir === undefined ? null : new GrainCache(options.cacheDir),
    lockWaitMs: options.lockWaitMs ?? defaultLockWaitMs,
    nbdFailures: new Map(),
  });
}

function notStarted(context: RunContext, vm: SelectedVm, source: Pool, job: JobDefinition): VmOutcome {
  const missing = new ReplicationError(
    'vm-missing',
    `Cannot replicate VM ${vm.uuid} of job "${job.name}": pool "${source.name}" has no such VM`,
    { retry: 'never', hint: 'its replica is untouched; take the VM out of the job if it is gone for good' },
  );
  const cancelled = new ReplicationError('cancelled', `VM "${vm.name}" (${vm.uuid}) was not started`, {
    retry: 'later',
    hint: 'run the job again',
  });
  const outcome: VmOutcome =
    vm.kind === 'missing'
      ? { kind: 'failed', error: summarise(missing) }
      : { kind: 'cancelled', error: summarise(cancelled) };
  const id = { uuid: vm.uuid, name: vm.name };
  context.emit({ kind: 'vm-started', vm: id });
  context.emit({ kind: 'vm-finished', vm: id, outcome });
  return outcome;
}

export interface VmPlan {
  readonly vm: { readonly uuid: string; readonly name: string };
  /** Null where the VM is gone from the source pool. */
  readonly plan: Plan | null;
}

/**
 * What a run would do now, without doing any of it; the space that its VMs need together is told, too. Takes no lock: a
 * running run makes the answer provisional.
 */
export async function planJob(
  options: Pick<RunJobOptions, 'job' | 'source' | 'target' | 'onlyVms'> & { readonly signal: AbortSignal },
): Promise<readonly VmPlan[]> {
  const { job, source, target, signal } = options;
  const vms = await selectVms(source, job, options.onlyVms ?? null, { signal });
  const plans: VmPlan[] = [];
  const space = new SpaceLedger();
  for (const vm of vms) {
    const id = { uuid: vm.uuid, name: vm.name };
    if (vm.kind === 'missing') plans.push({ vm: id, plan: null });
    else {
      const observation = await observe({ job, vmUuid: vm.uuid, run: 'plan', source, target, signal });
      const together = space.reservedByOthers(vm.uuid);
      const plan = withSpaceNote(planRun(job, observation), observation.target, together);
      if (plan.kind === 'replicate') space.reserve(vm.uuid, plan.spaceNeededBytes);
      plans.push({ vm: id, plan });
    }
  }
  return plans;
}
