/** Changed-block tracking on the source: turning it on, and keeping nothing but its list. */
import type { Ref } from '../../xapi';
import { encode, otherSourceCommits } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import { stoppable } from '../attempt';
import type { Attempt } from '../attempt';
import { StalePlan } from '../errors';
import { assertQuiet } from './quiet';
import { readVm } from './read-vm';
import type { FreshDisk, FreshVm } from './read-vm';

/** Turns tracking on. Where that fails the run goes on: it only reads more. */
export async function enableTracking(attempt: Attempt, disks: readonly ObjectId[]): Promise<void> {
  const { source, queues, context, vm } = attempt;
  for (const disk of disks) {
    const ref = disk.ref as Ref<'VDI'>;
    const { SR: sr } = await source.call('VDI.get_record', [ref], stoppable(attempt));
    try {
      await queues.onStorage([sr], () => source.callTask('VDI.enable_cbt', [ref]));
    } catch (error) {
      if (context.signal.aborted) throw error;
      const text = `changed-block tracking stays off on disk "${disk.name}" (${disk.uuid}): ${reasonOf(error)}`;
      context.emit({ kind: 'warning', vm, text });
    }
  }
}

/** Operations that would take a snapshot without its disks for the whole VM; going back to it would lose them all. */
const meaningless = ['revert', 'clone', 'copy', 'export', 'create_template', 'snapshot'] as const;
const blockedBecause =
  'The data of this snapshot was dropped; only the list of changed blocks is left, for replication.';

/**
 * Keeps of this run's source snapshot nothing but its lists of changed blocks. It comes after the commit: what does not
 * work leaves the data where it is, and the run stays good.
 */
export async function dropSnapshotData(attempt: Attempt): Promise<void> {
  const { source, context, vm, made } = attempt;
  const taken = made.need('snapshot').id;
  await attempt.lock.check();
  try {
    const snapshot = await readVm(source, taken.ref);
    assertDroppable(attempt, snapshot);
    for (const operation of meaningless) {
      if (operation in snapshot.record.blocked_operations) continue;
      await source.call('VM.add_to_blocked_operations', [taken.ref as Ref<'VM'>, operation, blockedBecause]);
    }
    for (const disk of snapshot.disks) await dropDisk(attempt, disk);
  } catch (error) {
    if (context.signal.aborted) throw error;
    const text = `the data of source snapshot "${taken.name}" (${taken.uuid}) stays: ${reasonOf(error)}`;
    context.emit({ kind: 'warning', vm, text });
  }
}

/** Without its list a disk without data is worth nothing; and what another job, target or snapshot needs is not ours. */
function assertDroppable(attempt: Attempt, { disks, record }: FreshVm): void {
  const { job } = attempt;
  const others = otherSourceCommits(record.other_config, record.uuid, job.jobId, job.target.srUuid);
  if (others.length > 0) throw new StalePlan(`other jobs or targets need it: ${others.join(', ')}`);
  const taken = attempt.made.need('snapshot').disks;
  for (const { device, record: vdi } of disks) {
    const known = taken.some((disk) => disk.vdi.uuid === vdi.uuid);
    if (known && vdi.is_a_snapshot && vdi.cbt_enabled === true && vdi.VBDs.length === 1) continue;
    throw new StalePlan(
      `disk ${device} (${vdi.uuid}) of "${record.name_label}" is not tracked any more, or is used by others`,
    );
  }
}

/**
 * The server destroys data only of a disk that no VM has, a snapshot included. The mark makes the disk, which nothing
 * holds from then on, known to later runs as this job's.
 */
async function dropDisk(attempt: Attempt, { ref, vbdRef, record }: FreshDisk): Promise<void> {
  const { source, context, job, queues } = attempt;
  const vdi = ref as Ref<'VDI'>;
  await assertQuiet(
    source,
    { ref, uuid: record.uuid, name: record.name_label },
    context.clock,
    context.signal,
  );
  const mark = {
    v: 1,
    self: record.uuid,
    job: job.jobId,
    run: context.runId,
    sr: job.target.srUuid,
  } as const;
  await source.call('VDI.set_other_config', [vdi, { ...record.other_config, ...encode.run(mark) }]);
  await queues.onStorage([record.SR], async () => {
    await source.call('VBD.destroy', [vbdRef as Ref<'VBD'>]);
    await source.callTask('VDI.data_destroy', [vdi]);
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
