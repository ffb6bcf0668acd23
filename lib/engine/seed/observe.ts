/** Reads what the decision about a seed needs from both pools. */
import { isNullRef, parseXapiDate } from '../../xapi';
import type { CallOptions, Pool, VbdRecord, VmRecord } from '../../xapi';
import { decode, otherSourceCommits, own, sameUuid } from '../../planner/keys';
import { parseTemporaryName } from '../../planner/marks';
import type { ObjectId } from '../../planner/observation';
import type { SeedDisk, SeedJob, SeedObservation, SeedSnapshot, SeedTarget } from '../../planner/seed';
import { disksOf, vmId } from '../observe/disks';
import { missingPermissions } from '../observe/permissions';
import { storageFacts } from '../observe/storage';
import { foreignTransfer } from '../observe/target';
import { byUuid, readWorld } from '../observe/world';
import type { World } from '../observe/world';

export interface SeedRequest {
  readonly job: SeedJob;
  readonly source: Pool;
  readonly target: Pool;
  readonly snapshotUuid: string;
  readonly targetVmUuid: string;
}

/** A snapshot of the target VM that an earlier try made and did not bring to its end. */
export interface StalePoint {
  readonly id: ObjectId;
  readonly disks: readonly ObjectId[];
}

export interface ObservedSeed {
  readonly observation: SeedObservation;
  readonly stale: readonly StalePoint[];
  /** The target VM's record, null where there is none. */
  readonly targetRecord: VmRecord | null;
  readonly snapshotRecord: VmRecord | null;
}

export async function observeSeed(request: SeedRequest, options: CallOptions): Promise<ObservedSeed> {
  const { source, target, job } = request;
  const [sourceWorld, targetWorld, missing] = await Promise.all([
    readWorld(source, options),
    readWorld(target, options),
    missingPermissions(source, target, options),
  ]);
  const foundSnapshot = byUuid(sourceWorld.vms, request.snapshotUuid);
  const foundVm = byUuid(targetWorld.vms, request.targetVmUuid);
  const vm = foundVm === null ? null : await toTarget(request, targetWorld, foundVm, options);
  const srUuid = job.srUuid ?? vm?.disks[0]?.sr.uuid ?? null;
  const sr = srUuid === null ? null : byUuid(targetWorld.srs, srUuid);
  const snapshot =
    foundSnapshot === null
      ? null
      : toSnapshot(sourceWorld, targetWorld, job, srUuid ?? '', foundSnapshot.ref, foundSnapshot.record);
  const observation: SeedObservation = {
    source: { poolName: source.name, wanted: request.snapshotUuid, snapshot },
    target: {
      poolName: target.name,
      wanted: request.targetVmUuid,
      vm,
      sr: sr === null ? null : { ref: sr.ref, uuid: sr.record.uuid, name: sr.record.name_label },
      rawDisks: sr !== null && storageFacts(sr.record).rawDisks,
      replicas: otherReplicas(targetWorld, job, srUuid, snapshot, vm),
    },
    missingPermissions: missing,
  };
  return {
    observation,
    stale: foundVm === null ? [] : stalePoints(targetWorld, job, foundVm.ref, foundVm.record),
    targetRecord: foundVm?.record ?? null,
    snapshotRecord: foundSnapshot?.record ?? null,
  };
}

function toSnapshot(
  world: World,
  targetWorld: World,
  job: SeedJob,
  srUuid: string,
  ref: string,
  snapshot: VmRecord,
): SeedSnapshot {
  const { other_config: otherConfig, uuid } = snapshot;
  const ofRecord = isNullRef(snapshot.snapshot_of) ? undefined : world.vms.get(snapshot.snapshot_of);
  const commit = decode.sourceCommit(otherConfig, uuid, job.jobId, srUuid);
  return {
    id: vmId(ref, snapshot),
    isSnapshot: snapshot.is_a_snapshot,
    of: ofRecord === undefined ? null : vmId(snapshot.snapshot_of, ofRecord),
    ofTags: ofRecord?.tags ?? [],
    takenAtMs: parseXapiDate(snapshot.snapshot_time),
    disks: seedDisks(world, ref, snapshot),
    commit,
    commitStands: pointStands(targetWorld, own(commit)?.point ?? null),
    runMark: decode.run(otherConfig, uuid),
    otherCommits: otherSourceCommits(otherConfig, uuid, job.jobId, srUuid),
    foreignJob: otherConfig['xo:backup:job'] ?? null,
  };
}

/** True where the recovery point is there, committed, and of a VM that is marked as a replica. */
function pointStands(world: World, pointUuid: string | null): boolean {
  const point = pointUuid === null ? null : byUuid(world.vms, pointUuid);
  if (point === null || own(decode.targetCommit(point.record.other_config, point.record.uuid)) === null) {
    return false;
  }
  const replica = world.vms.get(point.record.snapshot_of);
  return replica !== undefined && own(decode.replica(replica.other_config, replica.uuid)) !== null;
}

