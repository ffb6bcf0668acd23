import { planRun } from '../../lib/planner/plan-run';
import { observed } from './language';
import { jobWith } from './literals';
import { told } from './told';

/**
 * A delta of run 2 that died: S2 was taken, n0 and n1 were filled and announced to replace r0 and r1. The base of
 * that run, P1 and S1, is untouched until the new pair is committed on both sides.
 */
const before = 'vm 0:root 1:data; snapshot S1 0:root 1:data =P1; snapshot S2 0:root 1:data; point P1 0 1 ~S1';
const announced = 'swap 0:r0>n0 1:r1>n1 ~S2';
const committed = 'point P2 0 1 ~S2';

function plan(...parts: readonly string[]): string {
  return told(planRun(jobWith(), observed([before, ...parts].join('; '))));
}

const everything = 'repair: swap-disks, apply-settings, commit-target, commit-source, close-swap';

describe('a run that died after its announcement is finished, wherever it died', () => {
  test.each([
    ['nothing exchanged', ['replica R 0:r0 1:r1', announced], everything],
    ['old disk detached, new one not attached', ['replica R 1:r1', announced], everything],
    ['one disk exchanged', ['replica R 0:n0 1:r1', announced], everything],
    ['all exchanged', ['replica R 0:n0 1:n1', announced], everything],
    [
      'half a recovery point',
      ['replica R 0:n0 1:n1', announced, 'point P2 0 1', 'leftover vm P2 target'],
      everything,
    ],
    [
      'committed on the target',
      ['replica R 0:n0 1:n1', announced, committed],
      'repair: commit-source, close-swap',
    ],
    ['committed on both sides', ['replica R 0:n0 1:n1', announced, committed, 'also'], 'repair: close-swap'],
    ['first copy, replica still empty', ['replica R', 'swap 0:>n0 1:>n1 ~S2'], everything],
    ['a disk is being removed', ['replica R 0:n0 1:r1', 'swap 0:r0>n0 x1:r1 ~S2'], everything],
  ])('%s', (_, parts, expected) => {
    const onBothSides = parts.includes('also');
    const world = [before, ...parts.filter((part) => part !== 'also')].join('; ');
    const marked = onBothSides ? world.replace('S2 0:root 1:data', 'S2 0:root 1:data =P2') : world;
    expect(told(planRun(jobWith(), observed(marked)))).toBe(expected);
  });

  test('the plan carries the announcement and the commit that stands already', () => {
    const repair = planRun(
      jobWith(),
      observed([before, 'replica R 0:n0 1:n1', announced, committed].join('; ')),
    );
    expect(repair).toMatchObject({
      kind: 'repair',
      because: 'run run-2 announced an exchange of disks and did not finish it',
      swap: { run: 'run-2', disks: [{ newVdi: 'n0' }, { newVdi: 'n1' }] },
      commit: { self: 'P2', sourceSnapshot: 'S2' },
    });
  });

  test('a run that committed once and announced again has not committed what it announced', () => {
    // Attempt 1 of run-1 committed P1; attempt 2 of the same run took S2, announced, and died.
    expect(plan('replica R 0:r0 1:r1', `${announced} by=run-1`)).toBe(everything);
  });

  test('a commit that stands is kept even where its live disks were written to, detached or destroyed since', () => {
    const done = 'repair: commit-source, close-swap';
    expect(plan('replica R 0:n0+ 1:n1', `${announced} written:n0`, committed)).toBe(done);
    expect(plan('replica R 1:n1', `${announced} gone:n0`, committed)).toBe(done);
    expect(plan('replica R 0:theirs 1:n1', announced, committed)).toBe(done);
  });

  test('without its source snapshot only the target can be committed, with the settings it has', () => {
    const world = [before.replace('snapshot S2 0:root 1:data; ', ''), 'replica R 0:r0 1:r1', announced].join(
      '; ',
    );
    const repair = planRun(jobWith(), observed(world));
    expect(told(repair)).toBe('repair: swap-disks, commit-target, close-swap');
    expect(repair).toMatchObject({
      because: expect.stringContaining('the source snapshot is gone') as unknown,
    });
  });

  test('a network map that does not fit does not keep content from being committed', () => {
    const job = jobWith({ networkMap: {} });
    const world = observed([before, 'replica R 0:r0 1:r1', announced].join('; '));
    expect(told(planRun(job, world))).toBe('repair: swap-disks, commit-target, commit-source, close-swap');
    expect(planRun(job, world)).toMatchObject({ because: expect.stringContaining('network map') as unknown });
  });

  test.each([
    ['the VM has lost all its disks', before.replace('vm 0:root 1:data', 'vm')],
    ['the VM has a raw disk now', before.replace('vm 0:root', 'vm 0:root#raw')],
  ])('what forbids a new copy does not forbid to finish a complete one: %s', (_, source) => {
    const world = [source, 'replica R 0:r0 1:r1', announced].join('; ');
    expect(told(planRun(jobWith(), observed(world)))).toBe(everything);
  });
});

