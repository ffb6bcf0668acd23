/** What stands on the target for a job: readable with credentials for the target pool alone. */
import { isNullRef } from '../xapi';
import type { CallOptions, Pool, Ref, VmRecord } from '../xapi';
import { decode, own } from '../planner/keys';
import type { CopyKind, ReplicaMark, TargetCommit, Verification } from '../planner/keys';
import { replicaVerification } from '../planner/verify';
import type { ReplicaVerification } from '../planner/verify';
import { disksOf } from './observe/disks';
import { readWorld } from './observe/world';
import type { World } from './observe/world';

export interface RecoveryPointSummary {
  readonly uuid: string;
  readonly name: string;
  readonly takenAtMs: number;
  readonly committedAtMs: number;
  readonly kind: CopyKind;
  readonly sourceSnapshotUuid: string;
  readonly runId: string;
  /** What the last comparison of it with its source found; null where there was none. */
  readonly verified: Verification | null;
  readonly disks: readonly {
    readonly device: string;
    readonly vdiUuid: string;
    readonly sourceVdiUuid: string;
    readonly sizeBytes: number;
  }[];
}

export interface ReplicaSummary {
  readonly jobId: string;
  readonly sourceVmUuid: string;
  readonly name: string;
  readonly uuid: string;
  readonly srUuid: string;
  /** `ready`: can be recovered from; `swapping`: a run exchanges its disks; `empty`: no recovery point yet. */
  readonly state: 'ready' | 'swapping' | 'empty';
  /** Newest first. */
  readonly points: readonly RecoveryPointSummary[];
  readonly verification: ReplicaVerification | null;
}

/** Replicas of one job, or of all jobs where `jobId` is null, by name. */
export async function listReplicas(
  target: Pool,
  jobId: string | null,
  options: CallOptions = {},
): Promise<readonly ReplicaSummary[]> {
  const world = await readWorld(target, options);
  return replicasIn(world, jobId)
    .map(({ ref, vm, mark }) => summarise(world, ref, vm, mark))
    .sort((a, b) => a.name.localeCompare(b.name) || a.uuid.localeCompare(b.uuid));
}

/**
 * Destroys the replicas of a job with their recovery points and disks. Only what bears this job's mark goes;
 * a disk that another VM uses stays.
 */
export async function deleteReplicas(target: Pool, jobId: string, options: CallOptions = {}): Promise<void> {
  const world = await readWorld(target, options);
  for (const { ref, vm, mark } of replicasIn(world, jobId)) {
    for (const { pointRef, commit } of committedPointsOf(world, ref, mark)) {
      const point = world.vms.get(pointRef);
      if (point === undefined) continue;
      const disks = disksOf(world, point).filter(({ vdi }) =>
        commit.disks.some((disk) => disk.vdi === vdi.uuid),
      );
      await destroy(
        target,
        world,
        pointRef,
        disks.map(({ vdi }) => vdi.ref),
        options,
      );
    }
    await destroy(
      target,
      world,
      ref,
      disksOf(world, vm).map(({ vdi }) => vdi.ref),
      options,
    );
  }
}

async function destroy(
  target: Pool,
  world: World,
  vmRef: string,
  vdiRefs: readonly string[],
  options: CallOptions,
): Promise<void> {
  const shared = new Set(
    [...world.vbds.values()]
      .filter(({ VM, VDI }) => VM !== vmRef && !isNullRef(VDI))
      .map(({ VDI }) => VDI as string),
  );
  await target.call('VM.destroy', [vmRef as Ref<'VM'>], options);
  for (const ref of vdiRefs) {
    if (!shared.has(ref)) await target.call('VDI.destroy', [ref as Ref<'VDI'>], options);
  }
}

function replicasIn(
  world: World,
  jobId: string | null,
): readonly { readonly ref: string; readonly vm: VmRecord; readonly mark: ReplicaMark }[] {
  return [...world.vms].flatMap(([ref, vm]) => {
    const mark = vm.is_a_snapshot ? null : own(decode.replica(vm.other_config, vm.uuid));
    return mark === null || (jobId !== null && mark.job !== jobId) ? [] : [{ ref, vm, mark }];
  });
}

function summarise(world: World, ref: string, vm: VmRecord, mark: ReplicaMark): ReplicaSummary {
  const points = committedPointsOf(world, ref, mark).map(toSummary);
  const swapping = own(decode.swap(vm.other_config, vm.uuid)) !== null;
  return {
    jobId: mark.job,
    sourceVmUuid: mark.sourceVm,
    name: vm.name_label,
    uuid: vm.uuid,
    srUuid: mark.sr,
    state: swapping ? 'swapping' : points.length > 0 ? 'ready' : 'empty',
    points,
    verification: replicaVerification(points),
  };
}

interface CommittedPoint {
  readonly pointRef: string;
  readonly name: string;
  readonly commit: TargetCommit;
  readonly verified: Verification | null;
}

function committedPointsOf(world: World, replicaRef: string, mark: ReplicaMark): readonly CommittedPoint[] {
  return [...world.vms]
    .flatMap(([pointRef, point]) => {
      if (!point.is_a_snapshot || point.snapshot_of !== replicaRef) return [];
      const commit = own(decode.targetCommit(point.other_config, point.uuid));
      return commit?.job === mark.job && commit.replica === mark.self
        ? [{ pointRef, name: point.name_label, commit, verified: verificationOf(point) }]
        : [];
    })
    .sort((a, b) => b.commit.committedAtMs - a.commit.committedAtMs);
}

function verificationOf({ other_config: config, uuid }: VmRecord): Verification | null {
  const mark = own(decode.verified(config, uuid));
  return mark === null ? null : { atMs: mark.atMs, mode: mark.mode, equal: mark.equal };
}

function toSummary({ name, commit, verified }: CommittedPoint): RecoveryPointSummary {
  return {
    uuid: commit.self,
    name,
    takenAtMs: commit.takenAtMs,
    committedAtMs: commit.committedAtMs,
    kind: commit.kind,
    sourceSnapshotUuid: commit.sourceSnapshot,
    runId: commit.run,
    verified,
    disks: commit.disks
      .map(({ device, vdi: vdiUuid, sourceVdi: sourceVdiUuid, sizeBytes }) => ({
        device,
        vdiUuid,
        sourceVdiUuid,
        sizeBytes,
      }))
      .sort((a, b) => Number(a.device) - Number(b.device)),
  };
}
