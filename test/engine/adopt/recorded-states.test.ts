/**
 * Every state that Xen Orchestra's real engine was seen to leave, rebuilt in the simulator, and what a job with its ids
 * does about it. Some of them are wrong copies which that engine reported as successes.
 */
import { keepLatest } from '../../../lib/planner/job';
import type { JobDefinition } from '../../../lib/planner/job';
import { compareNewest, leftovers } from '../inspect';
import type { RunOutcome, Site } from '../site';
import { SkippingClock } from '../skipping-clock';
import { load } from './load';
import type { Loaded } from './load';
import { recorded, recordedNames, xoJob, xoSchedule } from './recorded';
import { nextRunOfXo } from './xo-rules';
import type { NextRun, Records } from './xo-rules';

const mib = 1024 ** 2;

/** `delta`: its chain is taken over and gone on with in place. Else why not, or that nothing of it is there. */
const decisions: Readonly<Record<string, RegExp | 'delta' | 'full'>> = {
  'after-full': 'delta',
  'after-delta-1': 'delta',
  'after-delta-2': 'delta',
  'after-delta-3-empty': 'delta',
  'after-seed-then-run': 'delta',
  'after-seed-with-disk-keys-then-run': 'delta',
  'after-variant-c': 'delta',
  'after-variant-c-then-run': 'delta',
  'after-variant-c2-then-run': 'delta',
  'after-xva-import': 'full',
  'after-xo-cr-seed': /has no recovery point: the keys stand on the VM itself/,
  'interrupted-first-full': /another program is writing to replica .*\[Importing…\]/,
  'interrupted-first-full-then-run': /another program is writing to replica .*\[Importing…\]/,
  'interrupted-first-full-then-two-runs':
    /its content is not that of its source snapshot: disk 0 differs in 3 of/,
  'interrupted-cut-first-full': 'full',
  'interrupted-cut-first-full-then-run': 'delta',
  'interrupted-cut-delta': /another program is writing to replica .*Importing/,
  'interrupted-cut-delta-then-run': /another program is writing to replica .*Importing/,
  'interrupted-cut-delta-retention-1': /another program is writing to replica .*Importing/,
  'interrupted-cut-delta-retention-1-then-run': /another program is writing to replica .*Importing/,
  'interrupted-killed-delta': /another program is writing to replica .*Importing/,
  'interrupted-killed-delta-then-run': /another program is writing to replica .*Importing/,
};

/** The same states once somebody has deleted the half-written VM, as the refusal says. */
const withoutHalfWritten: Readonly<Record<string, RegExp | 'delta' | 'full'>> = {
  'interrupted-first-full': 'full',
  'interrupted-first-full-then-run': /its content is not that of its source snapshot: disk 0 differs in 3 of/,
  'interrupted-cut-delta': 'full',
  'interrupted-cut-delta-then-run': /its content is not that of its source snapshot: disk 0 differs in 2 of/,
  'interrupted-killed-delta-then-run': 'delta',
};

test('every recorded state has a decision', () => {
  expect(Object.keys(decisions).sort()).toEqual(recordedNames);
});

describe.each(Object.entries(decisions))('%s', (name, decision) => {
  test(`the next run of our job: ${titleOf(decision)}`, async () => {
    await using loaded = await load(recorded(name));
    await expectDecision(loaded, decision);
  });
});

describe.each(Object.entries(withoutHalfWritten))('%s, its half-written VM deleted', (name, decision) => {
  test(`the next run of our job: ${titleOf(decision)}`, async () => {
    await using loaded = await load(recorded(name));
    await deleteHalfWritten(loaded.site);
    await expectDecision(loaded, decision);
  });
});

test('comparing a chain reads the source no faster than the job may', async () => {
  await using loaded = await load(recorded('after-delta-1'));
  const { site, vm } = loaded;
  const job = await jobOfXo(site, vm);
  const clock = new SkippingClock();
  const limits = { ...job.limits, bytesPerSecond: 4 * mib };
  const { report } = await site.run({ ...job, limits }, { context: { clock } });
  expect(report.ok).toBe(true);
  // 20 blocks of 2 MiB on two disks.
  expect(clock.passedMs).toBeGreaterThan(9_000);
});

