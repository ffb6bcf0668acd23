import { observeSource, sourceLeftovers } from '../../../lib/engine/observe/source';
import { encode } from '../../../lib/planner/keys';
import { temporaryName } from '../../../lib/planner/marks';
import type { Leftover, SourceObservation } from '../../../lib/planner/observation';
import { job, ref, SmallWorld } from './small-world';

function db1(): SmallWorld {
  return new SmallWorld('sr')
    .network('net-1', 'lan')
    .vm('vm', { disks: ['root', 'data'], networks: ['net-1'] });
}
function observe(pool: SmallWorld): SourceObservation {
  return observeSource(pool.world(), job, ref('vm'), pool.record('vm'));
}
function leftovers(pool: SmallWorld): readonly Leftover[] {
  return sourceLeftovers(pool.world(), job, ref('vm'), pool.record('vm'));
}
function names(found: readonly Leftover[]): string {
  return found.map(({ id, run }) => `${id.uuid} of ${run}`).join(', ');
}
function committed(self: string, jobId = 'gold', sr = 'sr'): Readonly<Record<string, string>> {
  const rest = { run: 'run-1', point: 'P1', replica: 'R', committedAtMs: 1, disks: [] };
  return encode.sourceCommit({ v: 1, self, job: jobId, sr, ...rest });
}
function marked(
  self: string,
  changes: { readonly job?: string; readonly sr?: string } = {},
): Readonly<Record<string, string>> {
  return encode.run({ v: 1, self, job: 'gold', run: 'run-1', sr: 'sr', ...changes });
}
function temporary(
  role: 'snapshot' | 'staging' = 'snapshot',
  sourceVm = 'vm',
  jobId = 'gold',
  sr = 'sr',
): string {
  return temporaryName({ role, job: jobId, sr, sourceVm, run: 'run-1' }, 'db1');
}

describe('the source VM', () => {
  test('with its disks, cards and networks', () => {
    expect(observe(db1().network('net-2', 'dmz'))).toMatchObject({
      poolName: 'small',
      vm: { uuid: 'vm' },
      disks: [{ vdi: { uuid: 'root' } }, { vdi: { uuid: 'data' } }],
      cards: [{ network: { uuid: 'net-1' } }],
      networks: [
        { uuid: 'net-1', name: 'lan' },
        { uuid: 'net-2', name: 'dmz' },
      ],
      snapshots: [],
      replicaOf: null,
    });
  });

  test('is a replica of this job, of another, or a mere copy of one', () => {
    const replica = (self: string, jobId: string): SmallWorld =>
      db1().config('vm', encode.replica({ v: 1, self, job: jobId, sourceVm: 'x', sr: 'sr' }));
    expect(observe(replica('vm', 'gold')).replicaOf).toBe('gold');
    expect(observe(replica('vm', 'silver')).replicaOf).toBeNull();
    expect(observe(replica('its original', 'gold')).replicaOf).toBeNull();
  });
});

describe('its snapshots', () => {
  test('are its own only, with what stands on them', () => {
    const pool = db1()
      .vm('vm2', { disks: ['x'] })
      .snapshot('vm', 'S1')
      .snapshot('vm2', 'S2')
      .clone('vm', 'copy');
    pool.config('S1', { ...committed('S1'), ...committed('S1', 'silver') });
    expect(observe(pool).snapshots).toMatchObject([
      {
        id: { uuid: 'S1' },
        takenAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
        disks: [
          { vdi: { uuid: 'S1.0' }, snapshotOf: 'root' },
          { vdi: { uuid: 'S1.1' }, snapshotOf: 'data' },
        ],
        commit: { kind: 'own', record: { point: 'P1' } },
        otherCommits: ['xenrepl:commit:silver:sr'],
      },
    ]);
  });

  test('inherit commits after the VM was set back to one: copies, which count for nothing', () => {
    // VM.revert copies other_config of the snapshot to the VM, and the next snapshot takes it from there.
    const pool = db1()
      .config('vm', { ...committed('S1'), ...committed('S1', 'silver') })
      .snapshot('vm', 'S2');
    expect(observe(pool).snapshots).toMatchObject([{ commit: { kind: 'copied' }, otherCommits: [] }]);
  });
});

