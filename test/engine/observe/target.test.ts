import { observeTarget, targetLeftovers, undecidedDisks } from '../../../lib/engine/observe/target';
import { encode } from '../../../lib/planner/keys';
import type { StagingMark, SwapRecord, TargetCommit } from '../../../lib/planner/keys';
import { temporaryName } from '../../../lib/planner/marks';
import type { TemporaryRole } from '../../../lib/planner/marks';
import type { ObservedReplica, TargetObservation } from '../../../lib/planner/observation';
import { jobWith } from '../../planner/literals';
import { job, ref, SmallWorld } from './small-world';

type Config = Readonly<Record<string, string>>;

function mark(
  self: string,
  changes: { readonly job?: string; readonly sourceVm?: string; readonly sr?: string } = {},
): Config {
  return encode.replica({ v: 1, self, job: 'gold', sourceVm: 'vm', sr: 'sr', ...changes });
}
function commit(self: string, disks: readonly string[], changes: Partial<TargetCommit> = {}): Config {
  return encode.targetCommit({
    v: 1,
    self,
    job: 'gold',
    run: 'run-1',
    sourceVm: 'vm',
    sourceSnapshot: 'S1',
    replica: 'R',
    sr: 'sr',
    kind: 'full',
    takenAtMs: 1,
    committedAtMs: Number(/\d+/.exec(self)?.[0] ?? 0),
    disks: disks.map((device) => ({
      device,
      vdi: `${self}.${device}`,
      sourceVdi: `S1.${device}`,
      sizeBytes: 1,
      digest: null,
    })),
    ...changes,
  });
}
function unfinished(self: string, changes: { readonly job?: string; readonly sr?: string } = {}): Config {
  return encode.run({ v: 1, self, job: 'gold', run: 'run-1', sr: 'sr', ...changes });
}
function staging(self: string, changes: Partial<StagingMark> = {}): Config {
  return encode.staging({ v: 1, self, job: 'gold', run: 'run-1', sourceVm: 'vm', device: '0', ...changes });
}
function temporary(
  role: TemporaryRole,
  changes: { readonly job?: string; readonly sr?: string; readonly sourceVm?: string } = {},
): string {
  return temporaryName({ role, job: 'gold', sr: 'sr', sourceVm: 'vm', run: 'run-1', ...changes }, 'db1');
}

/** A replica with one recovery point of its two disks. */
function replicated(): SmallWorld {
  return new SmallWorld('sr', { type: 'nfs' })
    .network('net-1', 'dr-lan')
    .vm('R', { disks: ['r0', 'r1'], config: mark('R') })
    .snapshot('R', 'P1')
    .config('P1', commit('P1', ['0', '1']));
}
function observe(pool: SmallWorld, of = job): TargetObservation {
  return observeTarget(pool.world(), of, 'vm', ref('sr'), pool.srRecord());
}
function replica(pool: SmallWorld): ObservedReplica {
  const found = observe(pool).replica;
  if (found === null) throw new Error('no replica observed');
  return found;
}
function leftovers(pool: SmallWorld): readonly string[] {
  return targetLeftovers(pool.world(), job, 'vm').map(({ kind, id, disks }) =>
    [kind, id.uuid, ...disks.map(({ uuid }) => uuid)].join(' '),
  );
}

describe('the SR', () => {
  test('with what it can hold and do', () => {
    expect(observe(replicated())).toMatchObject({
      sr: { uuid: 'sr' },
      srType: 'nfs',
      allocation: 'thin',
      freeBytes: 600,
      staged: [],
      reserved: [],
      networks: [{ uuid: 'net-1', name: 'dr-lan' }],
    });
  });

  test('is never less than empty', () => {
    expect(observe(new SmallWorld('sr', { physical_size: 1, physical_utilisation: 5 })).freeBytes).toBe(0);
  });
});

