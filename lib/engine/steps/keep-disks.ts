/** Nothing changed: the replica's disks stay, and the next recovery point is a snapshot of them. */
import type { Ref } from '../../xapi';
import type { SwapDisk } from '../../planner/keys';
import type { ExpectedDisk } from '../../planner/plan';
import type { Attempt, TakenDisk } from '../attempt';
import { StalePlan } from '../errors';

/**
 * Looks whether the disks are still those that equal the base, attached to the replica and to nothing else. The commit
 * looks once more, at the snapshot itself.
 *
 * @throws StalePlan where they are not
 */
export async function keepDisks(
  attempt: Attempt,
  expected: readonly ExpectedDisk[],
  cardRefs: readonly string[],
): Promise<void> {
  const { target, made, job, context, vm } = attempt;
  const replica = made.need('replica');
  const snapshot = made.need('snapshot');
  const vmRef = replica.ref as Ref<'VM'>;
  const { VM, VDI, VIF } = await target.read({
    VM: [vmRef],
    VDI: expected.map(({ vdi }) => vdi.ref as Ref<'VDI'>),
    VIF: cardRefs as readonly Ref<'VIF'>[],
  });
  const record = VM.get(vmRef);
  const intact = expected.every(({ vdi, contentId }) => {
    const disk = VDI.get(vdi.ref as Ref<'VDI'>);
    const ownOnly = disk?.VBDs.length === 1 && disk.VBDs.every((vbd) => record?.VBDs.includes(vbd));
    return ownOnly && contentId !== null && disk.other_config['content_id'] === contentId;
  });
  if (record?.power_state !== 'Halted' || !intact || snapshot.disks.length !== expected.length) {
    throw new StalePlan(`Replica "${replica.name}" (${replica.uuid}) is not as it was observed`);
  }
  made.replicaRecord = record;
  // One that was added since the observation is not among them: then the settings read them for themselves.
  if (record.VIFs.every((card) => VIF.has(card))) made.replicaCards = VIF;
  for (const { vdi } of expected) made.liveRefs.set(vdi.uuid, vdi.ref);
  // As an exchange of each disk for itself: from here on the commit is the same as after one.
  made.swap = {
    v: 1,
    self: replica.uuid,
    job: job.jobId,
    run: context.runId,
    sourceVm: vm.uuid,
    sourceSnapshot: snapshot.id.uuid,
    sr: job.target.srUuid,
    kind: 'delta',
    takenAtMs: snapshot.takenAtMs,
    disks: snapshot.disks.map((disk) => keptDisk(attempt, disk, expected)),
    removed: [],
  };
}

function keptDisk(attempt: Attempt, disk: TakenDisk, expected: readonly ExpectedDisk[]): SwapDisk {
  const kept = expected.find(({ device }) => device === disk.device);
  const copied = attempt.made.copied.get(disk.device);
  if (kept === undefined || copied === undefined)
    throw new StalePlan(`The snapshot of VM "${attempt.vm.name}" has a disk more: ${disk.device}`);
  return {
    device: disk.device,
    oldVdi: kept.vdi.uuid,
    oldContentId: kept.contentId,
    newVdi: kept.vdi.uuid,
    newContentId: kept.contentId,
    sourceVdi: disk.vdi.uuid,
    sizeBytes: disk.sizeBytes,
    bootable: disk.bootable,
    digest: copied.digest,
  };
}
