import { jobDefaults, keepLatest } from '../../lib/planner/job';
import { temporaryName } from '../../lib/planner/marks';
import type { Observation } from '../../lib/planner/observation';
import { leftoversToDiscard, planRun } from '../../lib/planner/plan-run';
import { observed } from './language';
import { jobWith } from './literals';
import { stepsOf, told } from './told';

/** Run 2 took S2 of two disks, 4 GiB each, and died in the copy of disk 1; disk 0 was done. */
const vm = 'vm 0:root*4 1:data*4';
const base = 'snapshot S1 0:root*4 1:data*4 =P1; replica R 0:r0 1:r1; point P1 0*4 1*4 ~S1';
const died = 'snapshot S2 0:root*4 1:data*4 run; leftover vm S2 source';
const done = 'leftover disk n0 target 0 ~S2 on=P1.0 size=4 done';
const half = 'leftover disk n1 target 1 ~S2 on=P1.1 size=4 at=1/3';

const job = jobWith({ retention: keepLatest(9, 9) });

function plan(...parts: readonly string[]): string {
  return told(planRun(job, observed(parts.join('; '))));
}

describe('an interrupted copy is gone on with', () => {
  test.each([
    ['a disk half way', [vm, base, died, half], 'delta 0 from P1 S1, delta 1 from P1 S1; resume S2 1:n1'],
    [
      'a disk that was done is not sent again',
      [vm, base, died, done, half],
      'delta 1 from P1 S1; resume S2 0:n0 1:n1',
    ],
    [
      'all done, and not yet announced',
      [vm, base, died, done, half.replace('at=1/3', 'done')],
      '; resume S2 0:n0 1:n1',
    ],
    ['the first copy', [vm, died, half.replace('on=P1.1 ', '')], 'full 0, full 1; resume S2 1:n1'],
    [
      'of two the one that got further',
      [vm, base, died, half, half.replace('n1', 'm1').replace('at=1/3', 'at=2/3')],
      'delta 0 from P1 S1, delta 1 from P1 S1; resume S2 1:m1; discard n1',
    ],
  ])('%s', (_, parts, expected) => {
    expect(plan(...parts)).toBe(expected.replace(/^; /, ''));
  });

  test('of two snapshots the one of which more is there; the other is garbage', () => {
    const later =
      'snapshot S3 0:root*4 1:data*4 run; leftover vm S3 source; leftover disk m1 target 1 ~S3 on=P1.1 size=4 at=2/2';
    expect(plan(vm, base, died, half, later)).toBe(
      'delta 0 from P1 S1, delta 1 from P1 S1; resume S3 1:m1; discard S2 n1',
    );
  });

  test('where it stood, and only what is not there yet is made and sent', () => {
    const steps = stepsOf(planRun(job, observed([vm, base, died, done, half].join('; '))));
    expect(steps.slice(0, 5)).toMatchObject([
      { kind: 'resume-snapshot', snapshot: { uuid: 'S2' } },
      { kind: 'resume-disk', device: '0', vdi: { uuid: 'n0' }, progress: { complete: true } },
      {
        kind: 'resume-disk',
        device: '1',
        progress: { confirmedBytes: 1024 ** 3, offeredBytes: 3 * 1024 ** 3 },
      },
      { kind: 'copy-disk', copy: { device: '1', kind: 'delta' } },
      { kind: 'announce-swap' },
    ]);
  });
});