describe('the replica is the VM that says so of itself', () => {
  test('with its recovery points', () => {
    expect(replica(replicated())).toMatchObject({
      id: { uuid: 'R' },
      powerState: 'Halted',
      swap: { kind: 'absent' },
      announced: [],
      foreignTransfer: null,
      points: [
        {
          id: { uuid: 'P1' },
          commit: { kind: 'own' },
          disks: [{ vdi: { uuid: 'P1.0' } }, { vdi: { uuid: 'P1.1' } }],
        },
      ],
    });
  });

  test.each<[string, Config]>([
    ['a clone bears a copied mark', mark('somebody else')],
    ['the replica of another job', mark('R', { job: 'silver' })],
    ['the replica of another VM', mark('R', { sourceVm: 'vm2' })],
    ['the replica on another SR', mark('R', { sr: 'sr-2' })],
    ['a mark that cannot be read', { 'xenrepl:replica': '{' }],
    ['no mark', {}],
  ])('and no other: %s', (_, config) => {
    const pool = new SmallWorld('sr').vm('R', { disks: ['r0'], config });
    expect(observe(pool)).toMatchObject({ replica: null, rivals: [] });
  });

  test('clones and snapshots of it do not count, even those of a recovery point', () => {
    const pool = replicated()
      .clone('R', 'user’s clone')
      .clone('P1', 'drill')
      .snapshot('R', 'user’s snapshot');
    expect(observe(pool)).toMatchObject({ replica: { id: { uuid: 'R' } }, rivals: [] });
  });

  test('nor does a snapshot, whatever it says; nor are snapshots of other VMs its points', () => {
    const pool = replicated()
      .snapshot('R', 'users')
      .config('users', mark('users'))
      .vm('web')
      .snapshot('web', 'w1');
    expect(observe(pool)).toMatchObject({
      rivals: [],
      replica: { points: [{ id: { uuid: 'P1' } }, { id: { uuid: 'users' } }] },
    });
  });

  test('two that say so are rivals', () => {
    const pool = replicated().vm('R2', { config: mark('R2') });
    expect(observe(pool)).toMatchObject({ replica: { id: { uuid: 'R' } }, rivals: [{ uuid: 'R2' }] });
  });

  test('the spelling of the SR’s uuid does not make another of it', () => {
    const shouted = jobWith({ target: { ...job.target, srUuid: 'SR' } });
    expect(observe(replicated(), shouted).replica).toMatchObject({ id: { uuid: 'R' } });
  });

  test('a user’s snapshot is a point without a commit; a snapshot after a revert has a copied one', () => {
    const pool = replicated()
      .snapshot('R', 'users')
      .config('R', commit('P1', ['0', '1']))
      .snapshot('R', 'after');
    expect(replica(pool).points.map(({ id, commit: found }) => `${id.uuid} ${found.kind}`)).toEqual([
      'P1 own',
      'users absent',
      'after copied',
    ]);
  });
});

describe('whether a live disk was written to', () => {
  const told = (pool: SmallWorld): string =>
    replica(pool)
      .disks.map(({ changed }) => changed)
      .join(' ');

  test.each<[string, (pool: SmallWorld) => SmallWorld, string]>([
    ['same content id as its recovery point', (pool) => pool, 'no no'],
    ['another one', (pool) => pool.config('r1', { content_id: 'new' }), 'no unknown'],
    [
      'none on either side is no proof',
      (pool) => pool.config('r1', { content_id: null }).config('P1.1', { content_id: null }),
      'no unknown',
    ],
    [
      'a disk that the point has not',
      (pool) => pool.disk('theirs').attach('theirs', 'R', '7'),
      'no no unknown',
    ],
    [
      'the point’s commit is a copy',
      (pool) => pool.config('P1', commit('P0', ['0', '1'])),
      'unknown unknown',
    ],
    [
      'set back to an older point: nothing is lost',
      (pool) =>
        pool
          .config('r0', { content_id: 'later' })
          .snapshot('R', 'P2')
          .config('P2', commit('P2', ['0', '1']))
          .config('r0', { content_id: 'content of r0' }),
      'no no',
    ],
  ])('%s', (_, change, expected) => {
    expect(told(change(replicated()))).toBe(expected);
  });

  test('what is undecided is compared with the newest recovery point’s disk, where there is one', () => {
    const pool = replicated().config('r1', { content_id: 'new' }).disk('theirs').attach('theirs', 'R', '7');
    expect(undecidedDisks(job, replica(pool))).toMatchObject([
      { disk: { vdi: { uuid: 'r1' } }, pointVdi: { uuid: 'P1.1' } },
      { disk: { vdi: { uuid: 'theirs' } }, pointVdi: null },
    ]);
  });
});

