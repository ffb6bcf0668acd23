/** Whether a seed could be attached now, and what stands of one that was: nothing is changed, no content is read. */
import type { CallOptions, Pool } from '../../xapi';
import { decode, own } from '../../planner/keys';
import { planSeed } from '../../planner/seed';
import type { SeedBlocked, SeedPlan } from '../../planner/seed';
import { ReplicationError } from '../errors';
import { byUuid, readWorld } from '../observe/world';
import { observeSeed } from './observe';
import type { SeedRequest } from './observe';

/** What `attachSeed` would decide before it compares the content. */
export async function checkSeed(
  request: SeedRequest,
  options: CallOptions = {},
): Promise<SeedPlan | SeedBlocked> {
  return planSeed(request.job, (await observeSeed(request, options)).observation);
}

/** A VM that is the replica of a job, and what is left of the seed it began as. */
export interface AttachedSeed {
  readonly jobId: string;
  readonly sourceVmUuid: string;
  readonly srUuid: string;
  /** Null once it was superseded by a run and removed. */
  readonly point: { readonly uuid: string; readonly sourceSnapshotUuid: string } | null;
}

/**
 * What a VM of the target pool is attached to; null where it is gone or no replica of any job.
 *
 * @throws ReplicationError `unreadable` where the VM bears a mark that this release cannot read.
 */
export async function readSeed(
  target: Pool,
  targetVmUuid: string,
  options: CallOptions = {},
): Promise<AttachedSeed | null> {
  const world = await readWorld(target, options);
  const vm = byUuid(world.vms, targetVmUuid);
  if (vm === null || vm.record.is_a_snapshot) return null;
  const found = decode.replica(vm.record.other_config, vm.record.uuid);
  if (found.kind === 'unreadable') {
    throw new ReplicationError(
      'unreadable',
      `Cannot read what VM "${vm.record.name_label}" (${vm.record.uuid}) on pool "${target.name}" is attached to: ${found.reason}`,
      { retry: 'never', hint: 'update this program' },
    );
  }
  const mark = own(found);
  if (mark === null) return null;
  const commits = [...world.vms.values()]
    .filter((point) => point.is_a_snapshot && point.snapshot_of === vm.ref)
    .flatMap((point) => own(decode.targetCommit(point.other_config, point.uuid)) ?? [])
    .filter((commit) => commit.replica === vm.record.uuid && commit.job === mark.job);
  // Attaching copies nothing and records no digest; every run does.
  const first = commits.find(({ disks }) => disks.every(({ digest }) => digest === null));
  return {
    jobId: mark.job,
    sourceVmUuid: mark.sourceVm,
    srUuid: mark.sr,
    point: first === undefined ? null : { uuid: first.self, sourceSnapshotUuid: first.sourceSnapshot },
  };
}
