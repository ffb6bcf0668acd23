/** Reads everything the decision about one VM needs, then stops reading. */
import type { CallOptions, Pool, Ref } from '../../xapi';
import type { JobDefinition } from '../../planner/job';
import { own } from '../../planner/keys';
import { temporaryName } from '../../planner/marks';
import type { Observation, ObservedReplica, ReplicaDisk, XoVerdict } from '../../planner/observation';
import { hasTiers } from '../../planner/tiers';
import { openExportReader } from '../data/read-export';
import { systemClock } from '../context';
import type { Clock } from '../context';
import { codeOf, ReplicationError } from '../errors';
import { assertQuiet } from '../steps/quiet';
import { observeNbd } from './nbd';
import type { NbdTried } from './nbd';
import { droppedLeftovers, observeSource, sourceLeftovers } from './source';
import { leftTasks } from './tasks';
import { missingPermissions } from './permissions';
import { observeTarget, targetLeftovers, undecidedDisks } from './target';
import { byUuid } from './world';
import type { Worlds } from './world-reader';
import { observeXo } from './xo';

export interface ObserveRequest {
  readonly job: JobDefinition;
  readonly vmUuid: string;
  readonly run: string;
  readonly source: Pool;
  readonly target: Pool;
  /** Shared by the VMs of a run. */
  readonly worlds: Worlds;
  readonly signal: AbortSignal;
  /** That of this machine where absent. */
  readonly clock?: Clock;
  /** What this run has compared already; absent where it has compared nothing. */
  readonly verdicts?: readonly XoVerdict[];
  /** What this run could not read over NBD; absent where it has tried nothing. */
  readonly nbdTried?: NbdTried;
}

/**
 * @throws ReplicationError `vm-missing`, `sr-missing` where what the job names does not exist: only a strict,
 *   complete answer of the pool says so.
 */
export async function observe(request: ObserveRequest): Promise<Observation> {
  const { job, source, target, worlds, signal } = request;
  const options: CallOptions = { signal };
  const [sourceWorld, targetWorld, missing, nowMs] = await Promise.all([
    worlds.source.read(signal),
    worlds.target.read(signal),
    missingPermissions(source, target, options),
    // Recovery points are as old as their source snapshots, by the source's clock.
    hasTiers(job.retention) ? source.serverTime(options) : null,
  ]);
  const vm = byUuid(sourceWorld.vms, request.vmUuid);
  if (vm === null || vm.record.is_a_snapshot) throw vmMissing(request);
  const sr = byUuid(targetWorld.srs, job.target.srUuid);
  if (sr === null) throw srMissing(request);
  const observed = observeTarget(targetWorld, job, vm.record.uuid, sr.ref, sr.record);
  const replica =
    observed.replica === null ? null : await withDecidedDisks(request, observed.replica, observed.sr.ref);
  const ofSource = observeSource(sourceWorld, job, vm.ref, vm.record, nowMs);
  const tried = request.nbdTried ?? { failed: {}, unreached: {} };
  return {
    run: request.run,
    xo: observeXo(sourceWorld, targetWorld, job, vm, request.verdicts ?? []),
    source: {
      ...ofSource,
      nbd: await observeNbd(source, sourceWorld, job, ofSource.disks, tried, options),
    },
    target: { ...observed, replica },
    leftovers: [
      ...sourceLeftovers(sourceWorld, job, vm.ref, vm.record),
      ...droppedLeftovers(sourceWorld, job, ofSource.snapshots, ofSource.disks),
      ...targetLeftovers(targetWorld, job, vm.record.uuid),
      ...leftTasks(sourceWorld, 'source', job, vm.record.uuid),
      ...leftTasks(targetWorld, 'target', job, vm.record.uuid),
    ],
    missingPermissions: missing,
  };
}

/**
 * Asks the disks themselves where content ids do not tell: a live disk that equals its recovery point exports
 * no block relative to it.
 */
async function withDecidedDisks(
  request: ObserveRequest,
  replica: ObservedReplica,
  srRef: string,
): Promise<ObservedReplica> {
  // While an exchange of disks is announced, or the replica runs, the answer would mean nothing.
  if (own(replica.swap) !== null || replica.powerState !== 'Halted') return replica;
  const decided = new Map<string, Pick<ReplicaDisk, 'changed' | 'contentId'>>();
  for (const { disk, pointVdi } of undecidedDisks(request.job, replica)) {
    if (pointVdi === null) continue;
    const reader = await openExportReader(
      request.target,
      {
        vdi: disk.vdi.ref as Ref<'VDI'>,
        sr: srRef as Ref<'SR'>,
        base: pointVdi.ref as Ref<'VDI'>,
        label: temporaryName(
          {
            role: 'transfer',
            job: request.job.jobId,
            sr: request.job.target.srUuid,
            sourceVm: replica.mark.sourceVm,
            run: request.run,
          },
          `compares ${replica.id.name} disk ${disk.device}`,
        ),
        sizeBytes: disk.sizeBytes,
        name: disk.vdi.name,
      },
      request.signal,
    );
    const changed = reader.changedBytes === 0 ? 'no' : 'yes';
    await reader.abort();
    decided.set(disk.device, { changed, contentId: await contentIdNow(request, disk) });
  }
  return {
    ...replica,
    disks: replica.disks.map((disk) => ({ ...disk, ...decided.get(disk.device) })),
  };
}

/**
 * Reading gives a disk its first content id, once it is let go of. Without it nothing would tell whether somebody writes to
 * the disk during the transfer that follows; where another reader keeps it busy, nothing does.
 */
async function contentIdNow(
  { target, signal, clock }: ObserveRequest,
  disk: ReplicaDisk,
): Promise<string | null> {
  try {
    await assertQuiet(target, disk.vdi, clock ?? systemClock, signal, { signal });
  } catch (error) {
    if (codeOf(error) !== 'disk-busy') throw error;
    return disk.contentId;
  }
  const otherConfig = await target.call('VDI.get_other_config', [disk.vdi.ref as Ref<'VDI'>], { signal });
  return otherConfig['content_id'] ?? null;
}

function vmMissing({ vmUuid, source, job }: ObserveRequest): ReplicationError {
  return new ReplicationError(
    'vm-missing',
    `Cannot replicate VM ${vmUuid} of job "${job.name}": pool "${source.name}" has no such VM`,
    {
      retry: 'never',
      hint: 'its replica and recovery points are untouched; take the VM out of the job if it is gone for good',
    },
  );
}

function srMissing({ target, job }: ObserveRequest): ReplicationError {
  return new ReplicationError(
    'sr-missing',
    `Cannot run job "${job.name}": pool "${target.name}" has no SR ${job.target.srUuid}`,
    { retry: 'never', hint: 'attach the SR to the pool again, or give the job another target_sr' },
  );
}