describe('an announced exchange', () => {
  const record: SwapRecord = {
    v: 1,
    self: 'R',
    job: 'gold',
    run: 'run-2',
    sourceVm: 'vm',
    sourceSnapshot: 'S2',
    sr: 'sr',
    kind: 'delta',
    takenAtMs: 1,
    disks: [
      {
        device: '0',
        oldVdi: 'r0',
        oldContentId: null,
        newVdi: 'n0',
        newContentId: null,
        sourceVdi: 'S2.0',
        sizeBytes: 1,
        bootable: true,
        digest: 'd',
      },
    ],
    removed: [],
  };
  const announced = (change: (pool: SmallWorld) => SmallWorld): unknown =>
    replica(change(replicated().config('R', encode.swap(record)).disk('n0'))).announced;

  test.each<[string, (pool: SmallWorld) => SmallWorld, object | null]>([
    ['waiting', (pool) => pool, { contentId: 'content of n0', usedBy: [] }],
    ['attached already', (pool) => pool.attach('n0', 'R', '0'), { contentId: 'content of n0', usedBy: [] }],
    ['gone', (pool) => pool.destroyDisk('n0'), null],
    ['written to', (pool) => pool.config('n0', { content_id: 'new' }), { contentId: 'new', usedBy: [] }],
    [
      'attached to somebody’s VM',
      (pool) => pool.vm('theirs').attach('n0', 'theirs', '0'),
      { contentId: 'content of n0', usedBy: [{ ref: ref('theirs'), uuid: 'theirs', name: 'theirs' }] },
    ],
    [
      'attached to a control domain, which transfers',
      (pool) => pool.vm('dom0', { fields: { is_control_domain: true } }).attach('n0', 'dom0', '0'),
      { contentId: 'content of n0', usedBy: [] },
    ],
  ])('its new disk is %s', (_, change, found) => {
    expect(announced(change)).toEqual([{ device: '0', uuid: 'n0', found }]);
  });

  test('that was copied or cannot be read announces nothing, but is seen', () => {
    const copied = replica(replicated().config('R', encode.swap({ ...record, self: 'R0' })));
    expect(copied).toMatchObject({ swap: { kind: 'copied' }, announced: [] });
    expect(replica(replicated().config('R', { 'xenrepl:swap': '{' }))).toMatchObject({
      swap: { kind: 'unreadable' },
    });
  });
});

describe('marks of Xen Orchestra at work', () => {
  test.each<[string, (pool: SmallWorld) => SmallWorld, string]>([
    [
      'the VM’s name',
      (pool) => pool.set('R', { name_label: '[Importing…] db1' }),
      'Xen Orchestra: VM named "[Importing…] db1"',
    ],
    [
      'why start is blocked',
      (pool) => pool.set('R', { blocked_operations: { start: 'Importing…' } }),
      'Xen Orchestra: start is blocked with "Importing"',
    ],
    [
      'the date of an unfinished copy',
      (pool) => pool.config('R', { 'xo:backup:datetime': '19700101T000000Z' }),
      'Xen Orchestra: xo:backup:datetime is the 1970 marker of an unfinished copy',
    ],
    [
      'a disk’s name',
      (pool) => pool.set('r1', { name_label: '[Importing] data' }),
      'Xen Orchestra: disk named "[Importing] data"',
    ],
    [
      'an import task',
      (pool) => pool.config('r1', { 'xo:import:task': 'x' }),
      'Xen Orchestra: disk "disk r1" is being imported',
    ],
  ])('%s', (_, change, expected) => {
    expect(replica(change(replicated())).foreignTransfer).toBe(expected);
  });

  test('a finished copy of it is none', () => {
    expect(
      replica(replicated().config('R', { 'xo:backup:datetime': '20260101T00:00:00Z' })).foreignTransfer,
    ).toBeNull();
  });
});

