/** A run that would make a chain deeper than the job allows is put off, and takes away what nobody needs first. */
import { describePlan } from '../../lib/planner/describe';
import { jobDefaults, keepLatest } from '../../lib/planner/job';
import { planRun } from '../../lib/planner/plan-run';
import { observed } from './language';
import { jobWith } from './literals';
import { told } from './told';

const job = jobWith({ retention: keepLatest(9, 9), maxChainDepth: 28, onMissingBase: 'full' });

function plan(world: string, changes: Partial<typeof job> = {}): string {
  return told(planRun({ ...job, ...changes }, observed(world)));
}

const base = 'snapshot S1 0:root =P1; replica R 0:r0; point P1 0 ~S1';

describe('the chain of a source disk', () => {
  test.each([
    ['with room for one more layer', `vm 0:root/27; ${base}`, 'delta 0 from P1 S1'],
    ['without', `vm 0:root/28; ${base}`, 'deferred: source 0/28'],
    ['counts for the first copy as well', 'vm 0:root/28', 'deferred: source 0/28'],
    ['each disk counts by itself', `vm 0:root/3 1:data/29 2:logs/30`, 'deferred: source 1/29, source 2/30'],
    [
      'does not matter to a copy that is gone on with: its snapshot is there',
      'vm 0:root/28; snapshot S2 0:root run; leftover vm S2 source; leftover disk n0 target 0 ~S2 at=0/1 done',
      '; resume S2 0:n0',
    ],
  ])('%s', (_, world, expected) => {
    expect(plan(world)).toBe(expected.replace(/^; /, ''));
  });
});

describe('the chain of a recovery point, upon which a delta is put', () => {
  test.each([
    ['with room for one more layer', `vm 0:root; ${base.replace('P1 0', 'P1 0/27')}`, 'delta 0 from P1 S1'],
    ['without', `vm 0:root; ${base.replace('P1 0', 'P1 0/28')}`, 'deferred: target 0/28'],
    [
      'does not matter to a disk that is copied in full',
      `vm 0:other; ${base.replace('P1 0', 'P1 0/28')}`,
      'full 0',
    ],
  ])('%s', (_, world, expected) => {
    expect(plan(world)).toBe(expected);
  });

  test('a job may allow less, or more', () => {
    const world = `vm 0:root; ${base.replace('P1 0', 'P1 0/10')}`;
    expect(plan(world, { maxChainDepth: 10 })).toBe('deferred: target 0/10');
    expect(plan(world, { maxChainDepth: 11 })).toBe('delta 0 from P1 S1');
    expect(jobDefaults.maxChainDepth).toBe(28);
  });
});

describe('what is taken away so that the chain gets shorter', () => {
  const three = [1, 2, 3].map(
    (n) => `snapshot S${String(n)} 0:root =P${String(n)}; point P${String(n)} 0/28 ~S${String(n)}`,
  );
  const world = `vm 0:root; replica R 0:r0; ${three.join('; ')}`;

  test.each([
    ['recovery points and snapshots beyond the retention', 1, 'P2 P1 S2 S1'],
    ['but not one more: this run makes no new one', 2, 'P1 S1'],
    ['nothing where the job keeps them all', 3, ''],
  ])('%s', (_, count, expected) => {
    const removed = expected === '' ? '' : `; ${expected}`;
    expect(plan(world, { retention: keepLatest(count, count) })).toBe(`deferred: target 0/28${removed}`);
  });

  test('never the base, where a newer recovery point has lost its source snapshot', () => {
    const lost = world.replace('snapshot S3 0:root =P3; ', '');
    expect(plan(lost, { retention: keepLatest(1) })).toBe('deferred: target 0/28; P1 S1');
  });

  test('what a dead run left', () => {
    expect(plan('vm 0:root/28; leftover vm junk source')).toBe('deferred: source 0/28; junk');
  });

  test('nothing of a copy that a later run goes on with', () => {
    const interrupted =
      'vm 0:root 1:data; snapshot S1 0:root 1:data =P1; replica R 0:r0 1:r1; point P1 0/28 1 ~S1; ' +
      'snapshot S2 0:root 1:data run; leftover vm S2 source; leftover disk n1 target 1 ~S2 on=P1.1 done';
    expect(plan(interrupted)).toBe('deferred: target 0/28');
  });
});

test('an interrupted exchange of disks is finished all the same', () => {
  expect(plan(`vm 0:root/29; snapshot S2 0:root; ${base}; swap 0:r0>n0 ~S2`)).toMatch(/^repair/);
});

describe('the words', () => {
  test('name the disk, the figures and what to do', () => {
    expect(describePlan(planRun(job, observed('vm 0:root/28')))).toEqual([
      'put off: the chain of source disk 0 "root" (root) on SR "sr-source" (sr-source) has 28 layers of at most 28, ' +
        '0 of them about to be merged (delete snapshots of the VM that nobody needs; the storage merges layers by itself, ' +
        'which takes a while: run again later)',
    ]);
  });

  test('ask for nothing but patience where the storage is at work', () => {
    const [line] = describePlan(planRun(job, observed('vm 0:root/30~4')));
    expect(line).toContain(
      '30 layers of at most 28, 4 of them about to be merged (the storage merges layers',
    );
  });

  test('ask for fewer recovery points where they are what makes the chain deep', () => {
    const [line] = describePlan(planRun(job, observed(`vm 0:root; ${base.replace('P1 0', 'P1 0/28')}`)));
    expect(line).toContain('(keep fewer recovery points;');
  });
});
