import type { NbdFacts, Observation } from '../../lib/planner/observation';
import type { JobTransfer } from '../../lib/planner/job';
import { jobDefaults } from '../../lib/planner/job';
import { describePlan } from '../../lib/planner/describe';
import { planRun } from '../../lib/planner/plan-run';
import type { DiskCopy, Plan } from '../../lib/planner/plan';
import { observed } from './language';
import { jobWith } from './literals';

const able: NbdFacts = {
  known: true,
  licensed: true,
  purposes: ['nbd'],
  storages: [{ srUuid: 'sr-source', tracksChanges: true, servers: ['10.0.0.1:10809'], refusal: null }],
  denied: [],
  failed: {},
  unreached: {},
};

/** A replicated VM of one disk; flags of the live disk and of the base's. */
function world(live: string, base: string, nbd: NbdFacts | null = able): Observation {
  const text = `vm 0:root${live}; snapshot S1 0:root${base} =P1; replica R 0:r0; point P1 0^ ~S1`;
  const observation = observed(text);
  return { ...observation, source: { ...observation.source, nbd } };
}

function planOf(observation: Observation, transfer: Partial<JobTransfer> = {}): Plan {
  return planRun(jobWith({ transfer: { ...jobDefaults.transfer, ...transfer } }), observation);
}

function copyOf(plan: Plan): DiskCopy | null {
  if (plan.kind !== 'replicate') return null;
  return plan.steps.flatMap((step) => ('copy' in step ? [step.copy] : []))[0] ?? null;
}

/** `delta nbd: because …` */
function told(plan: Plan): string {
  const copy = copyOf(plan);
  return copy === null ? plan.kind : `${copy.kind} ${copy.method}: ${copy.methodBecause}`;
}

describe('a delta', () => {
  test('goes over NBD where disk and base are tracked and a host serves the disk', () => {
    const plan = planOf(world('#cbt', '#cbt'));
    expect(told(plan)).toBe(
      'delta nbd: the blocks that changed since the base are listed; 10.0.0.1:10809 serves them',
    );
    expect(plan.kind === 'replicate' && plan.notes).toEqual([]);
    expect(describePlan(plan).join('\n')).toContain('read over NBD');
  });

  const obstacles: readonly (readonly [string, Observation, string])[] = [
    ['an old release', world('', '', { ...able, known: false }), 'older than XenServer 7.3'],
    ['no purpose', world('#cbt', '#cbt', { ...able, purposes: [] }), 'no network of the source pool'],
    ['in clear only', world('#cbt', '#cbt', { ...able, purposes: ['insecure_nbd'] }), 'is never used'],
    [
      'an account that may not ask',
      world('#cbt', '#cbt', { ...able, denied: ['vdi.get_nbd_info'] }),
      'lacks the permission vdi.get_nbd_info (role vm-admin has it)',
    ],
    [
      'an account that may not list',
      world('#cbt', '#cbt', { ...able, denied: ['vdi.list_changed_blocks'] }),
      'lacks the permission vdi.list_changed_blocks',
    ],
    [
      'a pool that does not say',
      world('#cbt', '#cbt', {
        ...able,
        storages: [
          { srUuid: 'sr-source', tracksChanges: true, servers: [], refusal: 'RBAC_PERMISSION_DENIED' },
        ],
      }),
      'over NBD (RBAC_PERMISSION_DENIED)',
    ],
    ['no host', world('#cbt', '#cbt', { ...able, storages: [] }), 'no host that sees SR'],
    [
      'a driver without it',
      world('#cbt', '#cbt', {
        ...able,
        storages: [{ srUuid: 'sr-source', tracksChanges: false, servers: ['h:1'], refusal: null }],
      }),
      'the driver of SR "sr-source" cannot track',
    ],
    ['off on the disk', world('', '#cbt'), 'changed-block tracking is off on the disk'],
    ['a licence', world('', '', { ...able, licensed: false }), "the source pool's licence rules it out"],
    ['off at the base', world('#cbt', ''), 'was turned on after the base was taken'],
    [
      'failed before',
      world('#cbt', '#cbt', { ...able, failed: { 0: { reason: 'no line', lasting: false } } }),
      'NBD failed in this run: no line',
    ],
    [
      'a server that was not reached for another VM',
      world('#cbt', '#cbt', { ...able, unreached: { '10.0.0.1:10809': 'no line' } }),
      'this run could not reach it over NBD: 10.0.0.1:10809 (no line)',
    ],
  ];
  test.each(obstacles)('is a delta by export for every obstacle: %s', (_what, observation, reason) => {
    for (const method of ['auto', 'nbd'] as const) {
      expect(told(planOf(observation, { method }))).toMatch(/^delta export: /);
      expect(told(planOf(observation, { method }))).toContain(reason);
    }
    const wished = planOf(observation, { method: 'nbd' });
    expect(wished.kind === 'replicate' && wished.notes.join()).toContain(`disk 0 is read by export: `);
  });

  test('is by export where the job says so', () => {
    expect(told(planOf(world('#cbt', '#cbt', null), { method: 'export' }))).toBe(
      'delta export: the job says so',
    );
  });
});

