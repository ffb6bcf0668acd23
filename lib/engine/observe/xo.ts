/** What Xen Orchestra left under the job's id on both pools. */
import { parseXapiDate } from '../../xapi';
import type { VmRecord } from '../../xapi';
import type { JobDefinition } from '../../planner/job';
import { decode, own, sameUuid } from '../../planner/keys';
import type { XoChains, XoReplica, XoSnapshot, XoVerdict } from '../../planner/observation';
import { readXoKeys } from '../../planner/xo-keys';
import type { XoKeys } from '../../planner/xo-keys';
import { disksOf, vmId } from './disks';
import { foreignTransfer, replicaMark } from './target';
import type { World } from './world';

export function observeXo(
  source: World,
  target: World,
  job: JobDefinition,
  vm: { readonly ref: string; readonly record: VmRecord },
  verdicts: readonly XoVerdict[],
): XoChains {
  const replicas = [...target.vms].flatMap(([ref, record]): XoReplica[] => {
    const found = toReplica(target, job, vm.record.uuid, ref, record);
    return found === null ? [] : [found];
  });
  if (replicas.length === 0) return { snapshots: [], replicas, verdicts };
  return { snapshots: snapshotsOf(source, vm.ref), replicas, verdicts };
}

/** Null for a VM that Xen Orchestra never copied this source VM to, or that is a replica of another job of ours. */
function toReplica(
  world: World,
  job: JobDefinition,
  sourceVmUuid: string,
  ref: string,
  vm: VmRecord,
): XoReplica | null {
  if (vm.is_a_snapshot || vm.is_a_template || vm.is_control_domain || vm.uuid === sourceVmUuid) return null;
  const isOurs = own(decode.replica(vm.other_config, vm.uuid)) !== null;
  if (isOurs && replicaMark(vm, job, sourceVmUuid) === null) return null;
  const points = snapshotsOf(world, ref).filter(({ keys }) => isOfJob(keys, job, sourceVmUuid));
  if (points.length === 0 && !isOfJob(readXoKeys(vm.other_config), job, sourceVmUuid)) return null;
  const disks = disksOf(world, vm);
  return {
    id: vmId(ref, vm),
    powerState: vm.power_state,
    disks,
    points,
    transfer: foreignTransfer(world, vm),
  };
}

function isOfJob({ job: id, vm, sr }: XoKeys, job: JobDefinition, sourceVmUuid: string): boolean {
  const onOtherSr = sr !== null && !sameUuid(sr, job.target.srUuid);
  return id !== null && sameUuid(id, job.jobId) && vm === sourceVmUuid && !onOtherSr;
}

/** Those of a VM that bear no commit of ours: a snapshot that does is judged by it. */
function snapshotsOf(world: World, vmRef: string): readonly XoSnapshot[] {
  return [...world.vms].flatMap(([ref, vm]): XoSnapshot[] => {
    if (!vm.is_a_snapshot || vm.snapshot_of !== vmRef) return [];
    // One that cannot be read may be a newer version's: it is not judged by less.
    const commit = decode.targetCommit(vm.other_config, vm.uuid).kind;
    if (commit === 'own' || commit === 'unreadable') return [];
    const disks = disksOf(world, vm).map((disk) => ({
      ...disk,
      keys: readXoKeys(world.vdis.get(disk.vdi.ref)?.other_config ?? {}),
    }));
    const keys = readXoKeys(vm.other_config);
    return [{ id: vmId(ref, vm), takenAtMs: parseXapiDate(vm.snapshot_time), keys, disks }];
  });
}
