/** Takes the marks of an attached seed off again: afterwards the VM is an ordinary, halted VM with the same content. */
import type { Pool, Ref, VmRecord } from '../../xapi';
import { decode, keys, own, sourceCommitKey, withoutReplicationKeys } from '../../planner/keys';
import type { ReplicaMark, TargetCommit } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import { replicaTag } from '../../planner/settings';
import { ReplicationError } from '../errors';
import { acquireLock } from '../lock';
import { disksOf, vmId } from '../observe/disks';
import { byUuid, readWorld } from '../observe/world';
import type { World } from '../observe/world';
import { isGone } from '../steps/destroy';
import { readVm } from '../steps/read-vm';
import { startBlockedText } from '../steps/replica';
import { asRunContext } from './context';
import type { SeedContext } from './context';
import { discardPoint } from './write-target';

export interface DetachSeedOptions {
  /** Null where the source pool is gone: its snapshot then keeps marks, which nothing reads any more. */
  readonly source: Pool | null;
  readonly target: Pool;
  readonly targetVmUuid: string;
  /** Where given, a VM that is attached to another job is refused. */
  readonly jobId: string | null;
  readonly lockWaitMs?: number;
  readonly context: SeedContext;
}

export interface DetachReport {
  readonly jobId: string;
  readonly sourceVmUuid: string;
  readonly vm: { readonly uuid: string; readonly name: string };
  /** Snapshots of the target VM that were removed. */
  readonly removedPoints: readonly string[];
  /** Null where it is gone, or where the source pool was not asked. */
  readonly sourceSnapshot: string | null;
}

interface Attached {
  readonly vm: ObjectId;
  readonly record: VmRecord;
  readonly jobId: string;
  readonly sourceVm: string;
  readonly sr: string;
  readonly points: readonly {
    readonly id: ObjectId;
    readonly disks: readonly ObjectId[];
    readonly commit: TargetCommit;
  }[];
}

/**
 * @throws ReplicationError `seed-missing` where the VM is gone or not attached, `seed-refused` where it is attached to
 *   another job, `seed-continued` where runs have gone on with it: that is a replica, not a seed any more.
 */
export async function detachSeed(options: DetachSeedOptions): Promise<DetachReport> {
  const { target, context } = options;
  const first = await readAttached(options);
  context.emit({
    kind: 'seed-started',
    action: 'detach',
    vm: { uuid: first.vm.uuid, name: first.vm.name },
  });
  const lock = await acquireLock(
    target,
    { jobId: first.jobId, vmUuid: first.sourceVm },
    asRunContext(context),
    options.lockWaitMs ?? 150_000,
    (holder, untilMs) => context.emit({ kind: 'seed-lock-waiting', holder, untilMs }),
  );
  try {
    const attached = await readAttached(options);
    await lock.check();
    return await takeOff(options, attached);
  } finally {
    await lock.release();
  }
}

/** The VM's own mark first: with it gone nothing else of this is a base, wherever the rest is interrupted. */
async function takeOff(options: DetachSeedOptions, attached: Attached): Promise<DetachReport> {
  const { target, context } = options;
  const { vm, record, jobId, points } = attached;
  const ref = vm.ref as Ref<'VM'>;
  await target.call('VM.set_other_config', [ref, withoutReplicationKeys(record.other_config)]);
  let sourceSnapshot: string | null = null;
  for (const { commit } of points) {
    if (options.source === null) continue;
    if (await cleanSource(options.source, commit)) sourceSnapshot = commit.sourceSnapshot;
    else {
      const text = `source snapshot ${commit.sourceSnapshot} is gone: there was nothing to take off`;
      context.emit({ kind: 'seed-note', text });
    }
  }
  for (const { id, disks } of points) {
    await discardPoint(target, id, disks, { jobId }, { uuid: attached.sr }, context.runId, {});
  }
  for (const operation of ['start', 'start_on']) {
    if (record.blocked_operations[operation] !== startBlockedText) continue;
    await target.call('VM.remove_from_blocked_operations', [ref, operation]);
  }
  for (const { ref: vdi, record: disk } of (await readVm(target, ref)).disks) {
    const kept = withoutReplicationKeys(disk.other_config);
    await target.call('VDI.set_other_config', [vdi as Ref<'VDI'>, kept]);
  }
  if (record.tags.includes(replicaTag)) await target.call('VM.remove_tags', [ref, replicaTag]);
  return {
    jobId,
    sourceVmUuid: attached.sourceVm,
    vm: { uuid: vm.uuid, name: vm.name },
    removedPoints: points.map(({ id }) => id.uuid),
    sourceSnapshot,
  };
}