describe('a commit that reached the target only', () => {
  test('is finished on the source before anything else', () => {
    expect(plan('replica R 0:r0 1:r1', committed)).toBe('repair: commit-source');
  });

  test('is not, where the source snapshot lost a disk', () => {
    const world = [before.replace('S2 0:root 1:data', 'S2 0:root'), 'replica R 0:r0 1:r1', committed].join(
      '; ',
    );
    expect(told(planRun(jobWith(), observed(world)))).toBe(
      'delta 0 from P1 S1, delta 1 from P1 S1; destroy P2 P1 S1',
    );
  });
});

describe('nothing is repaired while', () => {
  test.each([
    ['the replica runs', ['replica R Running 0:r0 1:r1', announced], 'blocked: replica-not-halted'],
    [
      'another program writes to it',
      ['replica R importing 0:r0 1:r1', announced],
      'blocked: foreign-transfer',
    ],
    [
      'two VMs claim to be the replica',
      ['replica R 0:r0 1:r1', announced, 'rival R2'],
      'blocked: rival-replicas',
    ],
    ['the account may not', ['replica R 0:r0 1:r1', announced, 'missing vm.clone'], 'blocked: permission'],
  ])('%s', (_, parts, expected) => {
    expect(plan(...parts)).toBe(expected);
  });
});

describe('content that somebody changed is never committed', () => {
  test.each([
    ['gone', 'new disk n1 for device 1 is gone'],
    ['written', 'new disk n1 for device 1 was written to after it was filled'],
    ['used', 'new disk n1 for device 1 is attached to VM "somebody" (somebody)'],
  ])('new disk %s: the announcement is taken back while all old disks are there', (how, reason) => {
    const world = observed([before, 'replica R 0:r0 1:r1', `${announced} ${how}:n1`].join('; '));
    expect(planRun(jobWith(), world)).toMatchObject({
      kind: 'repair',
      steps: [{ kind: 'abandon-swap', because: `${reason}; the disks from before are all still attached` }],
    });
  });

  test.each([
    ['one was exchanged already', ['replica R 0:n0 1:r1', `${announced} gone:n1`]],
    ['one is detached', ['replica R 0:r0', `${announced} gone:n1`]],
    ['the replica was started after the exchange', ['replica R 0:n0 1:n1', `${announced} written:n0`]],
    ['somebody attached another', ['replica R 0:r0 1:theirs', `${announced} gone:n0`]],
    ['a removed one is detached', ['replica R 0:r0', 'swap 0:r0>n0 x1:r1 ~S2 gone:n0']],
  ])('a person is asked where the old disks are not all there: %s', (_, parts) => {
    expect(plan(...parts)).toBe('blocked: swap-broken');
  });

  test('the first copy is taken back as well: its replica had no disks', () => {
    expect(plan('replica R', 'swap 0:>n0 1:>n1 ~S2 gone:n0')).toBe('repair: abandon-swap');
    expect(plan('replica R 0:n0', 'swap 0:>n0 1:>n1 ~S2 gone:n1')).toBe('blocked: swap-broken');
  });

  test('the evidence names every disk', () => {
    const world = observed([before, 'replica R 0:n0+ 1:theirs', `${announced} written:n0`].join('; '));
    expect(planRun(jobWith(), world)).toMatchObject({
      conflicts: [
        {
          kind: 'swap-broken',
          reasons: [
            'new disk n0 for device 0 was written to after it was filled',
            'device 1 has neither the old nor the new disk: "theirs" (theirs)',
          ],
        },
      ],
    });
  });

  test('once taken back, the job goes on from its base, and what is left of the new disks is a leftover', () => {
    expect(plan('replica R 0:r0 1:r1', 'leftover disk n0 target', 'leftover vm S2 source')).toBe(
      'delta 0 from P1 S1, delta 1 from P1 S1; discard n0 S2; destroy P1 S1',
    );
  });
});

describe('what the user wrote to the old disks is not destroyed by finishing', () => {
  test('started by hand after the crash: a conflict for the policy', () => {
    const world = observed([before, 'replica R 0:r0+ 1:r1', announced].join('; '));
    expect(planRun(jobWith(), world)).toMatchObject({
      conflicts: [{ kind: 'target-diverged', disks: ['0: "r0" (r0)'] }],
    });
    expect(told(planRun(jobWith({ onDivergence: 'overwrite' }), world))).toBe(everything);
  });

  test('a disk that is about to be removed counts, too', () => {
    expect(plan('replica R 0:r0 1:r1+', 'swap 0:r0>n0 x1:r1 ~S2')).toBe('blocked: target-diverged');
  });

  test('a disk of somebody else at an announced position stops it', () => {
    expect(plan('replica R 0:theirs 1:r1', announced)).toBe('blocked: swap-broken');
  });
});

describe('an announcement that does not speak for this replica is shown, never guessed at', () => {
  test.each([
    ['unreadable', 'the announcement cannot be read: not JSON'],
    ['copied', 'the announcement is of another VM: another VM'],
    ['job', 'the announcement is of job silver, VM vm, SR sr'],
    ['sr', 'the announcement is of job gold, VM vm, SR another SR'],
  ])('%s', (how, reason) => {
    const world = observed([before, 'replica R 0:r0 1:r1', `${announced} !${how}`].join('; '));
    expect(planRun(jobWith(), world)).toMatchObject({
      conflicts: [{ kind: 'swap-broken', reasons: [reason] }],
    });
  });
});
