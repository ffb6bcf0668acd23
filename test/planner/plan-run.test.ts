import { keepLatest } from '../../lib/planner/job';
import { leftoversToDiscard, planRun } from '../../lib/planner/plan-run';
import { observed } from './language';
import { jobWith } from './literals';
import { reasons, told } from './told';

const keepAll = jobWith({ retention: keepLatest(9, 9) });
const allowFull = jobWith({ retention: keepLatest(9, 9), onMissingBase: 'full' });

/** The world after one good run, and after two. */
const afterOne = 'vm 0:root 1:data; snapshot S1 0:root 1:data =P1; replica R 0:r0 1:r1; point P1 0 1 ~S1';
const afterTwo =
  'vm 0:root; snapshot S1 0:root =P1; snapshot S2 0:root =P2; replica R 0:r0; point P1 0 ~S1; point P2 0 ~S2';

describe('how each disk gets to the target', () => {
  test.each([
    ['first copy', 'vm 0:root 1:data', 'full 0, full 1'],
    ['delta', afterOne, 'delta 0 from P1 S1, delta 1 from P1 S1'],
    ['second delta starts from the newest pair', afterTwo, 'delta 0 from P2 S2'],
    [
      'disk added',
      afterOne.replace('1:data;', '1:data 2:logs;'),
      'delta 0 from P1 S1, delta 1 from P1 S1, full 2',
    ],
    ['disk removed', afterOne.replace('vm 0:root 1:data', 'vm 0:root'), 'delta 0 from P1 S1'],
    [
      'disk grown',
      afterOne.replace('vm 0:root 1:data', 'vm 0:root 1:data*2'),
      'delta 0 from P1 S1, delta 1 from P1 S1',
    ],
    [
      'disk shared by its snapshot',
      'vm 0:root 1:S1.1; snapshot S1 0:root 1:x#shared =P1; replica R 0:r0 1:r1; point P1 0 1 ~S1',
      'delta 0 from P1 S1, full 1',
    ],
    ['replica without a disk yet', 'vm 0:root; replica R', 'full 0'],
    ['disk excluded by its name', 'vm 0:root 1:swap#NOBAK', 'full 0'],
    [
      'disk excluded that was replicated',
      afterOne.replace('vm 0:root 1:data', 'vm 0:root 1:data#NOREPL'),
      'delta 0 from P1 S1',
    ],
    ['disk excluded that is raw', 'vm 0:root 1:swap#NOBAK#raw', 'full 0'],
    ['every disk excluded', 'vm 0:root#NOREPL', 'blocked: no-disks'],
  ])('%s', (_, world, expected) => {
    expect(told(planRun(keepAll, observed(world)))).toBe(expected);
  });

  test.each([
    ['disk shrunk', afterOne.replace('S1 0:root 1:data', 'S1 0:root 1:data*2'), 'delta 0 from P1 S1, full 1'],
    [
      'disk replaced',
      afterOne.replace('vm 0:root 1:data', 'vm 0:root 1:other'),
      'delta 0 from P1 S1, full 1',
    ],
    ['disks changed places', afterOne.replace('vm 0:root 1:data', 'vm 0:data 1:root'), 'full 0, full 1'],
    [
      'disk moved to another SR',
      afterOne.replace('vm 0:root 1:data', 'vm 0:root 1:data@nas'),
      'delta 0 from P1 S1, full 1',
    ],
    ['the replica was removed', 'vm 0:root; snapshot S1 0:root =P1', 'full 0'],
    ['its recovery points were removed', 'vm 0:root; snapshot S1 0:root =P1; replica R 0:r0', 'full 0'],
  ])('a full of what was copied before is for the policy to decide: %s', (_, world, expected) => {
    expect(told(planRun(keepAll, observed(world)))).toBe('blocked: no-base');
    expect(told(planRun(allowFull, observed(world)))).toBe(expected);
  });

  test('an excluded disk is noted, and not as a removed one', () => {
    const world = afterOne.replace('vm 0:root 1:data', 'vm 0:root 1:data#NOREPL');
    expect(planRun(keepAll, observed(world))).toMatchObject({
      notes: ['disk 1 "data[NOREPL]" (data[NOREPL]) is left out, as its name wants it'],
    });
  });

  test('a disk that grew is a delta only where new space is known to be zeros', () => {
    const grown = afterOne.replace('vm 0:root 1:data', 'vm 0:root 1:data*2');
    const plan = planRun(allowFull, observed(`${grown}; target unzeroed`));
    expect(told(plan)).toBe('delta 0 from P1 S1, full 1');
    expect(reasons(plan)['1']).toContain('has grown');
  });

  test('no full is silent: each says why, in its step and in the notes', () => {
    const plan = planRun(
      allowFull,
      observed(afterOne.replace('vm 0:root 1:data', 'vm 0:root 1:other 2:logs')),
    );
    expect(reasons(plan)).toEqual({
      '1': 'the disk was replaced by another since the last recovery point',
      '2': 'the disk was added since the last recovery point',
    });
    expect(plan).toMatchObject({
      copyKind: 'delta',
      notes: [
        expect.stringContaining('disk 1 is copied in full'),
        expect.stringContaining('disk 2 is copied in full'),
      ],
    });
  });

  test('a disk attached read-only is a full each time: its snapshot shares it', () => {
    const shared = 'vm 0:S1.0; snapshot S1 0:x#shared =P1; replica R 0:r0; point P1 0 ~S1';
    expect(reasons(planRun(keepAll, observed(shared)))['0']).toContain('attached read-only');
  });

  test('a removed disk is noted', () => {
    const plan = planRun(keepAll, observed(afterOne.replace('vm 0:root 1:data', 'vm 0:root')));
    expect(plan).toMatchObject({ notes: [expect.stringContaining('disk 1 was removed')] });
  });

  test('zeros are left out of a full only where new disks are known to read as zeros', () => {
    const elided = (target: string): unknown => planRun(keepAll, observed(`vm 0:root; target ${target}`));
    expect(elided('thin')).toMatchObject({
      steps: expect.arrayContaining([copyOf({ elideZeros: true })]) as unknown,
    });
    expect(elided('unzeroed')).toMatchObject({
      steps: expect.arrayContaining([copyOf({ elideZeros: false })]) as unknown,
    });
  });

  test('a second full copy does not look like the first: somebody removed the replica', () => {
    const plan = planRun(allowFull, observed('vm 0:root; snapshot S1 0:root =P1'));
    expect(reasons(plan)['0']).toBe('the replica of earlier copies (R) is not on the target pool any more');
    expect(reasons(planRun(keepAll, observed('vm 0:root')))['0']).toBe('the first copy');
  });
});

