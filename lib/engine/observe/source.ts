/** The source side of an observation. */
import { isNullRef, parseXapiDate } from '../../xapi';
import type { VmRecord } from '../../xapi';
import { exclusionMark } from '../../planner/excluded';
import { decode, otherSourceCommits, own, sameUuid } from '../../planner/keys';
import type { JobDefinition } from '../../planner/job';
import { isOfTarget, parseTemporaryName } from '../../planner/marks';
import type {
  Leftover,
  ObservedDisk,
  SourceObservation,
  SourceSnapshot,
  SourceStorage,
} from '../../planner/observation';
import { cardsOf, disksOf, looseDisk, ownBytes, vmId } from './disks';
import { freeBytes, storageFacts } from './storage';
import type { World } from './world';

export function observeSource(
  world: World,
  job: JobDefinition,
  vmRef: string,
  vm: VmRecord,
  nowMs: number | null = null,
): SourceObservation {
  const all = disksOf(world, vm);
  const disks = all.filter(({ vdi }) => exclusionMark(vdi.name) === null);
  const replica = own(decode.replica(vm.other_config, vm.uuid));
  return {
    poolName: world.poolName,
    vm: vmId(vmRef, vm),
    powerState: vm.power_state,
    operations: vm.allowed_operations,
    shutDown: decode.shutdown(vm.other_config, vm.uuid),
    disks,
    excluded: all.filter((disk) => !disks.includes(disk)),
    cards: cardsOf(world, vm),
    snapshots: snapshotsOf(world, vmRef).map(([ref, snapshot]) => toSnapshot(world, job, ref, snapshot)),
    networks: [...world.networks].map(([ref, { uuid, name_label: name }]) => ({ ref, uuid, name })),
    replicaOf: replica?.job === job.jobId ? replica.job : null,
    storages: storagesOf(world, disks),
    nowMs,
    nbd: null,
  };
}

function storagesOf(world: World, disks: readonly ObservedDisk[]): readonly SourceStorage[] {
  const srs = new Map(disks.map(({ sr }) => [sr.ref, sr]));
  return [...srs.values()].flatMap((sr): SourceStorage[] => {
    const record = world.srs.get(sr.ref);
    if (record === undefined) return [];
    return [{ sr, allocation: storageFacts(record).allocation, freeBytes: freeBytes(record) }];
  });
}

/** Snapshots of this job that never got their commit: the runs that took them are dead, for we hold the lock. */
export function sourceLeftovers(
  world: World,
  job: JobDefinition,
  vmRef: string,
  vm: VmRecord,
): readonly Leftover[] {
  return snapshotsOf(world, vmRef).flatMap(([ref, snapshot]): Leftover[] => {
    const { other_config: otherConfig, uuid } = snapshot;
    if (own(decode.sourceCommit(otherConfig, uuid, job.jobId, job.target.srUuid)) !== null) return [];
    if (otherSourceCommits(otherConfig, uuid, job.jobId, job.target.srUuid).length > 0) return [];
    const run = deadRun(snapshot, job, vm.uuid);
    if (run === null) return [];
    // A disk that the snapshot merely shares is the VM's own.
    const disks = disksOf(world, snapshot).filter(({ isSnapshot }) => isSnapshot);
    const vdis = disks.map(({ vdi }) => vdi);
    return [
      {
        kind: 'vm',
        side: 'source',
        id: vmId(ref, snapshot),
        run,
        disks: vdis,
        reclaimableBytes: ownBytes(world, vdis),
      },
    ];
  });
}

/** The run of this job and target that took the snapshot, or null. Where there is a mark, it alone says so. */
function deadRun(snapshot: VmRecord, job: JobDefinition, sourceVmUuid: string): string | null {
  const mark = own(decode.run(snapshot.other_config, snapshot.uuid));
  if (mark !== null) return mark.job === job.jobId && sameUuid(mark.sr, job.target.srUuid) ? mark.run : null;
  const name = parseTemporaryName(snapshot.name_label);
  if (name?.role !== 'snapshot' || name.sourceVm !== sourceVmUuid) return null;
  return isOfTarget(name, job.jobId, job.target.srUuid) ? name.run : null;
}

/**
 * Disks that the commit of a snapshot names and that the snapshot does not have any more: their data was dropped, or was
 * about to be. The commit alone tells where they belong.
 */
function droppedDisks(world: World, job: JobDefinition, snapshot: VmRecord): readonly ObservedDisk[] {
  const commit = own(decode.sourceCommit(snapshot.other_config, snapshot.uuid, job.jobId, job.target.srUuid));
  const attached = new Set(disksOf(world, snapshot).map(({ vdi }) => vdi.uuid));
  return (commit?.disks ?? []).flatMap(({ device, vdi }) => {
    const disk = attached.has(vdi) ? null : looseDisk(world, device, vdi);
    return disk?.isSnapshot === true && isMarked(world, disk.vdi.ref, job) ? [disk] : [];
  });
}

/** Disks without data that no commit names any more: their snapshot went without them. */
export function droppedLeftovers(
  world: World,
  job: JobDefinition,
  snapshots: readonly SourceSnapshot[],
  disks: readonly ObservedDisk[],
): readonly Leftover[] {
  const held = new Set(snapshots.flatMap((snapshot) => snapshot.disks.map(({ vdi }) => vdi.uuid)));
  const live = new Set(disks.map(({ vdi }) => vdi.ref));
  return [...world.vdis].flatMap(([ref, vdi]): Leftover[] => {
    const mark = own(decode.run(vdi.other_config, vdi.uuid));
    if (mark === null || held.has(vdi.uuid) || vdi.VBDs.length > 0 || !vdi.is_a_snapshot) return [];
    if (!live.has(vdi.snapshot_of) || !isMarked(world, ref, job)) return [];
    const id = { ref, uuid: vdi.uuid, name: vdi.name_label };
    return [
      { kind: 'disk', side: 'source', id, run: mark.run, disks: [], reclaimableBytes: ownBytes(world, [id]) },
    ];
  });
}

function isMarked(world: World, vdiRef: string, job: JobDefinition): boolean {
  const vdi = world.vdis.get(vdiRef);
  const mark = vdi === undefined ? null : own(decode.run(vdi.other_config, vdi.uuid));
  return mark?.job === job.jobId && sameUuid(mark.sr, job.target.srUuid);
}

function snapshotsOf(world: World, vmRef: string): readonly (readonly [string, VmRecord])[] {
  return [...world.vms].filter(
    ([, { is_a_snapshot, snapshot_of }]) => is_a_snapshot && !isNullRef(snapshot_of) && snapshot_of === vmRef,
  );
}

function toSnapshot(world: World, job: JobDefinition, ref: string, snapshot: VmRecord): SourceSnapshot {
  const { other_config: otherConfig, uuid } = snapshot;
  return {
    id: vmId(ref, snapshot),
    takenAtMs: parseXapiDate(snapshot.snapshot_time),
    disks: [...disksOf(world, snapshot), ...droppedDisks(world, job, snapshot)],
    commit: decode.sourceCommit(otherConfig, uuid, job.jobId, job.target.srUuid),
    runMark: decode.run(otherConfig, uuid),
    otherCommits: otherSourceCommits(otherConfig, uuid, job.jobId, job.target.srUuid),
  };
}
