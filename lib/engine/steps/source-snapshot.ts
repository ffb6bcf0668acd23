/** Takes the source snapshot of a run. */
import { parseXapiDate } from '../../xapi';
import type { Ref } from '../../xapi';
import { encode, isReplicationKey, withoutReplicationKeys } from '../../planner/keys';
import { temporaryName } from '../../planner/marks';
import type { ObjectId } from '../../planner/observation';
import type { PlannedDisk, Step } from '../../planner/plan';
import type { SnapshotHow } from '../../planner/snapshot-mode';
import { stoppable, workOf } from '../attempt';
import type { Attempt, TakenSnapshot } from '../attempt';
import { StalePlan } from '../errors';
import type { AtRest } from '../snapshot-group';
import { dropExcluded, withoutExcluded } from './excluded';
import { whileShutDown } from './offline';
import { readSnapshot, readVm } from './read-vm';
import type { FreshVm } from './read-vm';

/**
 * @throws StalePlan where the snapshot is not of exactly the disks that the plan copies: one was added, replaced, moved
 *   to another position or grown since, and what is sent would not be what the plan says.
 */
export async function snapshotSource(
  attempt: Attempt,
  { vm, how, disks }: Extract<Step, { kind: 'snapshot-source' }>,
): Promise<void> {
  const { job, source, context, queues, group } = attempt;
  const options = stoppable(attempt);
  const name = temporaryName(workOf(attempt, 'snapshot'), vm.name);
  options.signal?.throwIfAborted();
  const storages = attempt.sourceDisks.map(({ sr }) => sr.ref);
  // Not stoppable from here to the mark: a call that is given up half way still makes the snapshot.
  const take = (): Promise<Ref<'VM'>> => queues.onStorage(storages, () => call(attempt, vm, name, how));
  // Around the turn on the SRs: a guest takes minutes to shut down, and others have work there.
  const atRest: AtRest = (work) =>
    how === 'offline'
      ? whileShutDown(source, vm, { job: job.jobId, run: context.runId }, context, work)
      : work();
  const ref = await (group === null ? atRest(take) : group.take(vm, context.signal, take, atRest));
  const live = attempt.sourceDisks.map(({ vdi }) => vdi.ref as Ref<'VDI'>);
  const whole = await readSnapshot(source, ref, live);
  const mark = encode.run({
    v: 1,
    self: whole.record.uuid,
    job: job.jobId,
    run: context.runId,
    sr: job.target.srUuid,
  });
  await source.call('VM.set_other_config', [
    ref,
    { ...withoutReplicationKeys(whole.record.other_config), ...mark },
  ]);
  const snapshot = await dropExcluded(attempt, whole);
  assertOfPlan(attempt, snapshot, disks);
  await source.call('VM.set_is_a_template', [ref, false]);
  for (const disk of snapshot.disks) {
    // Copied from the live disk; left in place they would speak for a copy that was never made.
    const inherited = disk.record.other_config;
    if (Object.keys(inherited).some(isReplicationKey)) {
      await source.call('VDI.set_other_config', [disk.ref as Ref<'VDI'>, withoutReplicationKeys(inherited)]);
    }
  }
  const label = `[Replication ${job.name}] ${vm.name}`;
  // Last: another attempt of this run tells by it that nothing is left to be done.
  await source.call('VM.set_name_label', [ref, label]);
  attempt.made.snapshot = { ...taken(snapshot, vm, label), resumed: false };
}

function assertOfPlan({ source, vm }: Attempt, snapshot: FreshVm, planned: readonly PlannedDisk[]): void {
  const reasons: string[] = [];
  for (const { device, vdi, sizeBytes } of planned) {
    const found = snapshot.disks.find((disk) => disk.device === device);
    // A snapshot shares what is attached read-only.
    const of = found?.record.is_a_snapshot === true ? found.record.snapshot_of : found?.ref;
    if (found === undefined) reasons.push(`no disk ${device}`);
    else if (of !== vdi.ref) reasons.push(`at ${device} a disk that is not of "${vdi.name}" (${vdi.uuid})`);
    else if (found.record.virtual_size !== sizeBytes)
      reasons.push(`disk ${device} of ${String(found.record.virtual_size)} bytes, not ${String(sizeBytes)}`);
  }
  const others = snapshot.disks.filter(({ device }) => planned.every((disk) => disk.device !== device));
  reasons.push(...others.map(({ device }) => `disk ${device}, which was not there`));
  if (reasons.length === 0) return;
  throw new StalePlan(
    `The disks of VM "${vm.name}" (${vm.uuid}) on pool "${source.name}" changed before its snapshot, which has ` +
      reasons.join(', '),
  );
}

function call(
  { source, sourceDisks }: Attempt,
  vm: ObjectId,
  name: string,
  how: SnapshotHow,
): Promise<Ref<'VM'>> {
  const ref = vm.ref as Ref<'VM'>;
  if (how === 'quiesce') return source.callTask('VM.snapshot_with_quiesce', [ref, name]);
  return withoutExcluded(sourceDisks, (ignored) =>
    source.call('VM.snapshot', ignored.length === 0 ? [ref, name] : [ref, name, ignored]),
  );
}

/** Goes on with the snapshot of a run that died: the plan proved that it is of these disks. */
export async function resumeSnapshot(attempt: Attempt, id: ObjectId): Promise<void> {
  const snapshot = await readVm(attempt.source, id.ref, stoppable(attempt));
  attempt.made.snapshot = {
    ...taken(snapshot, attempt.vm, snapshot.record.name_label),
    resumed: true,
  };
}

function taken(snapshot: FreshVm, vm: ObjectId, label: string): Omit<TakenSnapshot, 'resumed'> {
  return {
    id: { ref: snapshot.ref, uuid: snapshot.record.uuid, name: label },
    takenAtMs: parseXapiDate(snapshot.record.snapshot_time),
    record: { ...snapshot.record, name_label: vm.name },
    disks: snapshot.disks.map((disk) => ({
      device: disk.device,
      vdi: { ref: disk.ref, uuid: disk.record.uuid, name: disk.record.name_label },
      srRef: disk.record.SR,
      sizeBytes: disk.record.virtual_size,
      bootable: disk.bootable,
    })),
  };
}