function copyOf(members: object): unknown {
  return { kind: 'copy-disk', copy: expect.objectContaining(members) as unknown };
}

describe('the order of steps', () => {
  test('first copy: the replica is made after the last byte, its disks are exchanged, then it counts', () => {
    expect(steps(jobWith(), 'vm 0:root 1:data')).toEqual([
      'snapshot-source',
      'create-disk',
      'create-disk',
      'copy-disk',
      'copy-disk',
      'create-replica',
      'announce-swap',
      'swap-disks',
      'apply-settings',
      'commit-target',
      'commit-source',
      'close-swap',
    ]);
  });

  test('delta: target commits before source, and only then anything is destroyed', () => {
    expect(steps(jobWith(), `${afterOne.replace('P1 0 1', 'P1 0^ 1')}; leftover disk junk target`)).toEqual([
      'discard-leftover',
      'snapshot-source',
      'clone-base',
      'copy-disk',
      'copy-disk',
      'announce-swap',
      'swap-disks',
      'apply-settings',
      'commit-target',
      'commit-source',
      'retire-points',
      'close-swap',
      'destroy-point',
      'destroy-source-snapshot',
    ]);
  });

  test('the exchange expects the disks that were observed, unless the job is told to overwrite', () => {
    const announce = (job = jobWith()): unknown => {
      const plan = planRun(job, observed(afterOne));
      return plan.kind === 'replicate' ? plan.steps.find(({ kind }) => kind === 'announce-swap') : plan;
    };
    expect(announce()).toMatchObject({
      expected: [
        { device: '0', vdi: { uuid: 'r0' }, contentId: 'content of r0' },
        { device: '1', vdi: { uuid: 'r1' }, contentId: 'content of r1' },
      ],
    });
    expect(announce(jobWith({ onDivergence: 'overwrite' }))).toMatchObject({ expected: null });
  });
});

function steps(job: ReturnType<typeof jobWith>, world: string): readonly string[] {
  const plan = planRun(job, observed(world));
  return plan.kind === 'replicate' ? plan.steps.map(({ kind }) => kind) : [told(plan)];
}

