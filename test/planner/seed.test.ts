import { planSeed } from '../../lib/planner/seed';
import type { SeedDisk, SeedJob, SeedObservation, SeedSnapshot, SeedTarget } from '../../lib/planner/seed';
import { describeSeedConflict } from '../../lib/planner/seed-describe';
import type { SourceCommit } from '../../lib/planner/keys';
import { id } from './language';

const gib = 1024 ** 3;

const job: SeedJob = {
  jobId: 'gold',
  scheduleId: 'hourly',
  name: 'Gold',
  srUuid: 'sr',
  selection: { uuids: ['VM'], tags: [] },
};

function disk(device: string, name: string, changes: Partial<SeedDisk> = {}): SeedDisk {
  return {
    device,
    vdi: id(name),
    sizeBytes: gib,
    bootable: device === '0',
    isSnapshot: false,
    snapshotOf: null,
    contentId: null,
    contentKey: null,
    sr: id('sr'),
    raw: false,
    tracking: 'off',
    allocatedBytes: gib,
    chain: [],
    readOnly: false,
    usedBy: [],
    transferring: false,
    ...changes,
  };
}

const snapshotDisk = (device: string, changes: Partial<SeedDisk> = {}): SeedDisk =>
  disk(device, `S.${device}`, { isSnapshot: true, readOnly: true, sr: id('sr-source'), ...changes });

const snapshot: SeedSnapshot = {
  id: id('S'),
  isSnapshot: true,
  of: id('vm'),
  ofTags: [],
  takenAtMs: 1000,
  disks: [snapshotDisk('0'), snapshotDisk('1')],
  commit: { kind: 'absent' },
  commitStands: false,
  runMark: { kind: 'absent' },
  otherCommits: [],
  foreignJob: null,
};

const target: SeedTarget = {
  id: id('T'),
  is: 'vm',
  powerState: 'Halted',
  startedAtMs: null,
  operations: [],
  disks: [disk('0', 'T.0'), disk('1', 'T.1')],
  mark: { kind: 'absent' },
  committedFor: [],
  pending: null,
  foreignJob: null,
  foreignTransfer: null,
  importing: false,
};

interface Changes {
  readonly snapshot?: Partial<SeedSnapshot> | null;
  readonly target?: Partial<SeedTarget> | null;
  readonly pool?: Partial<SeedObservation['target']>;
  readonly missingPermissions?: readonly string[];
}

function observed(changes: Changes = {}): SeedObservation {
  return {
    source: {
      poolName: 'berlin',
      wanted: 'S',
      snapshot: changes.snapshot === null ? null : { ...snapshot, ...changes.snapshot },
    },
    target: {
      poolName: 'paris',
      wanted: 'T',
      vm: changes.target === null ? null : { ...target, ...changes.target },
      sr: id('sr'),
      rawDisks: false,
      replicas: [],
      ...changes.pool,
    },
    missingPermissions: changes.missingPermissions ?? [],
  };
}

const commit: SourceCommit = {
  v: 1,
  self: 'S',
  job: 'gold',
  run: 'run',
  sr: 'sr',
  point: 'P',
  replica: 'R',
  committedAtMs: 1,
  disks: [],
};

const replicaOf = (jobId: string, sourceVm: string): SeedTarget['mark'] => ({
  kind: 'own',
  record: { v: 1, self: 'T', job: jobId, sourceVm, sr: 'sr' },
});

test('disks are paired by device position', () => {
  expect(planSeed(job, observed())).toMatchObject({
    kind: 'attach',
    vm: { uuid: 'vm' },
    sr: { uuid: 'sr' },
    pairs: [
      { device: '0', source: { vdi: { uuid: 'S.0' } }, target: { vdi: { uuid: 'T.0' } } },
      { device: '1', source: { vdi: { uuid: 'S.1' } }, target: { vdi: { uuid: 'T.1' } } },
    ],
  });
});

