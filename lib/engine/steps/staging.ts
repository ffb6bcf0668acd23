/** Makes the disks that a run fills: clones of the base's recovery point, or new empty ones. */
import type { Ref, VdiCreateRecord } from '../../xapi';
import { encode, withoutReplicationKeys } from '../../planner/keys';
import type { StagingMark } from '../../planner/keys';
import { temporaryName } from '../../planner/marks';
import type { Base } from '../../planner/plan';
import { workOf } from '../attempt';
import type { Attempt } from '../attempt';
import { StalePlan } from '../errors';
import { destroyDisks } from './destroy';
import { readVm } from './read-vm';
import type { FreshDisk } from './read-vm';

/**
 * Clones the base's recovery point as a whole VM and keeps its disks. Cloning disk by disk would leave, after a
 * crash, a disk that nobody can tell from a user's own clone: a VM is born with a name, and the name is our mark.
 */
export async function cloneBase(attempt: Attempt, base: Base, devices: readonly string[]): Promise<void> {
  const { target, queues, targetSr } = attempt;
  attempt.context.signal.throwIfAborted();
  const shellRef = await queues.onStorage([targetSr.ref], () =>
    target.callTask('VM.clone', [base.point.ref as Ref<'VM'>, nameOf(attempt, base.point.name)]),
  );
  const shell = await readVm(target, shellRef);
  const wanted = shell.disks.filter(({ device }) => devices.includes(device));
  assertFresh(base, wanted, devices);
  for (const disk of wanted) await adopt(attempt, disk);
  const unwanted = shell.disks.filter(({ device }) => !devices.includes(device));
  await queues.onStorage([targetSr.ref], async () => {
    const disks = unwanted.map(({ ref, record }) => ({ ref, uuid: record.uuid, name: record.name_label }));
    await destroyDisks(target, disks, shellRef, {});
    await target.call('VM.destroy', [shellRef]);
  });
  for (const disk of wanted) await grow(attempt, disk);
}

/** A clone shares disks that are attached read-only: writing to such a one would change the recovery point. */
function assertFresh(base: Base, clones: readonly FreshDisk[], devices: readonly string[]): void {
  for (const device of devices) {
    const clone = clones.find((disk) => disk.device === device);
    const original = base.disks.find((disk) => disk.device === device);
    if (clone === undefined || clone.ref === original?.pointVdi.ref || clone.record.is_a_snapshot) {
      throw new StalePlan(
        `The clone of recovery point "${base.point.name}" has no disk of its own at ${device}`,
      );
    }
  }
}

/** The clone loses every key it inherited before its first byte is written, and gets the mark of this run. */
async function adopt(attempt: Attempt, disk: FreshDisk): Promise<void> {
  const mark = encode.staging(markOf(attempt, disk.record.uuid, disk.device));
  await attempt.target.call('VDI.set_other_config', [
    disk.ref as Ref<'VDI'>,
    { ...withoutReplicationKeys(disk.record.other_config), ...mark },
  ]);
  attempt.made.staged.set(disk.device, {
    vdi: { ref: disk.ref, uuid: disk.record.uuid, name: disk.record.name_label },
    sizeBytes: disk.record.virtual_size,
  });
}

/** The source disk may have grown since the base. */
async function grow(attempt: Attempt, disk: FreshDisk): Promise<void> {
  const wanted = attempt.made.need('snapshot').disks.find(({ device }) => device === disk.device)?.sizeBytes;
  if (wanted === undefined || wanted <= disk.record.virtual_size) return;
  await attempt.queues.onStorage([attempt.targetSr.ref], () =>
    attempt.target.callTask('VDI.resize', [disk.ref as Ref<'VDI'>, wanted]),
  );
  const staged = attempt.made.stagedAt(disk.device);
  attempt.made.staged.set(disk.device, { ...staged, sizeBytes: wanted });
}

/** Makes an empty disk. It is born under a temporary name, since its mark must name a uuid it does not have yet. */
export async function createDisk(
  attempt: Attempt,
  device: string,
  sizeBytes: number,
  name: string,
): Promise<void> {
  const { target, targetSr, queues } = attempt;
  attempt.context.signal.throwIfAborted();
  const record: VdiCreateRecord = {
    name_label: nameOf(attempt, name),
    name_description: '',
    SR: targetSr.ref as Ref<'SR'>,
    virtual_size: sizeBytes,
    type: 'user',
    sharable: false,
    read_only: false,
    other_config: {},
    xenstore_data: {},
    sm_config: {},
    tags: [],
  };
  const ref = await queues.onStorage([targetSr.ref], () => target.callTask('VDI.create', [record]));
  const made = await target.call('VDI.get_record', [ref]);
  const mark = encode.staging(markOf(attempt, made.uuid, device));
  await target.call('VDI.set_other_config', [ref, { ...withoutReplicationKeys(made.other_config), ...mark }]);
  await target.call('VDI.set_name_label', [ref, name]);
  // Rounded up by storage: the rest reads as zeros and is never written.
  attempt.made.staged.set(device, { vdi: { ref, uuid: made.uuid, name }, sizeBytes: made.virtual_size });
}

function markOf(attempt: Attempt, self: string, device: string): StagingMark {
  return {
    v: 1,
    self,
    job: attempt.job.jobId,
    run: attempt.context.runId,
    sourceVm: attempt.vm.uuid,
    device,
  };
}

function nameOf(attempt: Attempt, label: string): string {
  return temporaryName(workOf(attempt, 'staging'), label);
}
