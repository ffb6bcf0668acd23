/** One run of a job: its VMs, several at once with a bound. */
import { setMaxListeners } from 'node:events';
import PQueue from 'p-queue';
import { NbdReach } from '../nbd';
import type { Pool, VmRecord } from '../xapi';
import type { JobDefinition } from '../planner/job';
import type { RunContext } from './context';
import { segmentLimits } from './data/write-segments';
import type { SegmentLimits } from './data/write-segments';
import { ReplicationError } from './errors';
import type { RunEvent, VmOutcome } from './events';
import { GrainCache } from './grain-cache';
import { paceOf } from './job-pace';
import type { JobPace } from './job-pace';
import { Neighbours } from './neighbours';
import { worldsOf } from './observe/world-reader';
import type { Worlds } from './observe/world-reader';
import { Queues } from './queues';
import { replicateVm, summarise } from './replicate-vm';
import { ReportBuilder } from './report';
import type { RunReport } from './report';
import { selectFrom, selectionWarnings } from './select-vms';
import type { SelectedVm } from './select-vms';
import { SnapshotGroup } from './snapshot-group';
import type { RunSpace } from './space-ledger';

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
  /** Runs of this process that are to see each other are given the same; a run without sees its own VMs alone. */
  readonly neighbours?: Neighbours;
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
  const { vms, pace, nice } = await select(options, emit);
  const neighbours = options.neighbours ?? new Neighbours();
  const pools = [options.source.uuid, options.target.uuid];
  const queues = new Queues({ run: context.runId, limits: job.limits, pools, pace, nice, neighbours });
  const { groupSkewMs } = job.snapshot;
  const group = groupSkewMs === null ? null : new SnapshotGroup(vms.map(idOf), groupSkewMs, context.clock);
  // A group waits for all its members: one that does not start would never come. Transfers have a bound of their own.
  const concurrency = group === null ? job.concurrency : Math.max(1, vms.length);
  const workers = new PQueue({ concurrency });
  const storage = { poolUuid: options.target.uuid, srUuid: job.target.srUuid };
  const space = neighbours.space.enter({ job: { id: job.jobId, name: job.name }, ...storage });
  const worlds = worldsOf(options.source, options.target);
  const nbdReach = new NbdReach();
  const shared: Shared = { options, worlds, context: { ...context, emit }, queues, space, group, nbdReach };
  try {
    await Promise.all(vms.map((vm) => workers.add(() => runVm(shared, vm))));
  } finally {
    space.leave();
  }
  await nice?.finish();
  emit({ kind: 'run-finished', run: context.runId });
  return report.finish();
}

/** A function of its own, so that the records of a large pool are let go of before the VMs are copied. */
async function select(
  options: RunJobOptions,
  emit: (event: RunEvent) => void,
): Promise<JobPace & { readonly vms: readonly SelectedVm[] }> {
  const { job, source, context, onlyVms } = options;
  const { clock, signal } = context;
  const records = Object.values(await source.call('VM.get_all_records', [], { signal }));
  const vms = selectFrom(records, job, onlyVms ?? null);
  emit({ kind: 'run-started', run: context.runId, jobId: job.jobId, jobName: job.name, vms: vms.length });
  if (onlyVms === undefined) await warnOfSelection(options, records, vms, emit);
  const pace = await paceOf({ limits: job.limits, clock, signal, emit }, source, () =>
    Promise.resolve(records),
  );
  return { vms, ...pace };
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
  readonly worlds: Worlds;
  readonly context: RunContext;
  readonly queues: Queues;
  readonly space: RunSpace;
  readonly group: SnapshotGroup | null;
  readonly nbdReach: NbdReach;
}

function idOf({ uuid, name }: SelectedVm): { readonly uuid: string; readonly name: string } {
  return { uuid, name };
}

async function runVm(shared: Shared, vm: SelectedVm): Promise<VmOutcome> {
  const { options, worlds, context, queues, space, group, nbdReach } = shared;
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
    worlds,
    context,
    queues,
    space,
    group,
    limits: options.limits ?? segmentLimits,
    grainCache: options.cacheDir === undefined ? null : new GrainCache(options.cacheDir),
    lockWaitMs: options.lockWaitMs ?? defaultLockWaitMs,
    nbdFailures: new Map(),
    nbdReach,
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
