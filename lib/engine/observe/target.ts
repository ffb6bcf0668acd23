/** The target side of an observation: SR, live replica, recovery points, leftovers. */
import { isNullRef, parseXapiDate } from '../../xapi';
import type { SrRecord, VdiRecord, VmRecord } from '../../xapi';
import { committedPoints } from '../../planner/base';
import { decode, own, sameUuid } from '../../planner/keys';
import type { ReplicaMark, StagingMark } from '../../planner/keys';
import type { JobDefinition } from '../../planner/job';
import { isOfTarget, parseTemporaryName } from '../../planner/marks';
import type {
  AnnouncedDisk,
  Leftover,
  ObjectId,
  ObservedDisk,
  ObservedReplica,
  RecoveryPoint,
  ReplicaDisk,
  TargetObservation,
} from '../../planner/observation';
import { cardsOf, disksOf, ownBytes, vdiId, vmId } from './disks';
import { settingsOf } from './settings';
import { freeBytes, storageFacts } from './storage';
import { byUuid } from './world';
import type { World } from './world';
import { xoTransferMark } from './xo-transfer';

export function observeTarget(
  world: World,
  job: JobDefinition,
  sourceVmUuid: string,
  srRef: string,
  sr: SrRecord,
): TargetObservation {
  const replicas = [...world.vms].flatMap(([ref, vm]) => {
    const mark = replicaMark(vm, job, sourceVmUuid);
    return mark === null ? [] : [{ ref, vm, mark }];
  });
  const [first, ...rivals] = replicas;
  return {
    poolName: world.poolName,
    poolUuid: world.poolUuid,
    sr: { ref: srRef, uuid: sr.uuid, name: sr.name_label },
    srType: sr.type,
    ...storageFacts(sr),
    freeBytes: freeBytes(sr),
    staged: stagedBytes(world, srRef),
    reserved: [],
    replica: first === undefined ? null : toReplica(world, job, first.ref, first.vm, first.mark),
    rivals: rivals.map(({ ref, vm }) => vmId(ref, vm)),
    networks: [...world.networks].map(([ref, { uuid, name_label: name }]) => ({ ref, uuid, name })),
  };
}

/** What disks hold that are being filled on the SR, by any run of any job. */
function stagedBytes(world: World, srRef: string): TargetObservation['staged'] {
  return [...world.vdis.values()].flatMap((vdi) => {
    const mark = vdi.SR === srRef ? stagingMark(vdi) : null;
    if (mark === null) return [];
    return [{ jobId: mark.job, sourceVm: mark.sourceVm, bytes: vdi.physical_utilisation }];
  });
}

/** The mark that makes a VM the replica of (job, source VM, SR); a copied mark makes it nothing. */
export function replicaMark(vm: VmRecord, job: JobDefinition, sourceVmUuid: string): ReplicaMark | null {
  if (vm.is_a_snapshot) return null;
  const mark = own(decode.replica(vm.other_config, vm.uuid));
  if (mark === null || mark.job !== job.jobId || !sameUuid(mark.sr, job.target.srUuid)) return null;
  return mark.sourceVm === sourceVmUuid ? mark : null;
}

/** What earlier runs of this job left of this VM on the target. */
export function targetLeftovers(world: World, job: JobDefinition, sourceVmUuid: string): readonly Leftover[] {
  const srRef = byUuid(world.srs, job.target.srUuid)?.ref;
  const shells = [...world.vms].flatMap(([ref, vm]): Leftover[] => {
    const run = deadRun(vm, job, sourceVmUuid);
    if (run === null) return [];
    const disks = disksOf(world, vm)
      // A clone has clones, a snapshot has snapshots; anything else it merely shares with its owner.
      .filter(({ isSnapshot }) => isSnapshot === vm.is_a_snapshot)
      .map(({ vdi }) => vdi)
      .filter((vdi) => usersOf(world, vdi.ref).every((user) => user === ref));
    const reclaimableBytes = ownBytes(world, disks);
    return [{ kind: 'vm', side: 'target', id: vmId(ref, vm), run, disks, reclaimableBytes }];
  });
  const inShells = new Set(shells.flatMap(({ disks }) => disks.map(({ ref }) => ref)));
  const disks = [...world.vdis].flatMap(([ref, vdi]): Leftover[] => {
    // Its place says for which target it is: that of another one may be gone on with there.
    if (vdi.SR !== srRef) return [];
    const mark = stagingMark(vdi);
    if (mark?.job !== job.jobId || mark.sourceVm !== sourceVmUuid || inShells.has(ref)) return [];
    if (vdi.is_a_snapshot || userVmsOf(world, vdi).length > 0) return [];
    const id = vdiId(ref, vdi);
    const reclaimableBytes = ownBytes(world, [id]);
    const progress = own(decode.progress(vdi.other_config, vdi.uuid));
    const leftover = {
      kind: 'disk',
      side: 'target',
      id,
      run: mark.run,
      disks: [],
      reclaimableBytes,
    } as const;
    const contentId = vdi.other_config['content_id'] ?? null;
    return [progress?.job === job.jobId ? { ...leftover, progress, contentId } : leftover];
  });
  return [...shells, ...disks];
}

/**
 * A disk that we create is born under a temporary name and marked right after; one that we clone comes with its
 * shell. A copied mark tells that somebody copied our disk: the copy is theirs, whatever its name.
 */
function stagingMark(vdi: VdiRecord): Pick<StagingMark, 'job' | 'sourceVm' | 'run'> | null {
  const found = decode.staging(vdi.other_config, vdi.uuid);
  if (found.kind !== 'absent') return own(found);
  const name = parseTemporaryName(vdi.name_label);
  return name?.role === 'staging' ? name : null;
}

