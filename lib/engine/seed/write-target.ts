/** What attaching a seed writes on the target pool. Every change is registered for taking back before it is made. */
import type { CallOptions, Pool, Ref, VmRecord } from '../../xapi';
import { formatXapiDate } from '../../xapi';
import { decode, encode, own, withoutReplicationKeys } from '../../planner/keys';
import type { CommittedDisk, TargetCommit } from '../../planner/keys';
import { parseTemporaryName, temporaryName } from '../../planner/marks';
import type { ObjectId } from '../../planner/observation';
import type { SeedJob, SeedPlan } from '../../planner/seed';
import { replicaTag } from '../../planner/settings';
import { ReplicationError } from '../errors';
import { destroyMarked, unlessGone } from '../steps/destroy';
import { readVm } from '../steps/read-vm';
import type { FreshVm } from '../steps/read-vm';
import { startBlockedText } from '../steps/replica';
import type { SeedContext } from './context';
import { importedText } from './imported';
import type { Undo } from './undo';

type StringMap = Readonly<Record<string, string>>;

export interface TargetWriting {
  readonly target: Pool;
  readonly job: SeedJob;
  readonly plan: SeedPlan;
  readonly context: SeedContext;
  readonly undo: Undo;
  /** True only where every byte was compared: Xen Orchestra trusts such copies without a look of its own. */
  readonly knownGood: boolean;
}

/** Nothing may start the VM from here on: not a person, not auto power-on, not HA. */
export async function protectTarget(writing: TargetWriting, vm: VmRecord): Promise<void> {
  const { target, plan, undo } = writing;
  const ref = plan.target.id.ref as Ref<'VM'>;
  for (const operation of ['start', 'start_on']) {
    const text = vm.blocked_operations[operation];
    // Somebody's own text stays: only that there is one counts.
    if (text !== undefined && text !== importedText) continue;
    undo.before(`block of ${operation}`, (options) =>
      setBlock(target, ref, operation, text ?? null, options),
    );
    await setBlock(target, ref, operation, startBlockedText, {});
  }
  if (!vm.tags.includes(replicaTag)) {
    undo.before(`tag "${replicaTag}"`, async (options) => {
      await unlessGone(target.call('VM.remove_tags', [ref, replicaTag], options));
    });
    await target.call('VM.add_tags', [ref, replicaTag]);
  }
  if (vm.ha_restart_priority !== '') {
    undo.before('HA priority', async (options) => {
      await unlessGone(target.call('VM.set_ha_restart_priority', [ref, vm.ha_restart_priority], options));
    });
    await target.call('VM.set_ha_restart_priority', [ref, '']);
  }
}

async function setBlock(
  target: Pool,
  ref: Ref<'VM'>,
  operation: string,
  text: string | null,
  options: CallOptions,
): Promise<void> {
  await unlessGone(target.call('VM.remove_from_blocked_operations', [ref, operation], options));
  if (text === null) return;
  await unlessGone(target.call('VM.add_to_blocked_operations', [ref, operation, text], options));
}

/**
 * Snapshots the VM and makes the snapshot the first recovery point, complete with its commit. The VM itself is marked
 * afterwards: until then nothing of this is a base, since the commit's replica is none.
 */
export async function commitFirstPoint(writing: TargetWriting): Promise<TargetCommit> {
  const { target, job, plan, context, undo } = writing;
  const live = plan.target.id;
  await markLiveDisks(writing);
  const temporary = temporaryName(
    { role: 'point', job: job.jobId, sr: plan.sr.uuid, sourceVm: plan.vm.uuid, run: context.runId },
    live.name,
  );
  undo.before('recovery point', (options) => destroyPoints(writing, options));
  const ref = await target.callTask('VM.snapshot', [live.ref as Ref<'VM'>, temporary]);
  const point = await readVm(target, ref);
  const disks = committedDisks(plan, point);
  const plain = withoutReplicationKeys(point.record.other_config);
  const copy = replicaMark(writing);
  const mark = encode.run({
    v: 1,
    self: point.record.uuid,
    job: job.jobId,
    run: context.runId,
    sr: plan.sr.uuid,
  });
  await target.call('VM.set_other_config', [ref, { ...plain, ...copy, ...mark }]);
  await target.call('VM.set_is_a_template', [ref, false]);
  const shared = sharedKeys(writing);
  for (const disk of point.disks) {
    const source = disks.find(({ device }) => device === disk.device)?.sourceVdi ?? '';
    await target.call('VDI.set_other_config', [
      disk.ref as Ref<'VDI'>,
      {
        ...withoutReplicationKeys(disk.record.other_config),
        ...shared,
        'xo:copy_of': source,
        'xo:backup:contentKey': source,
      },
    ]);
  }
  const name = `${live.name} - ${job.name ?? 'seed'} ${formatXapiDate(plan.snapshot.takenAtMs)}`;
  await target.call('VM.set_name_label', [ref, name]);
  const commit: TargetCommit = {
    v: 1,
    self: point.record.uuid,
    job: job.jobId,
    run: context.runId,
    sourceVm: plan.vm.uuid,
    sourceSnapshot: plan.snapshot.id.uuid,
    replica: live.uuid,
    sr: plan.sr.uuid,
    kind: 'full',
    takenAtMs: plan.snapshot.takenAtMs,
    committedAtMs: await target.serverTime(),
    disks,
  };
  await target.call('VM.set_other_config', [
    ref,
    {
      ...plain,
      ...copy,
      ...shared,
      'xo:copy_of': plan.snapshot.id.uuid,
      ...encode.targetCommit(commit),
    },
  ]);
  return commit;
}

