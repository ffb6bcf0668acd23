/** Exchanges the replica's disks for the filled ones. The replica is halted, so this is a few VBD calls. */
import type { CallOptions, Pool, Ref, VdiRecord } from '../../xapi';
import { decode, encode, withoutReplicationKeys } from '../../planner/keys';
import type { CopyKind, SwapDisk, SwapRecord } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import type { ExpectedDisk } from '../../planner/plan';
import type { Attempt, TakenDisk } from '../attempt';
import type { Clock } from '../context';
import { codeOf, ReplicationError, StalePlan } from '../errors';
import { unlessGone } from './destroy';
import { assertQuiet } from './quiet';
import { readVm } from './read-vm';
import type { FreshDisk, FreshVm } from './read-vm';

/** Operations that would see a mixture of old and new disks; held off for the moments of the exchange. */
const heldOffOperations = ['clone', 'copy', 'export', 'snapshot'] as const;
export const heldOffText = 'Disks are being exchanged by replication at this moment: try again in a minute.';
const idleWaitMaxMs = 300_000;
const idlePollMs = 500;

/**
 * Says on the replica what is about to happen, so that a run that finds it interrupted can finish it.
 *
 * @throws StalePlan where the replica is not what was observed: its disks are about to be destroyed.
 */
export async function announceSwap(
  attempt: Attempt,
  copyKind: CopyKind,
  expected: readonly ExpectedDisk[] | null,
): Promise<void> {
  const { target, job, context, vm } = attempt;
  await attempt.lock.check();
  const replica = attempt.made.need('replica');
  const snapshot = attempt.made.need('snapshot');
  const current = await readVm(target, replica.ref);
  if (expected !== null) assertAsObserved(replica, current, expected);
  const disks = await Promise.all(snapshot.disks.map((disk) => announcedDisk(attempt, disk, current)));
  const record: SwapRecord = {
    v: 1,
    self: replica.uuid,
    job: job.jobId,
    run: context.runId,
    sourceVm: vm.uuid,
    sourceSnapshot: snapshot.id.uuid,
    sr: job.target.srUuid,
    kind: copyKind,
    takenAtMs: snapshot.takenAtMs,
    baseSnapshot: attempt.made.baseSnapshot?.uuid ?? null,
    disks,
    removed: current.disks
      .filter(({ device }) => !disks.some((disk) => disk.device === device))
      .map(({ device, record }) => ({ device, oldVdi: record.uuid, oldContentId: contentIdOf(record) })),
  };
  for (const [key, value] of Object.entries(encode.swap(record))) {
    try {
      await target.call('VM.add_to_other_config', [replica.ref as Ref<'VM'>, key, value]);
    } catch (error) {
      if (codeOf(error) !== 'MAP_DUPLICATE_KEY') throw error;
      throw new StalePlan(
        `An exchange of disks is announced on replica "${replica.name}" (${replica.uuid}) already`,
        error,
      );
    }
  }
  attempt.made.swap = record;
}

async function announcedDisk(attempt: Attempt, disk: TakenDisk, current: FreshVm): Promise<SwapDisk> {
  const { target, context, vm } = attempt;
  const { vdi } = attempt.made.stagedAt(disk.device);
  const copied = attempt.made.copied.get(disk.device);
  if (copied === undefined) throw new StalePlan(`Disk ${disk.device} of VM "${vm.name}" was not copied`);
  // While an upload is alive the disk has no content id that could tell later writes.
  await assertQuiet(target, vdi, context.clock, new AbortController().signal);
  const old = current.disks.find(({ device }) => device === disk.device)?.record ?? null;
  return {
    device: disk.device,
    oldVdi: old?.uuid ?? null,
    oldContentId: old === null ? null : contentIdOf(old),
    newVdi: vdi.uuid,
    newContentId: contentIdOf(await target.call('VDI.get_record', [vdi.ref as Ref<'VDI'>])),
    sourceVdi: disk.vdi.uuid,
    sizeBytes: disk.sizeBytes,
    bootable: disk.bootable,
    digest: copied.digest,
  };
}

/** Storage gives a disk another one whenever it was attached for writing. */
function contentIdOf(vdi: VdiRecord): string | null {
  return vdi.other_config['content_id'] ?? null;
}