describe('only the very same copy: everything else is garbage', () => {
  test.each<[string, readonly string[], string]>([
    ['nothing confirmed', [vm, base, died, half.replace('at=1/3', 'at=0/3')], 'discard S2 n1'],
    ['another base', [vm, base, died, half.replace('P1.1', 'P0.1')], 'discard S2 n1'],
    ['a full where a delta is possible', [vm, base, died, half.replace('on=P1.1 ', '')], 'discard S2 n1'],
    ['another size', [vm, base, died, half.replace('size=4', 'size=3')], 'discard S2 n1'],
    ['another snapshot', [vm, base, died, half.replace('~S2', '~S9')], 'discard S2 n1'],
    ['its snapshot is gone', [vm, base, half], 'discard n1'],
    ['its snapshot is another job’s', [vm, base, died.replace('run;', 'run!job;'), half], 'discard S2 n1'],
    [
      'its snapshot is for another target',
      [vm, base, died.replace('run;', 'run!sr;'), half],
      'discard S2 n1',
    ],
    ['its snapshot bears no mark', [vm, base, died.replace('run;', ';'), half], 'discard S2 n1'],
    [
      'its snapshot bears a commit that cannot be read',
      [vm, base, died.replace('run;', 'run =P2 !unreadable;'), half],
      'discard S2 n1',
    ],
    ['another job needs its snapshot', [vm, base, died.replace('run;', 'run also;'), half], 'discard S2 n1'],
    [
      'somebody wrote to the disk after it was filled',
      [vm, base, died, half.replace('at=1/3', 'done written')],
      'discard S2 n1',
    ],
    ['a disk was added', [`${vm} 2:logs`, base, died, half], 'discard S2 n1'],
    ['a disk was removed', ['vm 1:data*4', base, died, half], 'discard S2 n1'],
    ['a disk was replaced: a matter of policy', [vm.replace('root', 'other'), base, died, half], 'no-base'],
    ['a disk was grown', [vm.replace('root*4', 'root*5'), base, died, half], 'discard S2 n1'],
    [
      'a newer snapshot was committed meanwhile: the replica does not go back',
      [vm, base.replaceAll('S1', 'S3'), died, half],
      'discard S2 n1',
    ],
  ])('%s', (_, parts, expected) => {
    const told = plan(...parts);
    expect(told).not.toContain('resume');
    expect(told).toContain(expected);
  });
});

describe('in a group the snapshot of this very run is the only one there is', () => {
  const group = jobWith({
    retention: keepLatest(9, 9),
    snapshot: { ...jobDefaults.snapshot, groupSkewMs: 5000 },
  });
  const taken = died.replace('run;', 'run!now;');
  const world = (...parts: readonly string[]): Observation => observed([vm, base, ...parts].join('; '));
  const discarded = (observation: Observation, goesOn: boolean): readonly string[] =>
    leftoversToDiscard(group, observation, goesOn).map(({ id }) => id.uuid);

  test('it is gone on with though no disk was begun', () => {
    expect(told(planRun(group, world(taken)))).toBe('delta 0 from P1 S1, delta 1 from P1 S1; resume S2');
    expect(discarded(world(taken, 'leftover disk n0 target'), true)).toEqual(['n0']);
  });

  test('but kept for nobody once the run gives up, whatever was sent of it', () => {
    expect(discarded(world(taken, half), true)).toEqual([]);
    expect(discarded(world(taken, half), false)).toEqual(['S2', 'n1']);
  });

  test.each([
    ['of an earlier run', world(died, half)],
    ['that is not ready to be copied', unready(world(taken))],
    ['of other disks', world(taken.replace('root*4', 'root*5'))],
  ])('none %s', (_, observation) => {
    expect(told(planRun(group, observation))).not.toContain('resume');
    expect(discarded(observation, true)).toContain('S2');
  });

  test('without a group a new one is better', () => {
    expect(plan(vm, base, taken)).not.toContain('resume');
  });

  /** As it was born. */
  function unready(observation: Observation): Observation {
    const name = temporaryName(
      { role: 'snapshot', job: 'gold', sr: 'sr', sourceVm: 'vm', run: 'run-now' },
      'vm',
    );
    const snapshots = observation.source.snapshots.map((one) => ({ ...one, id: { ...one.id, name } }));
    return { ...observation, source: { ...observation.source, snapshots } };
  }
});

test('space is needed for what is still to be made only', () => {
  expect(plan(vm, died, half.replace('on=P1.1 ', ''), 'target free=4')).toContain('resume S2 1:n1');
  expect(plan(vm, died, half.replace('on=P1.1 ', ''), 'target free=3')).toBe('blocked: no-space');
});

test('what is gone on with does not count as space that its removal would free', () => {
  const big = half.replace('on=P1.1 ', '').replace('size=4', 'size=4 *9');
  expect(plan(vm, died, big, 'target free=1')).toBe('blocked: no-space');
});
