import { keepLatest } from '../../lib/planner/job';
import { planRun } from '../../lib/planner/plan-run';
import { observed } from './language';
import { jobWith } from './literals';
import { told } from './told';

function chain(length: number): string {
  const numbers = Array.from({ length }, (_, index) => index + 1);
  return [
    'vm 0:root',
    ...numbers.map((n) => `snapshot S${String(n)} 0:root =P${String(n)}`),
    'replica R 0:r0',
    ...numbers.map((n) => `point P${String(n)} 0 ~S${String(n)}`),
  ].join('; ');
}

function destroyed(world: string, latest: number, sourceLatest: number): string {
  const plan = told(planRun(jobWith({ retention: keepLatest(latest, sourceLatest) }), observed(world)));
  return /; destroy (.*)$/.exec(plan)?.[1] ?? (plan.startsWith('blocked') ? plan : '');
}

describe("the run's own pair is the newest of those kept", () => {
  test.each([
    [1, 1, 'P3 P2 P1 S3 S2 S1'],
    [2, 1, 'P2 P1 S3 S2 S1'],
    [3, 1, 'P1 S3 S2 S1'],
    [4, 1, 'S3 S2 S1'],
    [4, 4, ''],
    [1, 3, 'P3 P2 P1 S1'],
  ])('keeps %i recovery points and %i source snapshots', (latest, sourceLatest, expected) => {
    expect(destroyed(chain(3), latest, sourceLatest)).toBe(expected);
  });

  test('the oldest go, in whatever order they are listed', () => {
    expect(destroyed(chain(4).split('; ').reverse().join('; '), 2, 3)).toBe('P3 P2 P1 S2 S1');
  });
});

describe('never destroyed', () => {
  test.each([
    ['a source snapshot that another job or target needs', chain(1).replace('=P1', '=P1 also'), 'P1'],
    ['a snapshot without our commit', `${chain(1)}; snapshot S0 0:root`, 'P1 S1'],
    ['a snapshot that bears a copied commit', `${chain(1)}; snapshot S0 0:root =P0 !copied`, 'P1 S1'],
    ['a snapshot whose commit cannot be read', `${chain(1)}; snapshot S0 0:root =P0 !unreadable`, 'P1 S1'],
    ['a snapshot whose commit is of another job', `${chain(1)}; snapshot S0 0:root =P0 !job`, 'P1 S1'],
    ["a user's snapshot of the replica", `${chain(1)}; point users 0`, 'P1 S1'],
    ['a point that bears a copied commit', `${chain(1)}; point P0 0 ~S0 !copied`, 'P1 S1'],
    ['a point of another job', `${chain(1)}; point P0 0 ~S0 !job`, 'P1 S1'],
    ['a point of another replica', `${chain(1)}; point P0 0 ~S0 !replica`, 'P1 S1'],
  ])('%s', (_, world, expected) => {
    expect(destroyed(world, 1, 1)).toBe(expected);
  });

  test('a disk that a snapshot merely shares with its VM', () => {
    const world =
      'vm 0:root 1:S1.1; snapshot S1 0:root 1:x#shared =P1; replica R 0:r0 1:r1; point P1 0 1 ~S1';
    const plan = planRun(jobWith(), observed(world));
    expect(plan.kind === 'replicate' ? plan.steps : plan).toContainEqual(
      expect.objectContaining({
        kind: 'destroy-source-snapshot',
        disks: [expect.objectContaining({ uuid: 'S1.0' })],
      }),
    );
  });

  test('a disk of a point that is no snapshot', () => {
    const world = chain(1).replace('S1 0:root', 'S1 0:root 1:data').replace('P1 0', 'P1 0 1#shared');
    const plan = planRun(jobWith(), observed(world));
    expect(plan.kind === 'replicate' ? plan.steps : plan).toContainEqual(
      expect.objectContaining({ kind: 'destroy-point', disks: [expect.objectContaining({ uuid: 'P1.0' })] }),
    );
  });

  test('a disk of a point that its commit does not name', () => {
    const world = observed(chain(1));
    const [point] = world.target.replica?.points ?? [];
    const extra = { ...point?.disks[0], device: '7', vdi: { ref: 'x', uuid: 'theirs', name: 'theirs' } };
    Object.assign(point ?? {}, { disks: [...(point?.disks ?? []), extra] });
    const plan = planRun(jobWith(), world);
    expect(plan.kind === 'replicate' ? plan.steps : plan).toContainEqual(
      expect.objectContaining({ kind: 'destroy-point', disks: [expect.objectContaining({ uuid: 'P1.0' })] }),
    );
  });

  test('anything by a repair: it commits, the next plan prunes', () => {
    const world = chain(3).replace('S3 0:root =P3', 'S3 0:root');
    expect(told(planRun(jobWith(), observed(world)))).toBe('repair: commit-source');
  });
});