test('a chain that is refused is left as it is by a full beside it, where the job wants one', async () => {
  await using loaded = await load(recorded('interrupted-first-full-then-two-runs'));
  const { site, vm } = loaded;
  const before = await foreignObjects(site);
  const job = await jobOfXo(site, vm);
  const { report } = await site.run({ ...job, onMissingBase: 'full' });
  expect(report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'full' });
  expect(report.vms[0]?.notes.join('\n')).toMatch(
    /Xen Orchestra's chain is left as it is: .*its content is not/,
  );
  for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  expect(await foreignObjects(site)).toEqual(expect.objectContaining(before));
});

test('once taken over, a chain is like any other of ours: what Xen Orchestra made before goes with nothing but a note', async () => {
  await using loaded = await load(recorded('after-delta-2'));
  const { site, vm } = loaded;
  const job = await jobOfXo(site, vm);
  const first = await site.run({ ...job, retention: keepLatest(2) });
  expect(first.report.vms[0]?.notes.join('\n')).toMatch(
    /left to you.*: older recovery points "chain-vm - cr-peer/,
  );
  for (let round = 0; round < 2; round += 1) {
    const { report } = await site.run({ ...job, retention: keepLatest(2) });
    expect(report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'delta' });
  }
  const [source, target] = await records(site);
  // Two of ours by retention, and the older one of Xen Orchestra, which nobody but a person destroys.
  expect(Object.values(target.VM).filter(({ is_a_snapshot: isPoint }) => isPoint)).toHaveLength(3);
  expect(Object.values(source.VM).filter(({ is_a_snapshot: isPoint }) => isPoint)).toHaveLength(1);
  expect(nextRunOfXo(source, target, { job: xoJob, vm })).toBe('delta in place');
});

describe('taking over that stops half way is taken up again', () => {
  test.each([
    ['at the replica', 'target', 0],
    ['at the recovery point, the replica marked', 'target', 1],
    ['at the source, the point committed', 'source', 0],
  ] as const)('%s', async (_, side, skip) => {
    await using loaded = await load(recorded('interrupted-cut-first-full-then-run'));
    const { site, vm } = loaded;
    const job = await jobOfXo(site, vm);
    const code = 'RBAC_PERMISSION_DENIED';
    await site[side].control.addFault({
      match: { method: 'VM.set_other_config' },
      skip,
      effect: { kind: 'error', code, params: ['vm.set_other_config', ''] },
    });
    const stopped = await site.run(job);
    expect(stopped.report.vms[0]?.outcome).toMatchObject({ kind: 'failed', error: { code } });
    const { report } = await site.run(job);
    expect(report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'delta' });
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(nextRunOfXo(...(await records(site)), { job: xoJob, vm })).toBe('delta in place');
    expect(await leftovers(site)).toEqual([]);
  });
});

test('under an id of its own the job sees nothing of Xen Orchestra, and makes its replica beside', async () => {
  await using loaded = await load(recorded('interrupted-cut-delta'));
  const { site, vm } = loaded;
  const before = await foreignObjects(site);
  const job = await site.job({ jobId: 'a-job-of-its-own', selection: { uuids: [vm], tags: [] } });
  const { report } = await site.run(job);
  expect(report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'full' });
  expect(await foreignObjects(site)).toEqual(expect.objectContaining(before));
});

describe('the rules of Xen Orchestra, as written down here, tell what its engine was seen to do', () => {
  test.each<[string, NextRun]>([
    ['after-full', 'delta in place'],
    ['after-delta-1', 'delta in place'],
    ['after-delta-2', 'delta in place'],
    ['after-variant-c', 'delta in place'],
    ['after-xo-cr-seed', 'full'],
    ['interrupted-cut-first-full', 'full'],
    // The ones that lose blocks: it goes on from half-written disks.
    ['interrupted-first-full', 'delta into a new replica'],
    ['interrupted-first-full-then-run', 'delta in place'],
    ['interrupted-cut-delta', 'delta into a new replica'],
    ['interrupted-cut-delta-retention-1', 'delta into a new replica'],
  ])('%s: %s', (name, expected) => {
    const { source, target } = recorded(name);
    const vm = Object.values(source.VM).find(({ is_a_snapshot: isSnapshot }) => !isSnapshot)?.uuid ?? '';
    expect(nextRunOfXo(source, target, { job: xoJob, vm })).toBe(expected);
  });
});