/**
 * An archive carries the keys of what was exported along: left in place they would speak for other copies. The SR's key
 * stays on every disk of a replica, and tells the run that replaces it that it may go.
 */
async function markLiveDisks({ target, plan, undo }: TargetWriting): Promise<void> {
  const { disks } = await readVm(target, plan.target.id.ref);
  for (const { ref, record } of disks) {
    undo.before(`keys of disk ${record.uuid}`, async (options) => {
      const call = target.call('VDI.set_other_config', [ref as Ref<'VDI'>, record.other_config], options);
      await unlessGone(call);
    });
    await target.call('VDI.set_other_config', [
      ref as Ref<'VDI'>,
      { ...withoutReplicationKeys(record.other_config), 'xo:backup:sr': plan.sr.uuid },
    ]);
  }
}

/** The snapshot must be of exactly the disks that were compared. */
function committedDisks(plan: SeedPlan, point: FreshVm): readonly CommittedDisk[] {
  return plan.pairs.map(({ device, source, target }) => {
    const found = point.disks.find((disk) => disk.device === device);
    if (found === undefined || found.record.snapshot_of !== target.vdi.ref || !found.record.is_a_snapshot) {
      throw new ReplicationError(
        'stale-plan',
        `The snapshot of VM "${plan.target.id.name}" (${plan.target.id.uuid}) has at device ${device} ` +
          `${found === undefined ? 'no disk' : `disk ${found.record.uuid}`}, which is no snapshot of ${target.vdi.uuid}`,
        { retry: 'later', hint: 'somebody changed the disks of the VM meanwhile; attach it again' },
      );
    }
    return {
      device,
      vdi: found.record.uuid,
      sourceVdi: source.vdi.uuid,
      sizeBytes: source.sizeBytes,
      digest: null,
      contentId: found.record.other_config['content_id'] ?? null,
    };
  });
}

/** Destroys what this run made of the VM's snapshots: found by our marks, since the call that made it may have failed. */
async function destroyPoints(writing: TargetWriting, options: CallOptions): Promise<void> {
  const { target, plan, job, context } = writing;
  const { record } = await readVm(target, plan.target.id.ref, options);
  for (const ref of record.snapshots) {
    const point = await readVm(target, ref, options);
    const { uuid, name_label: name, other_config: config } = point.record;
    const ours =
      parseTemporaryName(name)?.run === context.runId ||
      own(decode.run(config, uuid))?.run === context.runId ||
      own(decode.targetCommit(config, uuid))?.run === context.runId;
    if (!ours) continue;
    const disks = point.disks
      .filter((disk) => disk.record.is_a_snapshot)
      .map((disk) => ({ ref: disk.ref, uuid: disk.record.uuid, name: disk.record.name_label }));
    await discardPoint(target, { ref, uuid, name }, disks, job, plan.sr, context.runId, options);
  }
}

export async function discardPoint(
  target: Pool,
  point: ObjectId,
  disks: readonly ObjectId[],
  job: Pick<SeedJob, 'jobId'>,
  sr: Pick<ObjectId, 'uuid'>,
  run: string,
  options: CallOptions,
): Promise<void> {
  await destroyMarked(target, point, disks, { job: job.jobId, run, sr: sr.uuid }, options);
}

/** From this call on the VM is the replica, and its recovery point counts. */
export async function markReplica(writing: TargetWriting): Promise<void> {
  const { target, plan, undo } = writing;
  const ref = plan.target.id.ref as Ref<'VM'>;
  const before = await target.call('VM.get_other_config', [ref]);
  undo.before('mark of the replica', async (options) => {
    await unlessGone(target.call('VM.set_other_config', [ref, before], options));
  });
  await target.call('VM.set_other_config', [
    ref,
    { ...withoutReplicationKeys(before), ...replicaMark(writing), 'xo:backup:sr': plan.sr.uuid },
  ]);
}

function replicaMark({ plan, job }: TargetWriting): StringMap {
  return encode.replica({
    v: 1,
    self: plan.target.id.uuid,
    job: job.jobId,
    sourceVm: plan.vm.uuid,
    sr: plan.sr.uuid,
  });
}

/** The keys by which Xen Orchestra (6.3 and later) knows a recovery point and goes on from it in place. */
function sharedKeys({ plan, job, knownGood }: TargetWriting): StringMap {
  return {
    'xo:backup:datetime': formatXapiDate(plan.snapshot.takenAtMs),
    'xo:backup:job': job.jobId,
    'xo:backup:schedule': job.scheduleId,
    'xo:backup:vm': plan.vm.uuid,
    'xo:backup:sr': plan.sr.uuid,
    ...(knownGood ? { 'xo:backup:includeNonNbdQcow2Fix': 'true' } : {}),
  };
}