/** Each with a word that its message must hold: the object, or what is wrong with it. */
const refusals: readonly (readonly [string, Changes, readonly string[], string])[] = [
  ['permission', { missingPermissions: ['vm.snapshot'] }, ['permission'], 'vm.snapshot'],
  ['the snapshot is gone', { snapshot: null }, ['snapshot-missing'], '"berlin" has no snapshot S'],
  ['the target VM is gone', { target: null }, ['target-missing'], '"paris" has no VM T'],
  ['both are gone', { snapshot: null, target: null }, ['snapshot-missing', 'target-missing'], ''],
  ['no snapshot', { snapshot: { isSnapshot: false } }, ['not-a-snapshot'], '"S" (S)'],
  ['its VM is gone', { snapshot: { of: null } }, ['snapshot-orphaned'], '"S" (S)'],
  [
    'snapshot of a VM that the job does not protect',
    { snapshot: { of: id('other') } },
    ['vm-not-in-job'],
    '"other"',
  ],
  [
    'snapshot of a run that did not end',
    {
      snapshot: { runMark: { kind: 'own', record: { v: 1, self: 'S', job: 'gold', run: 'dead', sr: 'sr' } } },
    },
    ['snapshot-unfinished'],
    'run dead',
  ],
  [
    'snapshot attached already',
    { snapshot: { commit: { kind: 'own', record: commit }, commitStands: true } },
    ['snapshot-attached'],
    'replica R',
  ],
  [
    'snapshot is the base of another job',
    { snapshot: { otherCommits: ['xenrepl:commit:silver:sr'] } },
    ['snapshot-of-other-job'],
    'silver',
  ],
  [
    "snapshot is the base of another tool's job",
    { snapshot: { foreignJob: 'bronze' } },
    ['snapshot-of-other-job'],
    'bronze',
  ],
  [
    'snapshot without disks',
    { snapshot: { disks: [] } },
    ['no-disks', 'disk-unpaired', 'disk-unpaired'],
    '"S" (S)',
  ],
  [
    'raw disk on the source',
    { snapshot: { disks: [snapshotDisk('0', { raw: true }), snapshotDisk('1')] } },
    ['raw-disk'],
    '"S.0" (S.0)',
  ],
  ['raw disks on the target SR', { pool: { rawDisks: true } }, ['raw-disk'], '"sr" (sr)'],
  ['target is a snapshot', { target: { is: 'snapshot' } }, ['target-not-a-vm'], 'is a snapshot'],
  ['target is a template', { target: { is: 'template' } }, ['target-not-a-vm'], 'is a template'],
  [
    'target is the source VM',
    { snapshot: { of: id('T') }, target: {} },
    ['vm-not-in-job', 'target-is-source'],
    '"T"',
  ],
  ['target runs', { target: { powerState: 'Running' } }, ['target-not-halted'], 'is Running'],
  ['target is suspended', { target: { powerState: 'Suspended' } }, ['target-not-halted'], 'is Suspended'],
  ['target was started', { target: { startedAtMs: 1000 } }, ['target-started'], '1970-01-01T00:00:01.000Z'],
  ['target is busy', { target: { operations: ['clone'] } }, ['target-busy'], 'clone'],
  [
    'target is still written to',
    { target: { disks: [disk('0', 'T.0', { transferring: true }), disk('1', 'T.1')] } },
    ['target-busy'],
    'a transfer of disk "T.0"',
  ],
  ['its import did not end', { target: { importing: true } }, ['target-importing'], '"T" (T)'],
  [
    'another program writes to it',
    { target: { foreignTransfer: 'Xen Orchestra: VM named "[Importing…] x"' } },
    ['foreign-transfer'],
    '[Importing…]',
  ],
  ['attached twice', { target: { mark: replicaOf('gold', 'vm') } }, ['attached-already'], 'job "Gold"'],
  [
    'attached to another job',
    { target: { mark: replicaOf('silver', 'vm') } },
    ['attached-elsewhere'],
    'job silver',
  ],
  [
    'replica of another VM',
    { target: { mark: replicaOf('gold', 'other') } },
    ['attached-elsewhere'],
    'VM other',
  ],
  [
    'half attached to another job',
    { target: { committedFor: ['silver'] } },
    ['attached-elsewhere'],
    'job silver',
  ],
  ['replica of Xen Orchestra', { target: { foreignJob: 'bronze' } }, ['attached-elsewhere'], 'bronze'],
  ['the job has a replica', { pool: { replicas: [id('R')] } }, ['replica-exists'], '"R" (R)'],
  ['the SR is gone', { pool: { sr: null } }, ['sr-missing'], 'no SR sr'],
  [
    'target lacks a disk',
    { target: { disks: [disk('0', 'T.0')] } },
    ['disk-unpaired'],
    'snapshot\'s disk 1, "S.1" (S.1)',
  ],
  [
    'target has a disk more',
    { target: { disks: [...target.disks, disk('2', 'T.2')] } },
    ['disk-unpaired'],
    'target VM\'s disk 2, "T.2" (T.2)',
  ],
  [
    'sizes differ',
    { target: { disks: [disk('0', 'T.0'), disk('1', 'T.1', { sizeBytes: 2 * gib })] } },
    ['disk-size'],
    `disk 1 has ${String(gib)} bytes on the source and ${String(2 * gib)}`,
  ],
  [
    'snapshot shares a disk of the VM',
    { snapshot: { disks: [snapshotDisk('0'), snapshotDisk('1', { isSnapshot: false })] } },
    ['disk-read-only'],
    'on the source',
  ],
  [
    'target disk is attached read-only',
    { target: { disks: [disk('0', 'T.0'), disk('1', 'T.1', { readOnly: true })] } },
    ['disk-read-only'],
    'on the target',
  ],
  [
    'another VM uses a target disk',
    { target: { disks: [disk('0', 'T.0'), disk('1', 'T.1', { usedBy: [id('other')] })] } },
    ['disk-shared'],
    '"other" (other)',
  ],
  [
    'target disk is on another SR',
    { target: { disks: [disk('0', 'T.0'), disk('1', 'T.1', { sr: id('nas') })] } },
    ['disk-on-other-sr'],
    'on SR "nas" (nas), must be on "sr" (sr)',
  ],
];