test('what is destroyed says why that is safe', () => {
  const plan = planRun(jobWith(), observed(chain(1)));
  const because =
    plan.kind === 'replicate' ? plan.steps.flatMap((step) => ('because' in step ? [step.because] : [])) : [];
  expect(because).toEqual([
    "superseded: not the newest; this run's point is the new base",
    'superseded: this run committed a newer snapshot on both sides, and no other target needs this one',
  ]);
});

test("Xen Orchestra's content key is taken off every older point that bears it", () => {
  const world = chain(2).replace('point P1 0', 'point P1 0^').replace('point P2 0', 'point P2 0^');
  const plan = planRun(jobWith(), observed(world));
  expect(plan.kind === 'replicate' ? plan.steps : plan).toContainEqual(
    expect.objectContaining({
      kind: 'retire-points',
      disks: [expect.objectContaining({ uuid: 'P1.0' }), expect.objectContaining({ uuid: 'P2.0' })],
    }),
  );
});

describe('tiers', () => {
  const at = (time: string): number => Date.parse(`2026-11-23T${time}Z`);
  const retention = { ...keepLatest(1), hourly: 2, timeZone: 'Europe/Berlin' };

  /** P1 to P4 as they were taken, and now. */
  function planAt(nowMs: number | null, ...taken: readonly string[]): ReturnType<typeof planRun> {
    const world = observed(chain(taken.length));
    taken.forEach((time, index) => {
      const commit = world.target.replica?.points[index]?.commit;
      if (commit?.kind === 'own') Object.assign(commit.record, { takenAtMs: at(time) });
    });
    return planRun(jobWith({ retention }), { ...world, source: { ...world.source, nowMs } });
  }

  function points(plan: ReturnType<typeof planRun>): readonly unknown[] {
    const steps = plan.kind === 'replicate' ? plan.steps : [];
    return steps.flatMap((step) =>
      step.kind === 'destroy-point' ? [[step.point.uuid, step.ifTakenBeforeMs]] : [],
    );
  }

  test('the point that this run makes stands in for its hour', () => {
    const plan = planAt(at('10:45:00'), '08:10:00', '09:10:00', '10:10:00');
    expect(points(plan)).toEqual([
      ['P3', at('11:00:00')],
      ['P1', null],
    ]);
  });

  test('what stays is told with the reason', () => {
    expect(planAt(at('10:45:00'), '09:10:00', '10:10:00')).toMatchObject({
      kept: [{ point: { uuid: 'P1' }, because: 'the newest of hour 2026-11-23 10:00+01:00' }],
    });
  });

  test('an older point that is the newest of its hour goes only if the snapshot is taken within it', () => {
    const plan = planAt(at('10:59:59'), '10:10:00');
    expect(points(plan)).toEqual([['P1', at('11:00:00')]]);
    expect(points(planAt(at('11:00:00'), '10:10:00'))).toEqual([]);
  });

  test('where the clock was not read, the run stands in for no older point', () => {
    expect(points(planAt(null, '09:10:00', '10:10:00', '10:20:00'))).toEqual([
      ['P2', null],
      ['P1', null],
    ]);
  });

  test('in a time zone that is not known nothing is destroyed, and the plan says so', () => {
    const plan = planRun(
      jobWith({ retention: { ...retention, timeZone: 'Mars/Olympus' } }),
      observed(chain(3)),
    );
    expect(points(plan)).toEqual([]);
    expect(plan).toMatchObject({
      notes: ['no recovery point is destroyed: the retention\'s time zone "Mars/Olympus" is not known here'],
    });
  });
});