function titleOf(decision: RegExp | string): string {
  return decision instanceof RegExp ? `refused, ${decision.source}` : decision;
}

async function jobOfXo(site: Site, vm: string): Promise<JobDefinition> {
  return site.job({ jobId: xoJob, scheduleId: xoSchedule, selection: { uuids: [vm], tags: [] } });
}

async function expectDecision({ site, vm }: Loaded, decision: RegExp | 'delta' | 'full'): Promise<void> {
  const before = await foreignObjects(site);
  const disk = await site.source.control.diskOf(vm, 0);
  await site.source.control.writeDisk(disk, 20 * mib, Buffer.alloc(4096, 0x77));
  const job = await jobOfXo(site, vm);
  const outcome = await site.run(job);
  if (decision instanceof RegExp) {
    expectRefusal(outcome, decision);
    expect(await foreignObjects(site)).toEqual(before);
  } else {
    await expectCopy(site, outcome, decision, before);
    expect(nextRunOfXo(...(await records(site)), { job: xoJob, vm })).toBe('delta in place');
  }
  expect(await leftovers(site)).toEqual([]);
}

function expectRefusal({ report, events }: RunOutcome, because: RegExp): void {
  const [vm] = report.vms;
  expect(vm?.outcome.kind).toBe('blocked');
  expect(vm?.outcome.kind === 'blocked' ? vm.outcome.error.message : '').toMatch(because);
  expect(events.filter(({ kind }) => kind === 'disk-copied')).toEqual([]);
}

async function expectCopy(
  site: Site,
  { report }: RunOutcome,
  kind: 'delta' | 'full',
  before: Readonly<Record<string, string>>,
): Promise<void> {
  const [vm] = report.vms;
  expect(vm?.outcome).toMatchObject({ kind: 'replicated', copyKind: kind });
  if (vm?.outcome.kind !== 'replicated') return;
  for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  expect(before[vm.outcome.replica.uuid] === undefined).toBe(kind === 'full');
  if (kind === 'delta') {
    expect(vm.disks.map(({ device, changedBytes }) => [device, changedBytes])).toEqual([
      ['0', 2 * mib],
      ['1', 0],
    ]);
    expect(vm.notes.join('\n')).toContain('Xen Orchestra made recovery point');
  }
}

/** VMs and snapshots on both pools, by uuid, with their keys: what a refusal must not have changed. */
async function foreignObjects(site: Site): Promise<Readonly<Record<string, string>>> {
  const [source, target] = await records(site);
  return Object.fromEntries(
    [...Object.values(source.VM), ...Object.values(target.VM)]
      .filter(({ is_control_domain: isDomain }) => isDomain !== true)
      .map(({ uuid, other_config: config }) => [uuid, JSON.stringify(Object.entries(config).sort())]),
  );
}

async function records(site: Site): Promise<readonly [Records, Records]> {
  const both = await Promise.all([site.source.control.inventory(), site.target.control.inventory()]);
  return both as unknown as readonly [Records, Records];
}

async function deleteHalfWritten(site: Site): Promise<void> {
  const target = await site.connect('target');
  for (const [ref, vm] of Object.entries(await target.call('VM.get_all_records', []))) {
    if (!Object.values(vm.blocked_operations).includes('Importing…')) continue;
    for (const vbdRef of vm.VBDs) {
      const { VDI: vdi } = await target.call('VBD.get_record', [vbdRef]);
      await target.call('VBD.destroy', [vbdRef]);
      await target.callTask('VDI.destroy', [vdi]);
    }
    await target.call('VM.destroy', [ref as never]);
  }
}