async function toTarget(
  { target, job, snapshotUuid }: SeedRequest,
  world: World,
  { ref, record: vm }: { readonly ref: string; readonly record: VmRecord },
  options: CallOptions,
): Promise<SeedTarget> {
  const { other_config: config } = vm;
  const committed = snapshotsOf(world, ref).flatMap(([, point]) => {
    const commit = own(decode.targetCommit(point.other_config, point.uuid));
    const knownGood = point.other_config['xo:backup:includeNonNbdQcow2Fix'] === 'true';
    return commit?.replica === vm.uuid ? [{ commit, knownGood }] : [];
  });
  // Carried by every replica that Xen Orchestra made or adopted, and by no source snapshot.
  const foreign = config['xo:copy_of'] !== undefined || config['xo:backup:sr'] !== undefined;
  return {
    id: vmId(ref, vm),
    is: kindOf(vm),
    powerState: vm.power_state,
    startedAtMs: await startedAtMs(target, vm, options),
    operations: Object.values(vm.current_operations),
    disks: seedDisks(world, ref, vm),
    mark: decode.replica(config, vm.uuid),
    committedFor: committed.map(({ commit }) => commit.job),
    pending:
      committed.find(
        ({ commit }) => commit.job === job.jobId && sameUuid(commit.sourceSnapshot, snapshotUuid),
      ) ?? null,
    foreignJob: foreign ? (config['xo:backup:job'] ?? 'of unknown id') : null,
    foreignTransfer: foreignTransfer(world, vm),
    importing: own(decode.seedVm(config, vm.uuid))?.complete === false,
  };
}

function kindOf(vm: VmRecord): SeedTarget['is'] {
  if (vm.is_control_domain) return 'control domain';
  if (vm.is_a_snapshot) return 'snapshot';
  return vm.is_a_template ? 'template' : 'vm';
}

/**
 * VM_metrics is made anew by create, clone and import, and its start time set by every boot. `last_booted_record` tells
 * less: an archive carries it along.
 */
async function startedAtMs(pool: Pool, vm: VmRecord, options: CallOptions): Promise<number | null> {
  if (vm.metrics === undefined || isNullRef(vm.metrics)) return null;
  const { start_time: time } = await pool.call('VM_metrics.get_record', [vm.metrics], options);
  const atMs = parseXapiDate(time);
  return atMs === 0 ? null : atMs;
}

function seedDisks(world: World, vmRef: string, vm: VmRecord): readonly SeedDisk[] {
  return disksOf(world, vm).map((disk) => {
    const users = [...world.vbds.values()].filter(({ VDI }) => VDI === disk.vdi.ref);
    const vms = users.flatMap(({ VM }) => {
      const record = world.vms.get(VM);
      return record === undefined || VM === vmRef ? [] : [{ ref: VM, record }];
    });
    return {
      ...disk,
      readOnly: vbdAt(world, vm, disk.device)?.mode === 'RO',
      usedBy: vms
        .filter(({ record }) => !record.is_control_domain)
        .map(({ ref, record }) => vmId(ref, record)),
      transferring: vms.some(({ record }) => record.is_control_domain),
    };
  });
}

function vbdAt(world: World, vm: VmRecord, device: string): VbdRecord | undefined {
  return vm.VBDs.map((ref) => world.vbds.get(ref)).find((vbd) => vbd?.userdevice === device);
}

function snapshotsOf(world: World, vmRef: string): readonly (readonly [string, VmRecord])[] {
  return [...world.vms].filter(([, vm]) => vm.is_a_snapshot && vm.snapshot_of === vmRef);
}

function otherReplicas(
  world: World,
  job: SeedJob,
  srUuid: string | null,
  snapshot: SeedSnapshot | null,
  vm: SeedTarget | null,
): readonly ObjectId[] {
  return [...world.vms].flatMap(([ref, other]) => {
    const mark = other.is_a_snapshot ? null : own(decode.replica(other.other_config, other.uuid));
    const same =
      mark?.job === job.jobId &&
      mark.sourceVm === snapshot?.of?.uuid &&
      srUuid !== null &&
      sameUuid(mark.sr, srUuid);
    return same && ref !== vm?.id.ref ? [vmId(ref, other)] : [];
  });
}

/**
 * Snapshots of the target VM that bear our marks although the VM is no replica: an earlier try died between making its
 * recovery point and marking the VM. Nothing reads them as a base.
 */
function stalePoints(world: World, job: SeedJob, vmRef: string, vm: VmRecord): readonly StalePoint[] {
  if (own(decode.replica(vm.other_config, vm.uuid)) !== null) return [];
  return snapshotsOf(world, vmRef)
    .filter(([, point]) => isOurs(job, vm, point))
    .map(([ref, point]) => ({
      id: vmId(ref, point),
      disks: disksOf(world, point)
        .filter(({ isSnapshot }) => isSnapshot)
        .map(({ vdi }) => vdi),
    }));
}

function isOurs(job: SeedJob, vm: VmRecord, point: VmRecord): boolean {
  const name = parseTemporaryName(point.name_label);
  if (name?.role === 'point' && name.job === job.jobId) return true;
  if (own(decode.run(point.other_config, point.uuid))?.job === job.jobId) return true;
  const commit = own(decode.targetCommit(point.other_config, point.uuid));
  return commit?.job === job.jobId && commit.replica === vm.uuid;
}
