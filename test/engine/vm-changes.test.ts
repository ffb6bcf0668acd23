/** What becomes of a protected VM that people change: each row of docs/vm-changes.md, played on simulated pools. */
import { ChangedVm, copiesOf, outcomeOf } from './changed-vm';
import { compareNewest, disksOf, leftovers } from './inspect';
import type { RunOutcome } from './site';

const mib = 1024 ** 2;

interface Change {
  readonly what: string;
  readonly change: (vm: ChangedVm) => Promise<unknown>;
  /** What the next run of a job with `on_missing_base = "fail"` copies, or why it refuses. */
  readonly then: string | RegExp;
  /** Where that refuses: what a run with `on_missing_base = "full"` copies. */
  readonly full?: string | RegExp;
  /** Among the notes of the report. */
  readonly note?: RegExp;
  /** Positions of the disks of the replica afterwards. Default: 0 and 1. */
  readonly replica?: readonly string[];
}

const both = '0 delta, 1 delta';

const changes: readonly Change[] = [
  { what: 'nothing', change: () => Promise.resolve(), then: both },
  {
    what: 'a disk was added',
    change: (vm) => vm.add('5', 'logs'),
    then: '0 delta, 1 delta, 5 full',
    note: /disk 5 is copied in full: the disk was added/,
    replica: ['0', '1', '5'],
  },
  {
    what: 'a disk was removed',
    change: (vm) => vm.detach('1'),
    then: '0 delta',
    note: /disk 1 was removed from the VM: the replica keeps it in older recovery points only/,
    replica: ['0'],
  },
  {
    what: 'a disk has grown',
    change: async (vm) => {
      await vm.admin.call('VDI.resize', await vm.diskRef('1'), 16 * mib);
      await vm.write('1', 7, 0x44);
    },
    then: both,
  },
  {
    what: 'a disk was replaced by another',
    change: async (vm) => {
      await vm.detach('1');
      await vm.add('1', 'data, new');
    },
    then: /no delta is possible: disk 1: the disk was replaced by another/,
    full: '0 delta, 1 full',
    note: /disk 1 is copied in full: the disk was replaced/,
  },
  {
    what: 'a disk was moved to another SR',
    change: (vm) => vm.move('1', 'source-nas'),
    then: /no delta is possible: disk 1: the disk was replaced by another/,
    full: '0 delta, 1 full',
  },
  {
    what: 'a disk was added that its name excludes',
    change: (vm) => vm.add('5', 'swap [NOBAK]'),
    then: both,
    note: /disk 5 "swap \[NOBAK\]" .* is left out, as its name wants it/,
  },
  {
    what: 'a disk got a name that excludes it',
    change: async (vm) => vm.admin.call('VDI.set_name_label', await vm.diskRef('1'), 'data [NOREPL]'),
    then: '0 delta',
    note: /disk 1 "data \[NOREPL\]" .* is left out, as its name wants it/,
    replica: ['0'],
  },
  {
    what: 'a disk is taken in again that was excluded for a run',
    change: async (vm) => {
      await vm.admin.call('VDI.set_name_label', await vm.diskRef('1'), 'data [NOREPL]');
      await vm.replicate();
      await vm.admin.call('VDI.set_name_label', await vm.diskRef('1'), 'data');
    },
    then: '0 delta, 1 full',
    note: /disk 1 is copied in full: the disk was added/,
  },
  {
    what: 'a raw disk was added',
    change: (vm) => vm.addRaw('5', 'raw'),
    then: /only VHD disks have a delta export, these are raw or of another format: "raw"/,
    full: /only VHD disks have a delta export, these are raw or of another format: "raw"/,
  },
  {
    what: 'a raw disk was added that its name excludes',
    change: (vm) => vm.addRaw('5', 'raw [NOREPL]'),
    then: both,
  },
  {
    what: 'all disks were removed',
    change: async (vm) => {
      await vm.detach('0');
      await vm.detach('1');
    },
    then: /has no disk to replicate/,
    full: /has no disk to replicate/,
  },
  { what: 'an empty CD drive was added', change: (vm) => vm.attach('3', 'OpaqueRef:NULL', 'CD'), then: both },
  {
    what: 'the VM was renamed',
    change: (vm) => vm.admin.call('VM.set_name_label', vm.vm, 'db1, the old one'),
    then: both,
  },
  { what: 'the VM was started', change: (vm) => vm.admin.call('VM.start', vm.vm, false, false), then: both },
  {
    what: 'the VM was started and moved to another host',
    change: async (vm) => {
      await vm.admin.call('VM.start', vm.vm, false, false);
      const here = await vm.admin.text('VM.get_resident_on', vm.vm);
      const hosts = (await vm.admin.call('host.get_all')) as readonly string[];
      await vm.admin.call('VM.hard_shutdown', vm.vm);
      await vm.admin.call('VM.start_on', vm.vm, hosts.find((host) => host !== here) ?? '', false, false);
    },
    then: both,
  },
  {
    what: 'the VM was set back to an older snapshot of its owner’s',
    change: async (vm) => {
      const older = await vm.admin.text('VM.snapshot', vm.vm, 'before the upgrade');
      await vm.write('0', 2, 0x55);
      await vm.replicate();
      await vm.write('0', 3, 0x66);
      await vm.admin.call('VM.revert', older);
    },
    then: both,
  },
  {
    what: 'the VM was set back to the snapshot of the last run',
    change: async (vm) => {
      const { report } = await vm.replicate();
      const [done] = report.vms;
      await vm.write('1', 3, 0x66);
      if (done?.outcome.kind !== 'replicated') return;
      await vm.admin.call('VM.revert', done.outcome.sourceSnapshot.ref);
    },
    then: both,
  },
  {
    what: 'the replica was deleted',
    change: (vm) => deleteReplica(vm),
    then: /no delta is possible: the replica of earlier copies .* is not on the target pool any more/,
    full: '0 full, 1 full',
    note: /disk 0 is copied in full: the replica of earlier copies/,
  },
];