/** False where the snapshot is gone. Keys of other jobs stay. */
async function cleanSource(source: Pool, commit: TargetCommit): Promise<boolean> {
  let ref: Ref<'VM'>;
  try {
    ref = await source.call('VM.get_by_uuid', [commit.sourceSnapshot]);
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
  const { record, disks } = await readVm(source, ref);
  await source.call('VM.set_other_config', [ref, withoutKeysOf(commit, record.other_config)]);
  for (const disk of disks) {
    const kept = withoutKeysOf(commit, disk.record.other_config);
    await source.call('VDI.set_other_config', [disk.ref as Ref<'VDI'>, kept]);
  }
  return true;
}

function withoutKeysOf(
  commit: TargetCommit,
  otherConfig: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const mine = sourceCommitKey(commit.job, commit.sr);
  const foreign = otherConfig['xo:backup:job'];
  const shared = foreign === undefined || foreign === commit.job;
  const plain = withoutReplicationKeys(otherConfig);
  return Object.fromEntries(
    Object.entries(otherConfig).filter(
      ([key]) =>
        Object.hasOwn(plain, key) ||
        key === keys.seed ||
        (key !== mine && (key.startsWith('xenrepl:commit:') || !shared)),
    ),
  );
}

async function readAttached(options: DetachSeedOptions): Promise<Attached> {
  const { target, targetVmUuid } = options;
  const world = await readWorld(target, { signal: options.context.signal });
  const found = byUuid(world.vms, targetVmUuid);
  if (found === null || found.record.is_a_snapshot) {
    throw missing(`pool "${target.name}" has no VM ${targetVmUuid}`, 'there is nothing to detach');
  }
  const { ref, record } = found;
  const vm = vmId(ref, record);
  const mark = own(decode.replica(record.other_config, record.uuid));
  const points = pointsOf(world, ref, record, mark);
  const first = points[0]?.commit;
  const jobId = mark?.job ?? first?.job;
  const sourceVm = mark?.sourceVm ?? first?.sourceVm;
  const sr = mark?.sr ?? first?.sr;
  if (jobId === undefined || sourceVm === undefined || sr === undefined) {
    throw missing(
      `VM "${vm.name}" (${vm.uuid}) on pool "${target.name}" is not attached to any job`,
      'there is nothing to detach; xenrepl replicas lists what is attached',
    );
  }
  if (options.jobId !== null && options.jobId !== jobId) {
    throw new ReplicationError(
      'seed-refused',
      `Cannot detach VM "${vm.name}" (${vm.uuid}) from job ${options.jobId}: it is attached to job ${jobId}`,
      { retry: 'never', hint: 'name that job, or leave the job out' },
    );
  }
  const later = laterWork(world, ref, record, points);
  if (later !== null) {
    throw new ReplicationError(
      'seed-continued',
      `Cannot detach VM "${vm.name}" (${vm.uuid}) from job ${jobId}: runs have gone on with it (${later})`,
      {
        retry: 'never',
        hint: 'it is the replica now; to give it up, disable the job and delete its replicas',
      },
    );
  }
  return { vm, record, jobId, sourceVm, sr, points };
}

/** Snapshots of the VM whose commit names it as the replica: also where the VM's mark is gone or never came. */
function pointsOf(world: World, ref: string, vm: VmRecord, mark: ReplicaMark | null): Attached['points'] {
  return [...world.vms].flatMap(([pointRef, point]) => {
    if (!point.is_a_snapshot || point.snapshot_of !== ref) return [];
    const commit = own(decode.targetCommit(point.other_config, point.uuid));
    if (commit?.replica !== vm.uuid || (mark !== null && commit.job !== mark.job)) return [];
    const disks = disksOf(world, point)
      .filter(({ isSnapshot }) => isSnapshot)
      .map(({ vdi }) => vdi);
    return [{ id: vmId(pointRef, point), disks, commit }];
  });
}

/** What shows that a run, ours or Xen Orchestra's, has gone on from the seed; null where none has. */
function laterWork(world: World, ref: string, vm: VmRecord, points: Attached['points']): string | null {
  if (decode.swap(vm.other_config, vm.uuid).kind !== 'absent') return 'an exchange of disks is announced';
  // Attaching copies nothing: it records no digest. Every run does.
  const made = points.find(({ commit }) => commit.disks.some(({ digest }) => digest !== null));
  if (made !== undefined) return `recovery point "${made.id.name}"`;
  const known = new Set(points.map(({ id }) => id.ref));
  for (const [pointRef, point] of world.vms) {
    const theirs = point.is_a_snapshot && point.snapshot_of === ref && !known.has(pointRef);
    if (theirs && point.other_config['xo:copy_of'] !== undefined)
      return `recovery point "${point.name_label}"`;
  }
  return null;
}

function missing(message: string, hint: string): ReplicationError {
  return new ReplicationError('seed-missing', `Cannot detach: ${message}`, { retry: 'never', hint });
}
