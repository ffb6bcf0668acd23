import { leftTasks } from '../../../lib/engine/observe/tasks';
import { temporaryName } from '../../../lib/planner/marks';
import type { TemporaryName } from '../../../lib/planner/marks';
import { job, ref, SmallWorld } from './small-world';

function taskNamed(changes: Partial<TemporaryName>): SmallWorld {
  const mark = { role: 'transfer', job: 'gold', sr: 'sr', sourceVm: 'vm', run: 'run-1', ...changes } as const;
  return new SmallWorld('sr').task('T', temporaryName(mark, 'db1 disk 0'));
}

test('the task of a transfer whose run died is a leftover, on the side where it was found', () => {
  expect(leftTasks(taskNamed({}).world(), 'source', job, 'vm')).toEqual([
    {
      kind: 'task',
      side: 'source',
      id: { ref: ref('T'), uuid: 'T', name: '[xenrepl transfer gold sr vm run-1] db1 disk 0' },
      run: 'run-1',
      disks: [],
      reclaimableBytes: 0,
    },
  ]);
});

test.each<[string, SmallWorld]>([
  ['of another job', taskNamed({ job: 'silver' })],
  ['to another target of this job', taskNamed({ sr: 'another-sr' })],
  ['for another VM', taskNamed({ sourceVm: 'vm2' })],
  ['under the name of something else', taskNamed({ role: 'staging' })],
  ['of somebody else', new SmallWorld('sr').task('T', 'Async.VM.snapshot')],
  ['none', new SmallWorld('sr')],
])('a task %s is none', (_, pool) => {
  expect(leftTasks(pool.world(), 'target', job, 'vm')).toEqual([]);
});