test.each(changes)('$what', async ({ change, then, full, note, replica }) => {
  await using vm = await ChangedVm.start();
  await vm.replicate();
  const before = await leftovers(vm.site);
  await change(vm);
  if (!(then instanceof RegExp)) await vm.write('0', 3, 0x77);
  const first = await vm.site.run(vm.job);
  const run = full === undefined ? first : await vm.site.run({ ...vm.job, onMissingBase: 'full' });
  if (then instanceof RegExp) expectRefusal(first, then);
  const last = full ?? then;
  if (last instanceof RegExp) expectRefusal(run, last);
  else {
    expect(copiesOf(run)).toBe(last);
    const [report] = run.report.vms;
    if (note !== undefined) expect(report?.notes.join('\n')).toMatch(note);
    const outcome = outcomeOf(run);
    if (outcome.kind !== 'replicated') throw new Error('not replicated');
    for (const { source, target } of await compareNewest(vm.site, run.report)) expect(target).toBe(source);
    const disks = await disksOf(vm.site, 'target', outcome.replica.uuid);
    expect([...disks.keys()].sort()).toEqual(replica ?? report?.disks.map(({ device }) => device).sort());
    expect((await disksOf(vm.site, 'source', outcome.sourceSnapshot.uuid)).size).toBe(disks.size);
  }
  expect(await leftovers(vm.site)).toEqual(before);
});

test('a virtual TPM is carried along', async () => {
  await using vm = await ChangedVm.start();
  await vm.admin.call('VM.set_HVM_boot_params', vm.vm, { firmware: 'uefi' });
  const tpm = await vm.admin.text('VTPM.create', vm.vm, false);
  await vm.admin.call('VTPM.set_contents', tpm, 'c2VjcmV0');
  const run = await vm.replicate();
  const outcome = outcomeOf(run);
  if (outcome.kind !== 'replicated') throw new Error('not replicated');
  const target = await vm.site.connect('target');
  const ref = await target.call('VM.get_by_uuid', [outcome.replica.uuid]);
  const [copy] = (await target.call('VM.get_record', [ref])).VTPMs ?? [];
  expect(copy === undefined ? null : await target.call('VTPM.get_contents', [copy])).toBe('c2VjcmV0');
});

test('a renamed VM keeps its replica, which takes the name', async () => {
  await using vm = await ChangedVm.start();
  const before = outcomeOf(await vm.replicate());
  await vm.admin.call('VM.set_name_label', vm.vm, 'db-old');
  const after = outcomeOf(await vm.replicate());
  if (before.kind !== 'replicated' || after.kind !== 'replicated') throw new Error('not replicated');
  expect(after.replica.uuid).toBe(before.replica.uuid);
  expect(await vm.site.target.control.vmUuid('db-old')).toBe(before.replica.uuid);
});

