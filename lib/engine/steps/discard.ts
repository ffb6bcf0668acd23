/** Removes what dead runs left, found by our own marks alone. */
import type { Pool, Ref } from '../../xapi';
import type { Leftover } from '../../planner/observation';
import type { Attempt } from '../attempt';
import { codeOf } from '../errors';
import { destroyDisks, destroyMarked, isGone, unlessGone } from './destroy';
import { assertQuiet } from './quiet';

/**
 * Destroys one leftover. What cannot be destroyed now (an old upload still alive, a disk that somebody attached)
 * is reported and left to the next run: it is garbage, not a danger, since nothing reads it as a base.
 */
export async function discardLeftover(attempt: Attempt, leftover: Leftover): Promise<void> {
  const { context, queues, vm } = attempt;
  const pool = leftover.side === 'source' ? attempt.source : attempt.target;
  await attempt.lock.check();
  try {
    const disks = leftover.kind === 'disk' ? [leftover.id] : leftover.disks;
    for (const disk of disks) await assertQuiet(pool, disk, context.clock, context.signal);
    await queues.onStorage(storages(attempt, leftover), () => destroy(attempt, pool, leftover));
  } catch (error) {
    if (context.signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const text = `leftover "${leftover.id.name}" (${leftover.id.uuid}) of run ${leftover.run} stays for now: ${codeOf(error) ?? ''} ${reason}`;
    context.emit({ kind: 'warning', vm, text });
  }
}

async function destroy(attempt: Attempt, pool: Pool, leftover: Leftover): Promise<void> {
  const { job } = attempt;
  if (leftover.kind === 'task') {
    await destroyTask(pool, leftover.id.ref as Ref<'task'>);
    return;
  }
  if (leftover.kind === 'disk') {
    await destroyDisks(pool, [leftover.id], null, {});
    return;
  }
  const mark = { job: job.jobId, run: leftover.run, sr: job.target.srUuid };
  await destroyMarked(pool, leftover.id, leftover.disks, mark, {});
}

/**
 * A pending task is only marked by its destruction, and nobody is left to end it: end it first. Where the release
 * does not know the call (before 7.2), XAPI's own clean-up removes the task within a day.
 */
async function destroyTask(pool: Pool, task: Ref<'task'>): Promise<void> {
  try {
    const { status } = await pool.call('task.get_record', [task]);
    if (status === 'pending') await pool.call('task.set_status', [task, 'cancelled']);
  } catch (error) {
    if (!isGone(error) && codeOf(error) !== 'MESSAGE_METHOD_UNKNOWN') throw error;
  }
  await unlessGone(pool.call('task.destroy', [task]));
}

/** The source's disks may be on several SRs; one name for the side is enough to keep its destructions apart. */
function storages(attempt: Attempt, leftover: Leftover): readonly string[] {
  return leftover.side === 'target' ? [attempt.targetSr.ref] : [`source of ${attempt.source.uuid}`];
}