describe('leftovers', () => {
  test.each<[string, (pool: SmallWorld) => SmallWorld, readonly string[]]>([
    ['none', (pool) => pool, []],
    [
      'shell of a clone, disks not yet marked',
      (pool) => pool.clone('P1', 'shell', temporary('staging')),
      ['vm shell shell.0 shell.1'],
    ],
    [
      'shell with a marked disk: the disk is named once',
      (pool) => pool.clone('P1', 'shell', temporary('staging')).config('shell.0', staging('shell.0')),
      ['vm shell shell.0 shell.1'],
    ],
    ['staging disk, its shell gone', (pool) => pool.disk('n0').config('n0', staging('n0')), ['disk n0']],
    [
      'staging disk under upload',
      (pool) =>
        pool
          .disk('n0')
          .config('n0', staging('n0'))
          .vm('dom0', { fields: { is_control_domain: true } })
          .attach('n0', 'dom0', '0'),
      ['disk n0'],
    ],
    ['created, not yet marked', (pool) => pool.disk('n0', { name_label: temporary('staging') }), ['disk n0']],
    [
      'replica without its mark',
      (pool) => pool.vm('shell', { fields: { name_label: temporary('replica') } }),
      ['vm shell'],
    ],
    ['half a recovery point', (pool) => pool.snapshot('R', 'P2', temporary('point')), ['vm P2 P2.0 P2.1']],
    [
      'half a recovery point, renamed',
      (pool) => pool.snapshot('R', 'P2').config('P2', unfinished('P2')),
      ['vm P2 P2.0 P2.1'],
    ],
  ])('%s', (_, change, expected) => {
    expect(leftovers(change(replicated()))).toEqual(expected);
  });

  test.each<[string, (pool: SmallWorld) => SmallWorld]>([
    [
      'the replica, even under the name it was born with',
      (pool) => pool.set('R', { name_label: temporary('replica') }),
    ],
    [
      'a committed point, even under such a name',
      (pool) => pool.set('P1', { name_label: temporary('point') }),
    ],
    ['a user’s clone of the replica', (pool) => pool.clone('R', 'clone')],
    ['a user’s snapshot of the replica', (pool) => pool.snapshot('R', 'users')],
    [
      'a clone with a mark of unfinished work',
      (pool) => pool.clone('R', 'clone').config('clone', unfinished('clone')),
    ],
    ['a drill: clone of a recovery point', (pool) => pool.clone('P1', 'drill')],
    [
      'work of another job',
      (pool) => pool.vm('shell', { fields: { name_label: temporary('staging', { job: 'silver' }) } }),
    ],
    [
      'work for another target of this job',
      (pool) => pool.vm('shell', { fields: { name_label: temporary('staging', { sr: 'sr-2' }) } }),
    ],
    [
      'a disk staged on another target of this job',
      (pool) => pool.disk('n0', { SR: ref('sr-2') }).config('n0', staging('n0')),
    ],
    [
      'work for another VM',
      (pool) => pool.vm('shell', { fields: { name_label: temporary('staging', { sourceVm: 'vm2' }) } }),
    ],
    [
      'a source snapshot (within one pool it is the source’s)',
      (pool) => pool.vm('snap', { fields: { name_label: temporary('snapshot') } }),
    ],
    [
      'half a point for another SR',
      (pool) => pool.snapshot('R', 'P2').config('P2', unfinished('P2', { sr: 'sr-2' })),
    ],
    [
      'a disk staged by another job',
      (pool) => pool.disk('n0').config('n0', staging('n0', { job: 'silver' })),
    ],
    [
      'a disk staged for another VM',
      (pool) => pool.disk('n0').config('n0', staging('n0', { sourceVm: 'vm2' })),
    ],
    ['somebody’s copy of a staging disk', (pool) => pool.disk('copy').config('copy', staging('n0'))],
    [
      'somebody’s copy of one that was just created',
      (pool) => pool.disk('copy', { name_label: temporary('staging') }).config('copy', staging('n0')),
    ],
    ['a disk under the name of a VM’s role', (pool) => pool.disk('x', { name_label: temporary('point') })],
    [
      'a staging disk that somebody attached to his VM',
      (pool) => pool.disk('n0').config('n0', staging('n0')).vm('theirs').attach('n0', 'theirs', '0'),
    ],
    [
      'a snapshot that somebody took of one',
      (pool) => pool.disk('n0', { is_a_snapshot: true }).config('n0', staging('n0')),
    ],
    ['a disk without a VM, not ours', (pool) => pool.disk('orphan')],
  ])('is none: %s', (_, change) => {
    expect(leftovers(change(replicated()))).toEqual([]);
  });

  test('take no disk with them that anybody else uses, and none that they share', () => {
    const pool = replicated()
      .clone('P1', 'shell', temporary('staging'))
      .vm('theirs')
      .attach('shell.1', 'theirs', '0');
    pool.attach('P1.0', 'shell', '5').disk('iso').attach('iso', 'shell', '6', { type: 'CD' });
    expect(leftovers(pool)).toEqual(['vm shell shell.0']);
  });

  test('take no snapshot with them that a clone shares, even where nobody else has it any more', () => {
    const pool = replicated().clone('P1', 'shell', temporary('staging')).attach('P1.0', 'shell', '5');
    expect(leftovers(pool.destroyVm('P1'))).toEqual(['vm shell shell.0 shell.1']);
  });

  test('count what they hold', () => {
    const pool = replicated()
      .clone('P1', 'shell', temporary('staging'))
      .disk('n0', { physical_utilisation: 7 });
    pool.config('n0', staging('n0'));
    expect(targetLeftovers(pool.world(), job, 'vm').map(({ reclaimableBytes }) => reclaimableBytes)).toEqual([
      20, 7,
    ]);
  });
});