/** Hours may have passed: somebody may have started the replica meanwhile, or attached a disk of his own. */
function assertAsObserved(replica: ObjectId, current: FreshVm, expected: readonly ExpectedDisk[]): void {
  const unexpected = current.disks.filter(({ device, record }) => {
    const before = expected.find((disk) => disk.device === device);
    if (before?.vdi.uuid !== record.uuid) return true;
    // None then and one now may be our own look at it: reading gives a disk its first content id.
    return before.contentId !== null && before.contentId !== contentIdOf(record);
  });
  const changed = unexpected.map(
    ({ device, record }) => `disk ${device} "${record.name_label}" (${record.uuid}) was changed or attached`,
  );
  const lost = expected
    .filter(({ vdi }) => !current.disks.some(({ record }) => record.uuid === vdi.uuid))
    .map(({ device, vdi }) => `disk ${device} "${vdi.name}" (${vdi.uuid}) was detached`);
  const power = current.record.power_state;
  const reasons = [...(power === 'Halted' ? [] : [`it is ${power}`]), ...changed, ...lost];
  if (reasons.length === 0) return;
  throw new StalePlan(
    `Replica "${replica.name}" (${replica.uuid}) is not as it was before the transfer: ${reasons.join('; ')}`,
  );
}

/** Can be run again after any interruption: every part looks first whether it is done. */
export async function swapDisks(attempt: Attempt): Promise<void> {
  const { target, context } = attempt;
  const replica = attempt.made.need('replica');
  const swap = attempt.made.need('swap');
  await attempt.lock.check();
  await waitIdle(target, replica, context.clock);
  await holdOff(target, replica);
  await waitIdle(target, replica, context.clock);
  const never = new AbortController().signal;
  for (const disk of swap.disks) {
    const ref = await target.call('VDI.get_by_uuid', [disk.newVdi]);
    const id = { ref, uuid: disk.newVdi, name: `device ${disk.device}` };
    await assertQuiet(target, id, context.clock, never);
    await exchange(attempt, replica, disk, ref);
    await markLive(target, ref, swap.sr);
  }
  await detachRemoved(target, replica, swap);
  await letIn(target, replica);
}

async function exchange(
  attempt: Attempt,
  replica: ObjectId,
  disk: SwapDisk,
  newRef: Ref<'VDI'>,
): Promise<void> {
  const { target, queues, targetSr } = attempt;
  const vm = await readVm(target, replica.ref);
  const present = vm.disks.find(({ device }) => device === disk.device);
  if (present?.ref === newRef) return;
  if (present !== undefined && present.record.uuid !== disk.oldVdi) throw foreignDisk(replica, present);
  await queues.onStorage([targetSr.ref], async () => {
    if (present !== undefined) await target.call('VBD.destroy', [present.vbdRef as Ref<'VBD'>]);
    await target.call('VBD.create', [
      {
        VM: replica.ref as Ref<'VM'>,
        VDI: newRef,
        userdevice: disk.device,
        bootable: disk.bootable,
        // Always writable: a clone would share a read-only disk with the replica instead of copying it.
        mode: 'RW',
        type: 'Disk',
        unpluggable: true,
        empty: false,
        other_config: { owner: '' },
        qos_algorithm_type: '',
        qos_algorithm_params: {},
      },
    ]);
  });
}

function foreignDisk(replica: ObjectId, disk: FreshDisk): ReplicationError {
  return new ReplicationError(
    'blocked',
    `Replica "${replica.name}" (${replica.uuid}) has a disk at device ${disk.device} that is neither the old nor the ` +
      `new one: "${disk.record.name_label}" (${disk.record.uuid})`,
    { retry: 'never', hint: 'somebody attached it: detach it from the replica, then run again' },
  );
}

/** A live disk bears no content keys: it will change, and only recovery points speak for a content. */
async function markLive(target: Pool, ref: Ref<'VDI'>, srUuid: string): Promise<void> {
  const otherConfig = await target.call('VDI.get_other_config', [ref]);
  await target.call('VDI.set_other_config', [
    ref,
    { ...withoutReplicationKeys(otherConfig), 'xo:backup:sr': srUuid },
  ]);
}

async function detachRemoved(target: Pool, replica: ObjectId, swap: SwapRecord): Promise<void> {
  if (swap.removed.length === 0) return;
  const vm = await readVm(target, replica.ref);
  for (const removed of swap.removed) {
    const present = vm.disks.find(
      ({ device, record }) => device === removed.device && record.uuid === removed.oldVdi,
    );
    if (present !== undefined) await unlessGone(target.call('VBD.destroy', [present.vbdRef as Ref<'VBD'>]));
  }
}