describe('what a job selects', () => {
  test('a VM that gets the tag is copied by the next run; one that loses it keeps its replica, and is told of', async () => {
    await using vm = await ChangedVm.start();
    const done = outcomeOf(await vm.replicate());
    const web = await vm.admin.ref('VM', await vm.site.source.control.vmUuid('web1'));
    await vm.admin.call('VM.add_tags', web, 'protect');
    await vm.admin.call('VM.remove_tags', vm.vm, 'protect');

    const { report } = await vm.replicate();
    expect(report.vms.map(({ vm: { name }, outcome }) => [name, outcome.kind])).toEqual([
      ['web1', 'replicated'],
    ]);
    if (done.kind !== 'replicated') throw new Error('not replicated');
    expect(report.warnings).toEqual([
      expect.stringMatching(
        `^the job does not select VM .* any more: its replica "db1" \\(${done.replica.uuid}\\) stays`,
      ),
    ]);

    await vm.admin.call('VM.add_tags', vm.vm, 'protect');
    const again = await vm.replicate();
    expect(again.report.warnings).toEqual([]);
    expect(again.report.vms.flatMap(({ disks }) => disks.map(({ copyKind }) => copyKind))).toEqual([
      'delta',
      'delta',
      'delta',
    ]);
  });

  test('tags that select nothing are no failure, and no silence', async () => {
    await using vm = await ChangedVm.start();
    const { report } = await vm.replicate({ selection: { uuids: [], tags: ['protcet'] } });
    expect(report).toMatchObject({
      ok: true,
      vms: [],
      warnings: [
        'the job selects no VM at present: nothing is replicated',
        'no VM of the source pool bears tag "protcet"',
      ],
    });
  });
});

describe('a pool that is away', () => {
  test('the source, for a week: the base is still there, and a delta goes on', async () => {
    await using vm = await ChangedVm.start();
    await vm.replicate();
    const { control, hosts } = vm.site.source;
    for (const { name } of hosts) await control.setHostOffline(name);
    await vm.site.target.control.advanceClock(7 * 86_400_000);
    for (const { name } of hosts) await control.setHostOffline(name, false);
    await control.advanceClock(7 * 86_400_000);
    await vm.write('1', 2, 0x99);
    const run = await vm.replicate();
    expect(copiesOf(run)).toBe(both);
    for (const { source, target } of await compareNewest(vm.site, run.report)) expect(target).toBe(source);
    expect(await leftovers(vm.site)).toEqual([]);
  });

  test('one target, while another job of the same VM runs: retention keeps the base of each', async () => {
    await using vm = await ChangedVm.start();
    const srUuid = await secondSr(vm);
    const other = { jobId: 'another-job', name: 'other', target: { ...vm.job.target, srUuid } };
    await vm.replicate();
    for (let day = 1; day <= 5; day += 1) {
      await vm.write('0', 2, day);
      const { report } = await vm.replicate(other);
      expect(report.vms[0]?.outcome).toMatchObject({ copyKind: day === 1 ? 'full' : 'delta' });
    }
    const run = await vm.replicate();
    expect(copiesOf(run)).toBe(both);
    for (const { source, target } of await compareNewest(vm.site, run.report)) expect(target).toBe(source);
    expect(await leftovers(vm.site)).toEqual([]);
  });
});

function expectRefusal(run: RunOutcome, because: RegExp): void {
  const outcome = outcomeOf(run);
  expect(outcome.kind).toBe('blocked');
  expect(outcome.kind === 'replicated' ? '' : outcome.error.message).toMatch(because);
  expect(copiesOf(run)).toBe('');
}

async function secondSr(vm: ChangedVm): Promise<string> {
  const target = await vm.site.connect('target');
  const [ref] = await target.call('SR.get_by_name_label', ['second-sr']);
  return ref === undefined ? '' : target.call('SR.get_uuid', [ref]);
}

/** With everything, as a person does who wants the space back. */
async function deleteReplica({ site }: ChangedVm): Promise<void> {
  const target = await site.connect('target');
  for (const [ref, vm] of Object.entries(await target.call('VM.get_all_records', []))) {
    if (vm.is_control_domain || !vm.tags.includes('Continuous Replication')) continue;
    for (const vbd of vm.VBDs) {
      const { VDI: vdi } = await target.call('VBD.get_record', [vbd]);
      await target.callTask('VDI.destroy', [vdi]);
    }
    await target.call('VM.destroy', [ref as never]);
  }
}
