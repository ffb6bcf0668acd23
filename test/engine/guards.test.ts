/** What changes on the pools between looking and doing, or between two runs: never taken for what it was. */
import { systemClock } from '../../lib/engine';
import type { RunContext, RunEvent } from '../../lib/engine';
import type { Ref } from '../../lib/xapi';
import { compareNewest, disksOf, leftovers } from './inspect';
import { guestWrites, Site } from './site';

const mib = 1024 ** 2;

let site: Site;

beforeEach(async () => {
  site = await Site.start();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 4 * mib, fill: 1 }]);
});

afterEach(async () => {
  await site[Symbol.asyncDispose]();
});

/** Does something behind the run's back at the first event of this kind. */
function atFirst(
  wanted: (event: RunEvent) => boolean,
  change: () => Promise<void>,
): { readonly context: Partial<RunContext>; readonly done: () => Promise<void> } {
  let changed: Promise<void> | null = null;
  const emit = (event: RunEvent): void => {
    if (changed === null && wanted(event)) changed = change();
  };
  return { context: { emit }, done: () => changed ?? Promise.reject(new Error('it never came to that')) };
}

test('a disk added between plan and snapshot: the snapshot is thrown away, and the run plans again', async () => {
  const job = await site.job();
  const source = await site.connect('source');
  const [vm] = await source.call('VM.get_by_name_label', ['db1']);
  const [sr] = await source.call('SR.get_by_name_label', ['source-sr']);
  if (vm === undefined || sr === undefined) throw new Error('the source has no such VM or SR');
  // Long enough for the few calls that add a disk.
  await site.source.control.addFault({
    match: { method: 'VM.snapshot' },
    effect: { kind: 'delay', ms: 1000 },
  });
  const adding = atFirst(
    (event) => event.kind === 'step-started' && event.step === 'snapshot-source',
    () => addDisk(source, vm, sr),
  );
  const { report, events } = await site.run(job, adding);
  await adding.done();
  expect(events).toContainEqual(
    expect.objectContaining({
      kind: 'warning',
      text: expect.stringMatching(
        /planning again: The disks of VM "db1" .* disk 2, which was not there/,
      ) as unknown,
    }),
  );
  expect(report.vms[0]?.disks.map(({ device }) => device)).toEqual(['0', '1', '2']);
  for (const { source: from, target } of await compareNewest(site, report)) expect(target).toBe(from);
  expect(await leftovers(site)).toEqual([]);
});

test('a recovery point that somebody wrote to is no base, whatever the job says of divergence', async () => {
  const job = await site.job({ onDivergence: 'overwrite' });
  const { report } = await site.run(job);
  const [outcome] = report.vms.map((vm) => vm.outcome);
  if (outcome?.kind !== 'replicated') throw new Error(JSON.stringify(outcome));
  const disk = (await disksOf(site, 'target', outcome.point.uuid)).get('0') ?? '';
  await site.target.control.writeDisk(disk, 0, Buffer.alloc(512, 9));

  const { report: second } = await site.run(job);
  expect(second.vms[0]?.outcome).toMatchObject({
    kind: 'blocked',
    error: { message: expect.stringContaining('was written to since it was committed') as unknown },
  });
  const { report: full } = await site.run({ ...job, onMissingBase: 'full' });
  expect(full.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'full' });
  for (const { source, target } of await compareNewest(site, full)) expect(target).toBe(source);
});

test('a replica disk without a content id gets one when it is looked at: writing to it during a run is seen', async () => {
  const job = await site.job();
  const { report } = await site.run(job);
  const [outcome] = report.vms.map((vm) => vm.outcome);
  if (outcome?.kind !== 'replicated') throw new Error(JSON.stringify(outcome));
  const disk = (await disksOf(site, 'target', outcome.replica.uuid)).get('0') ?? '';
  const target = await site.connect('target');
  const ref = await target.call('VDI.get_by_uuid', [disk]);
  await target.call('VDI.remove_from_other_config', [ref, 'content_id']);

  const writing = atFirst(
    (event) => event.kind === 'step-started' && event.step === 'snapshot-source',
    () => site.target.control.writeDisk(disk, 0, Buffer.alloc(512, 9)),
  );
  const { report: second } = await site.run(job, writing);
  await writing.done();
  expect(second.vms[0]?.outcome).toMatchObject({
    kind: 'blocked',
    error: { message: expect.stringContaining('was written to since its newest recovery point') as unknown },
  });
  // What they wrote is still there.
  expect([...(await site.target.control.readDisk(disk, 0, 2))]).toEqual([9, 9]);
});

test('a repair keeps the length of the chain that Xen Orchestra reads', async () => {
  const job = await site.job();
  expect((await site.run(job)).report.ok).toBe(true);
  // The first marks the snapshot as unfinished, the second commits it.
  await site.source.control.addFault({
    match: { method: 'VM.set_other_config' },
    skip: 1,
    effect: { kind: 'error', code: 'INTERNAL_ERROR', params: ['out of order'] },
  });
  // A failure that may pass is waited for: not in a test.
  const clock = { ...systemClock, sleep: (_: number, signal: AbortSignal) => systemClock.sleep(20, signal) };
  const { report, events } = await site.run(job, { context: { clock } });
  expect(report.ok).toBe(true);
  const plans = events.flatMap((event) => (event.kind === 'planned' ? [event.plan.kind] : []));
  expect(plans).toEqual(['replicate', 'repair', 'replicate']);
  expect(await chainLengths(site)).toEqual(['2']);
});

async function chainLengths(of: Site): Promise<readonly string[]> {
  const source = await of.connect('source');
  const records = Object.values(await source.call('VM.get_all_records', []));
  return records
    .filter((vm) => vm.is_a_snapshot)
    .map((vm) => vm.other_config['xo:backup:deltaChainLength'] ?? 'none');
}

async function addDisk(
  source: Awaited<ReturnType<Site['connect']>>,
  vm: Ref<'VM'>,
  sr: Ref<'SR'>,
): Promise<void> {
  const vdi = await source.callTask('VDI.create', [
    {
      name_label: 'late',
      name_description: '',
      SR: sr,
      virtual_size: 4 * mib,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
      xenstore_data: {},
      sm_config: {},
      tags: [],
    },
  ]);
  await source.call('VBD.create', [
    {
      VM: vm,
      VDI: vdi,
      userdevice: '2',
      bootable: false,
      mode: 'RW',
      type: 'Disk',
      unpluggable: true,
      empty: false,
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
    },
  ]);
}