async function waitIdle(target: Pool, replica: ObjectId, clock: Clock): Promise<void> {
  const deadlineMs = clock.nowMs() + idleWaitMaxMs;
  const never = new AbortController().signal;
  for (;;) {
    const operations = await target.call('VM.get_current_operations', [replica.ref as Ref<'VM'>]);
    const running = Object.values(operations);
    if (running.length === 0) return;
    if (clock.nowMs() >= deadlineMs) {
      throw new ReplicationError(
        'disk-busy',
        `Replica "${replica.name}" (${replica.uuid}) has been busy with ${running.join(', ')} for ` +
          `${String(idleWaitMaxMs / 1000)} s`,
        { retry: 'later', hint: 'the next run finishes the exchange of disks once that operation has ended' },
      );
    }
    await clock.sleep(idlePollMs, never);
  }
}

async function holdOff(target: Pool, replica: ObjectId): Promise<void> {
  const ref = replica.ref as Ref<'VM'>;
  const { blocked_operations: blocked } = await target.call('VM.get_record', [ref]);
  for (const operation of heldOffOperations) {
    if (blocked[operation] !== undefined) continue;
    await target.call('VM.add_to_blocked_operations', [ref, operation, heldOffText]);
  }
}

/** Takes back our own blocks only; one that a person set stays. */
async function letIn(target: Pool, replica: ObjectId): Promise<void> {
  const ref = replica.ref as Ref<'VM'>;
  const { blocked_operations: blocked } = await target.call('VM.get_record', [ref]);
  for (const operation of heldOffOperations) {
    if (blocked[operation] === heldOffText)
      await target.call('VM.remove_from_blocked_operations', [ref, operation]);
  }
}

/**
 * Takes an announcement back: the run's new disks are not all there any more, and the replica still has every disk
 * from before. What is left of the new ones is found by its marks and discarded by the next plan.
 *
 * @throws StalePlan where the announcement or the replica's disks are not those that were planned with.
 */
export async function abandonSwap(attempt: Attempt): Promise<void> {
  const { target } = attempt;
  const replica = attempt.made.need('replica');
  const swap = attempt.made.need('swap');
  await attempt.lock.check();
  const { record, disks } = await readVm(target, replica.ref);
  const announced = decode.swap(record.other_config, record.uuid);
  const attached = [...swap.disks, ...swap.removed].every(
    ({ device, oldVdi }) => (disks.find((disk) => disk.device === device)?.record.uuid ?? null) === oldVdi,
  );
  if (announced.kind !== 'own' || announced.record.sourceSnapshot !== swap.sourceSnapshot || !attached) {
    throw new StalePlan(
      `Replica "${replica.name}" (${replica.uuid}) changed while an exchange of disks was taken back`,
    );
  }
  // The blocks first: without an announcement nobody would know whose they are.
  await letIn(target, replica);
  await target.call('VM.remove_from_other_config', [replica.ref as Ref<'VM'>, 'xenrepl:swap']);
}

/** Destroys the disks that were replaced, then takes the announcement down: it names them until they are gone. */
export async function closeSwap(attempt: Attempt): Promise<void> {
  const { target, queues, targetSr } = attempt;
  const replica = attempt.made.need('replica');
  const swap = attempt.made.need('swap');
  await attempt.lock.check();
  for (const { oldVdi, oldContentId } of [...swap.disks, ...swap.removed]) {
    if (oldVdi === null || swap.disks.some(({ newVdi }) => newVdi === oldVdi)) continue;
    await queues.onStorage([targetSr.ref], () => destroyOld(attempt, oldVdi, oldContentId));
  }
  await target.call('VM.remove_from_other_config', [replica.ref as Ref<'VM'>, 'xenrepl:swap']);
}

async function destroyOld(attempt: Attempt, uuid: string, contentId: string | null): Promise<void> {
  const { target, context, vm } = attempt;
  const options: CallOptions = {};
  await unlessGone(
    (async () => {
      const ref = await target.call('VDI.get_by_uuid', [uuid], options);
      const record = await target.call('VDI.get_record', [ref], options);
      const disk = `disk "${record.name_label}" (${uuid})`;
      const stays =
        record.VBDs.length > 0
          ? 'another VM uses it: it is left to that VM'
          : // Every disk that we attach gets this mark; one without it was brought by somebody else.
            record.other_config['xo:backup:sr'] === undefined
            ? 'it bears no mark of replication: it is left as it is, detached'
            : contentId !== null && contentId !== contentIdOf(record)
              ? 'it was written to at that moment: it is left as it is, detached'
              : null;
      if (stays !== null) {
        context.emit({ kind: 'warning', vm, text: `${disk} was replaced but ${stays}` });
        return;
      }
      await target.callTask('VDI.destroy', [ref], options);
    })(),
  );
}