/** The run that made this VM and died, or null where the VM is none of our unfinished work. */
function deadRun(vm: VmRecord, job: JobDefinition, sourceVmUuid: string): string | null {
  if (own(decode.targetCommit(vm.other_config, vm.uuid)) !== null) return null;
  // Marked as the replica, it is the replica, even where its run died before it got its final name.
  if (replicaMark(vm, job, sourceVmUuid) !== null) return null;
  const name = parseTemporaryName(vm.name_label);
  if (name !== null && name.role !== 'snapshot' && name.sourceVm === sourceVmUuid) {
    if (isOfTarget(name, job.jobId, job.target.srUuid)) return name.run;
  }
  const mark = own(decode.run(vm.other_config, vm.uuid));
  const replica = decode.replica(vm.other_config, vm.uuid);
  const ofThisVm = replica.kind === 'copied' && replica.record.sourceVm === sourceVmUuid;
  const ofThisJob = mark?.job === job.jobId && sameUuid(mark.sr, job.target.srUuid);
  return ofThisJob && vm.is_a_snapshot && ofThisVm ? mark.run : null;
}

function usersOf(world: World, vdiRef: string): readonly string[] {
  return [...world.vbds.values()].filter(({ VDI }) => VDI === vdiRef).map(({ VM }) => VM);
}

/** VMs of people that use the disk; control domains use it only while something is transferred. */
function userVmsOf(world: World, vdi: VdiRecord): readonly string[] {
  return vdi.VBDs.flatMap((vbdRef) => {
    const vmRef = world.vbds.get(vbdRef)?.VM;
    const vm = vmRef === undefined ? undefined : world.vms.get(vmRef);
    return vmRef === undefined || vm === undefined || vm.is_control_domain ? [] : [vmRef];
  });
}

function toReplica(
  world: World,
  job: JobDefinition,
  ref: string,
  vm: VmRecord,
  mark: ReplicaMark,
): ObservedReplica {
  const points = [...world.vms]
    .filter(
      ([, { is_a_snapshot, snapshot_of }]) => is_a_snapshot && !isNullRef(snapshot_of) && snapshot_of === ref,
    )
    .map(([pointRef, point]) => toPoint(world, pointRef, point));
  const replica: ObservedReplica = {
    id: vmId(ref, vm),
    mark,
    powerState: vm.power_state,
    blockedOperations: vm.blocked_operations,
    disks: [],
    points,
    swap: decode.swap(vm.other_config, vm.uuid),
    announced: announcedDisks(world, ref, vm),
    settings: settingsOf(vm),
    cards: cardsOf(world, vm),
    cardRefs: vm.VIFs,
    foreignTransfer: foreignTransfer(world, vm),
  };
  const committed = committedPoints(job, replica).map(({ point }) => point);
  return { ...replica, disks: disksOf(world, vm).map((disk) => withChange(disk, committed)) };
}

/** What became of the disks that an announced exchange brings in. */
function announcedDisks(world: World, replicaRef: string, vm: VmRecord): readonly AnnouncedDisk[] {
  return (own(decode.swap(vm.other_config, vm.uuid))?.disks ?? []).map(({ device, newVdi: uuid }) => {
    const vdi = byUuid(world.vdis, uuid);
    if (vdi === null) return { device, uuid, found: null };
    const usedBy = userVmsOf(world, vdi.record).flatMap((ref) => {
      const user = world.vms.get(ref);
      return user === undefined || ref === replicaRef ? [] : [vmId(ref, user)];
    });
    return { device, uuid, found: { contentId: vdi.record.other_config['content_id'] ?? null, usedBy } };
  });
}

function toPoint(world: World, ref: string, point: VmRecord): RecoveryPoint {
  return {
    id: vmId(ref, point),
    takenAtMs: parseXapiDate(point.snapshot_time),
    disks: disksOf(world, point),
    commit: decode.targetCommit(point.other_config, point.uuid),
    verified: decode.verified(point.other_config, point.uuid),
  };
}

/**
 * The storage layer gives a disk a new content id whenever it was attached for writing, and copies it on
 * snapshot: equal and present means equal content. Anything else must be asked of the disks themselves. Equal to
 * any recovery point is enough: nothing is lost with a replica that somebody set back to an older one.
 */
function withChange(disk: ObservedDisk, committed: readonly RecoveryPoint[]): ReplicaDisk {
  const equal = committed.some((point) => {
    const partner = point.disks.find(({ device }) => device === disk.device);
    return partner !== undefined && disk.contentId !== null && disk.contentId === partner.contentId;
  });
  return { ...disk, changed: equal ? 'no' : 'unknown' };
}

/** The mark of a transfer of Xen Orchestra to this VM, or null. */
export function foreignTransfer(world: World, vm: VmRecord): string | null {
  const disks = disksOf(world, vm).flatMap(({ vdi }) => world.vdis.get(vdi.ref) ?? []);
  return xoTransferMark(vm, disks);
}

/** The disks whose change is not known from content ids, each with the recovery point's disk to compare with. */
export function undecidedDisks(
  job: JobDefinition,
  replica: ObservedReplica,
): readonly { readonly disk: ReplicaDisk; readonly pointVdi: ObjectId | null }[] {
  const newest = committedPoints(job, replica)[0]?.point;
  return replica.disks
    .filter(({ changed }) => changed === 'unknown')
    .map((disk) => ({
      disk,
      pointVdi: newest?.disks.find(({ device }) => device === disk.device)?.vdi ?? null,
    }));
}
