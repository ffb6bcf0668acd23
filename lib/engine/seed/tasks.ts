/** Tasks of exports and imports of a seed: a process that was killed leaves them behind, and its next try removes them. */
import type { CallOptions, Pool, Ref } from '../../xapi';
import { unlessGone } from '../steps/destroy';

/** @param files names the seed: the same in every try of one export or import, and in no other */
export function taskLabel(files: string, text: string): string {
  return `[xenrepl files ${files}] ${text}`;
}

/** Only tasks that have ended: one that is pending may be a transfer of somebody who is still at it. */
export async function discardEndedTasks(pool: Pool, files: string, options: CallOptions): Promise<void> {
  const mine = taskLabel(files, '');
  for (const [ref, task] of Object.entries(await pool.call('task.get_all_records', [], options))) {
    if (!task.name_label.startsWith(mine) || task.status === 'pending') continue;
    await unlessGone(pool.call('task.destroy', [ref as Ref<'task'>], options));
  }
}