describe('what stands in the way is named, with what to do about it', () => {
  test.each(refusals)('%s', (_, changes, kinds, said) => {
    const plan = planSeed(job, observed(changes));
    if (plan.kind !== 'blocked') throw new Error('it was not refused');
    expect(plan.conflicts.map(({ kind }) => kind)).toEqual(kinds);
    const described = plan.conflicts.map(describeSeedConflict);
    expect(described.map(({ message }) => message).join('; ')).toContain(said);
    for (const { hint } of described) expect(hint).not.toBe('');
  });
});

describe('what is no reason to refuse', () => {
  test.each<readonly [string, SeedJob, Changes]>([
    [
      'a mark that came along with an archive',
      job,
      {
        target: {
          mark: { kind: 'copied', record: { v: 1, self: 'R', job: 'silver', sourceVm: 'vm', sr: 'sr' } },
        },
      },
    ],
    [
      'keys that Xen Orchestra wrote for the same job',
      job,
      { snapshot: { foreignJob: 'gold' }, target: { foreignJob: 'gold' } },
    ],
    ['an earlier try that died half way', job, { target: { committedFor: ['gold'] } }],
    [
      'a commit whose recovery point is gone',
      job,
      { snapshot: { commit: { kind: 'own', record: commit }, commitStands: false } },
    ],
    [
      'a VM that the job knows by its tag',
      { ...job, selection: { uuids: [], tags: ['gold'] } },
      { snapshot: { ofTags: ['gold'] } },
    ],
    ['a job whose definition nobody knows', { ...job, name: null, srUuid: null, selection: null }, {}],
    ['an SR that is spelled in capitals', { ...job, srUuid: 'SR' }, {}],
  ])('%s', (_, ofJob, changes) => {
    expect(planSeed(ofJob, observed(changes)).kind).toBe('attach');
  });

  test('without a definition and without disks there is no SR either', () => {
    const nameless: SeedJob = { ...job, srUuid: null };
    expect(planSeed(nameless, observed({ target: { disks: [] }, pool: { sr: null } }))).toMatchObject({
      conflicts: [
        { kind: 'no-disks', vm: { uuid: 'T' } },
        { kind: 'disk-unpaired' },
        { kind: 'disk-unpaired' },
      ],
    });
  });
});