describe('a full', () => {
  const first = (nbd: NbdFacts | null): Observation => {
    const observation = observed('vm 0:root');
    return { ...observation, source: { ...observation.source, nbd } };
  };

  test('is read by export, which leaves out what was never written; over NBD only where the job says so', () => {
    expect(told(planOf(first(able)))).toMatch(/^full export/);
    expect(told(planOf(first(able), { method: 'nbd' }))).toMatch(/^full nbd: the job says so/);
    expect(told(planOf(first({ ...able, purposes: [] }), { method: 'nbd' }))).toMatch(
      /^full export: no network/,
    );
  });
});

describe('turning tracking on', () => {
  const steps = (plan: Plan): readonly string[] =>
    plan.kind === 'blocked' ? [] : plan.steps.map(({ kind }) => kind);

  test('only where the job asks for it, before the snapshot', () => {
    expect(steps(planOf(world('', '')))).not.toContain('enable-tracking');
    const plan = planOf(world('', ''), { enableCbt: true });
    expect(steps(plan).indexOf('enable-tracking')).toBe(steps(plan).indexOf('snapshot-source') - 1);
    expect(told(plan)).toMatch(/^delta export/);
    expect(steps(planOf(world('#cbt', ''), { enableCbt: true }))).not.toContain('enable-tracking');
  });

  test('not where the licence forbids it or nothing could use it: with the reason', () => {
    for (const nbd of [
      { ...able, licensed: false },
      { ...able, purposes: [] },
    ]) {
      const plan = planOf(world('', '', nbd), { enableCbt: true });
      expect(steps(plan)).not.toContain('enable-tracking');
      expect(plan.kind === 'replicate' && plan.notes.join()).toContain(
        'changed-block tracking stays off on disk 0',
      );
    }
  });
});

describe('dropping the data of snapshots', () => {
  const drops = (plan: Plan): boolean =>
    plan.kind !== 'blocked' && plan.steps.some(({ kind }) => kind === 'drop-snapshot-data');

  test('where the next delta can do without; the plan says what is given up', () => {
    const plan = planOf(world('#cbt', '#cbt'), { dropSnapshotData: true });
    expect(drops(plan)).toBe(true);
    expect(plan.kind === 'replicate' && plan.notes.join()).toContain('cannot be compared');
    expect(drops(planOf(world('', ''), { dropSnapshotData: true, enableCbt: true }))).toBe(true);
  });

  test('kept where it would be needed: with the reason', () => {
    const kept: readonly Plan[] = [
      planOf(world('', ''), { dropSnapshotData: true }),
      planOf(world('#cbt', '#cbt', null), { dropSnapshotData: true, method: 'export' }),
      planOf(world('#cbt', '#cbt', { ...able, purposes: [] }), { dropSnapshotData: true }),
    ];
    for (const plan of kept) {
      expect(drops(plan)).toBe(false);
      expect(plan.kind === 'replicate' && plan.notes.join()).toContain(
        'the data of the source snapshot is kept',
      );
    }
  });

  test('a base without data is read over NBD or not at all: never by export, a full only by policy', () => {
    expect(told(planOf(world('#cbt', '#only')))).toMatch(/^delta nbd/);
    const unreachable = world('#cbt', '#only', { ...able, purposes: [] });
    expect(planOf(unreachable)).toMatchObject({ kind: 'blocked', conflicts: [{ kind: 'no-base' }] });
    expect(JSON.stringify(planOf(unreachable))).toContain('was dropped');
    const full = planRun(jobWith({ onMissingBase: 'full' }), unreachable);
    expect(told(full)).toMatch(/^full export/);
  });

  test('a server out of reach leaves the others; a base without data is tried all the same', () => {
    const unreached = { '10.0.0.1:10809': 'no line' };
    const servers = ['10.0.0.1:10809', '10.0.0.2:10809'];
    const storages = [{ srUuid: 'sr-source', tracksChanges: true, servers, refusal: null }];
    expect(told(planOf(world('#cbt', '#cbt', { ...able, unreached, storages })))).toMatch(/^delta nbd/);
    expect(copyOf(planOf(world('#cbt', '#only', { ...able, unreached })))).toMatchObject({
      method: 'nbd',
      onlyWay: true,
    });
    expect(copyOf(planOf(world('#cbt', '#cbt')))).not.toHaveProperty('onlyWay');
  });

  test('a broken line is no missing base: NBD is tried again; a list that cannot be had is one', () => {
    const failed = (lasting: boolean): Observation =>
      world('#cbt', '#only', { ...able, failed: { 0: { reason: 'x', lasting } } });
    expect(told(planOf(failed(false)))).toMatch(/^delta nbd/);
    expect(planOf(failed(true))).toMatchObject({ kind: 'blocked' });
  });
});