describe('leftovers', () => {
  test('are discarded first, each with the run that made it', () => {
    const plan = planRun(
      keepAll,
      observed(`${afterOne}; leftover disk staged target; leftover vm snap source`),
    );
    expect(told(plan)).toContain('; discard staged snap');
    expect(plan.kind === 'replicate' ? plan.steps.slice(0, 3) : plan).toMatchObject([
      { because: 'made by run run-dead, which ended before its commit; this run holds the lock' },
      { leftover: { id: { uuid: 'snap' } } },
      { kind: 'snapshot-source' },
    ]);
  });

  test('wait while something is to be repaired first: they may be part of it', () => {
    const world = 'vm 0:root; snapshot S1 0:root; replica R 0:r0; swap 0:r0>n0 ~S1; leftover disk n0 target';
    expect(told(planRun(keepAll, observed(world)))).toMatch(/^repair: swap-disks/);
  });
});

describe('after a failed attempt', () => {
  test.each([
    [
      'what it made is discarded',
      `${afterOne}; leftover disk staged target; leftover vm snap source`,
      'staged snap',
    ],
    [
      'but for a copy that can be gone on with',
      `${afterOne}; snapshot S2 0:root 1:data run; leftover vm S2 source; leftover disk n1 target 1 ~S2 on=P1.1 done`,
      '',
    ],
    ['nothing while an exchange is announced', `${afterOne}; swap 0:r0>n0 ~S1; leftover disk n0 target`, ''],
    [
      'or announced in a way that we cannot read',
      `${afterOne}; swap 0:r0>n0 ~S1 !unreadable; leftover disk n0 target`,
      '',
    ],
    [
      'nor the source snapshot of a commit that reached the target only',
      `${afterOne.replace('=P1', '')}; leftover vm S1 source`,
      '',
    ],
  ])('%s', (_, world, expected) => {
    const discarded = leftoversToDiscard(keepAll, observed(world), false).map(({ id }) => id.uuid);
    expect(discarded.join(' ')).toBe(expected);
  });
});

describe('a base that is missing', () => {
  const lost = 'vm 0:root; replica R 0:r0; point P1 0 ~S1';

  test('is a conflict with its evidence, or a full where the job says so', () => {
    const plan = planRun(keepAll, observed(lost));
    expect(plan).toMatchObject({
      kind: 'blocked',
      conflicts: [
        {
          kind: 'no-base',
          reason: expect.stringContaining('its source snapshot is gone') as unknown,
          points: ['"P1" (P1)'],
        },
      ],
    });
    const full = planRun(jobWith({ onMissingBase: 'full' }), observed(lost));
    expect(told(full)).toBe('full 0; destroy P1');
    expect(reasons(full)['0']).toMatch(
      /^no common base: recovery point "P1" \(P1\): its source snapshot is gone$/,
    );
  });

  test('is none where nothing was ever committed: half a recovery point of a dead run is garbage', () => {
    expect(
      told(planRun(keepAll, observed('vm 0:root; replica R; point half 0; leftover vm half target'))),
    ).toBe('full 0; discard half');
    expect(told(planRun(keepAll, observed('vm 0:root; replica R; point users 0')))).toBe('blocked: no-base');
  });
});

describe('a job whose first copy is carried by hand', () => {
  const seeded = jobWith({ initialCopy: 'seed', onMissingBase: 'full', retention: keepAll.retention });

  test('never sends a full by itself: it waits for the seed and says so', () => {
    expect(planRun(seeded, observed('vm 0:root'))).toMatchObject({
      kind: 'blocked',
      conflicts: [
        { kind: 'waiting-for-seed', vm: { uuid: 'vm' }, sr: { uuid: 'sr' }, reason: 'the first copy' },
      ],
    });
  });

  test.each([
    ['an empty replica is no seed', 'vm 0:root; replica R', 'blocked: waiting-for-seed'],
    ['the replica was removed', 'vm 0:root; snapshot S1 0:root =P1', 'blocked: waiting-for-seed'],
    [
      'a point that is not committed is no seed',
      'vm 0:root; replica R 0:r0; point P1 0',
      'blocked: waiting-for-seed',
    ],
    ['the seed is attached', afterOne, 'delta 0 from P1 S1, delta 1 from P1 S1'],
    [
      'a disk added later travels by itself',
      afterOne.replace('1:data;', '1:data 2:logs;'),
      'delta 0 from P1 S1, delta 1 from P1 S1, full 2',
    ],
    [
      'a base lost later is for on_missing_base to decide',
      'vm 0:root; replica R 0:r0; point P1 0 ~S1',
      'full 0',
    ],
  ])('%s', (_, world, expected) => {
    expect(told(planRun(seeded, observed(world)))).toBe(expected);
  });
});