describe('leftovers', () => {
  test.each<[string, (pool: SmallWorld) => SmallWorld, string]>([
    ['none', (pool) => pool, ''],
    ['taken, not yet marked', (pool) => pool.snapshot('vm', 'S1', temporary()), 'S1 of run-1'],
    [
      'marked, not yet renamed',
      (pool) => pool.snapshot('vm', 'S1', temporary()).config('S1', marked('S1')),
      'S1 of run-1',
    ],
    ['marked and renamed', (pool) => pool.snapshot('vm', 'S1').config('S1', marked('S1')), 'S1 of run-1'],
    [
      'after a revert the keys of others are copies',
      (pool) => pool.config('vm', committed('S0', 'silver')).snapshot('vm', 'S1', temporary()),
      'S1 of run-1',
    ],
  ])('%s', (_, change, expected) => {
    expect(names(leftovers(change(db1())))).toBe(expected);
  });

  test.each<[string, (pool: SmallWorld) => SmallWorld]>([
    ["a user's snapshot", (pool) => pool.snapshot('vm', 'S1')],
    ['a committed one', (pool) => pool.snapshot('vm', 'S1').config('S1', committed('S1'))],
    [
      'a committed one that still has its mark',
      (pool) => pool.snapshot('vm', 'S1').config('S1', { ...committed('S1'), ...marked('S1') }),
    ],
    [
      'one that another job needs',
      (pool) => pool.snapshot('vm', 'S1').config('S1', { ...marked('S1'), ...committed('S1', 'silver') }),
    ],
    [
      'one whose other commit cannot be read',
      (pool) => pool.snapshot('vm', 'S1').config('S1', { ...marked('S1'), 'xenrepl:commit:silver:sr': '{' }),
    ],
    [
      'marked by another job',
      (pool) => pool.snapshot('vm', 'S1').config('S1', marked('S1', { job: 'silver' })),
    ],
    [
      'marked for another target',
      (pool) => pool.snapshot('vm', 'S1').config('S1', marked('S1', { sr: 'sr-2' })),
    ],
    [
      'marked for another target, not yet renamed',
      (pool) => pool.snapshot('vm', 'S1', temporary()).config('S1', marked('S1', { sr: 'sr-2' })),
    ],
    ['with a copied mark', (pool) => pool.snapshot('vm', 'S1').config('S1', marked('S0'))],
    ['named by another job', (pool) => pool.snapshot('vm', 'S1', temporary('snapshot', 'vm', 'silver'))],
    [
      'named for another target of this job',
      (pool) => pool.snapshot('vm', 'S1', temporary('snapshot', 'vm', 'gold', 'sr-2')),
    ],
    ['named for another VM', (pool) => pool.snapshot('vm', 'S1', temporary('snapshot', 'vm2'))],
    ['named for another role', (pool) => pool.snapshot('vm', 'S1', temporary('staging'))],
    ['a clone under such a name', (pool) => pool.clone('vm', 'copy', temporary())],
    ['of another VM', (pool) => pool.vm('vm2').snapshot('vm2', 'S2', temporary())],
  ])('is none: %s', (_, change) => {
    expect(leftovers(change(db1()))).toEqual([]);
  });

  test('take their own disks with them, never one that they share with the VM', () => {
    const pool = db1()
      .disk('shared')
      .attach('shared', 'vm', '5', { mode: 'RO' })
      .snapshot('vm', 'S1', temporary());
    expect(leftovers(pool)).toMatchObject([
      { disks: [{ uuid: 'S1.0' }, { uuid: 'S1.1' }], reclaimableBytes: 20, kind: 'vm', side: 'source' },
    ]);
  });
});