describe('what stands in the way', () => {
  test.each([
    ['replica runs', afterOne.replace('R 0:r0', 'R Running 0:r0'), 'replica-not-halted'],
    ['replica is suspended', afterOne.replace('R 0:r0', 'R Suspended 0:r0'), 'replica-not-halted'],
    [
      'Xen Orchestra writes to the replica',
      afterOne.replace('R 0:r0', 'R importing 0:r0'),
      'foreign-transfer',
    ],
    ['two VMs claim to be the replica', `${afterOne}; rival R2`, 'rival-replicas'],
    ['replica was written to', afterOne.replace('1:r1', '1:r1+'), 'target-diverged'],
    ['not known whether replica was written to', afterOne.replace('1:r1', '1:r1?'), 'target-diverged'],
    [
      'somebody attached a disk to the replica',
      afterOne.replace('1:r1', '1:r1 7:theirs?'),
      'target-diverged',
    ],
    ['VM without disks', 'vm', 'no-disks'],
    ['raw disk on the source', 'vm 0:root#raw', 'raw-disk'],
    ['raw disks on the target', 'vm 0:root; target raw', 'raw-disk'],
    ['VM is a replica of the job itself', 'vm 0:root !replica', 'is-replica'],
    ['account may not', 'vm 0:root; missing vm.clone', 'permission'],
    ['several at once', 'vm 0:root; missing vm.clone; rival R2', 'permission, rival-replicas'],
  ])('%s', (_, world, conflicts) => {
    expect(told(planRun(keepAll, observed(world)))).toBe(`blocked: ${conflicts}`);
  });

  test('what was written to the replica is thrown away only when the job says so', () => {
    const world = afterOne.replace('1:r1', '1:r1+');
    expect(told(planRun(jobWith({ onDivergence: 'overwrite' }), observed(world)))).toMatch(/^delta 0/);
    expect(planRun(keepAll, observed(world))).toMatchObject({ conflicts: [{ disks: ['1: "r1" (r1)'] }] });
  });
});

describe('space on the target, summed over all disks', () => {
  test.each([
    // Each disk of 4 GiB has 2 GiB allocated.
    [
      'thin: a full needs what the source has allocated',
      'vm 0:a*4 1:b*4; target thin free=4',
      'full 0, full 1',
    ],
    ['thin: one byte less is refused', 'vm 0:a*4 1:b*4; target thin free=3', 'blocked: no-space'],
    [
      'thin: a delta needs what was written since its base, here nothing',
      'vm 0:a*4; snapshot S1 0:a*4 =P1; replica R 0:r; point P1 0*4 ~S1; target thin free=0',
      'delta 0 from P1 S1',
    ],
    [
      'thick: a full needs its size, and what it holds again for the snapshot',
      'vm 0:a*4; target thick free=7',
      'full 0',
    ],
    ['thick: less is refused', 'vm 0:a*4; target thick free=6', 'blocked: no-space'],
    [
      'thick: a delta needs the size of the clone',
      'vm 0:a*4; snapshot S1 0:a*4 =P1; replica R 0:r; point P1 0*4 ~S1; target thick free=5',
      'delta 0 from P1 S1',
    ],
    [
      'thick: less is refused for a delta, too',
      'vm 0:a*4; snapshot S1 0:a*4 =P1; replica R 0:r; point P1 0*4 ~S1; target thick free=4',
      'blocked: no-space',
    ],
    [
      'what a dead run left on the target is counted as free: it goes first',
      'vm 0:a*4; target thin free=0; leftover disk junk target *2',
      'full 0; discard junk',
    ],
    [
      'what it left on the source is not',
      'vm 0:a*4; target thin free=0; leftover vm junk source *2',
      'blocked: no-space',
    ],
  ])('%s', (_, world, expected) => {
    expect(told(planRun(keepAll, observed(world)))).toBe(expected);
  });

  test('the refusal says how much', () => {
    expect(planRun(keepAll, observed('vm 0:a*4; target thin free=1'))).toMatchObject({
      conflicts: [{ needBytes: 2 * 1024 ** 3, freeBytes: 1024 ** 3, sr: { uuid: 'sr' } }],
    });
  });
});
