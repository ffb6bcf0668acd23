/** Recovery points and chains over several runs, on simulated pools. */
import { keepLatest } from '../../lib/planner/job';
import type { JobDefinition } from '../../lib/planner/job';
import type { VmOutcome } from '../../lib/engine';
import { compareNewest, leftovers } from './inspect';
import { defaultSpec, guestWrites, Site } from './site';

const mib = 1024 ** 2;
const hourMs = 3_600_000;

/** One VM with one small disk, so that a run costs little. */
const small = {
  ...defaultSpec,
  pools: defaultSpec.pools.map((pool) => ({
    ...pool,
    vms: pool.vms.map((vm) => ({ ...vm, disks: vm.disks.slice(0, 1) })),
  })),
};

async function runOnce(site: Site, job: JobDefinition, fill: number): Promise<VmOutcome | undefined> {
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: fill * mib, lengthBytes: mib, fill }]);
  const { report } = await site.run(job);
  return report.vms[0]?.outcome;
}

/** When the source snapshots of the recovery points were taken, in whole hours after the first, newest first. */
async function hoursOfPoints(site: Site): Promise<readonly number[]> {
  const target = await site.connect('target');
  const records = Object.values(await target.call('VM.get_all_records', []));
  const taken = records
    .filter((vm) => vm.is_a_snapshot)
    .map((vm) => JSON.parse(vm.other_config['xenrepl:commit'] ?? '{}') as { takenAtMs: number })
    .map(({ takenAtMs }) => Math.floor(takenAtMs / hourMs))
    .sort((a, b) => b - a);
  const oldest = Math.min(...taken);
  return taken.map((hour) => hour - oldest);
}

test('recovery points stay by the hour; those of one hour make room for each other', async () => {
  await using site = await Site.start(small);
  const job = await site.job({ retention: { ...keepLatest(1), hourly: 3, timeZone: 'Europe/Berlin' } });
  for (const [fill, waitMs] of [
    [1, 0],
    [2, hourMs],
    [3, 1000],
    [4, hourMs],
    [5, hourMs],
  ] as const) {
    await Promise.all([site.source, site.target].map(({ control }) => control.advanceClock(waitMs)));
    expect(await runOnce(site, job, fill)).toMatchObject({ kind: 'replicated' });
  }
  const hours = await hoursOfPoints(site);
  expect(hours).toHaveLength(3);
  expect(new Set(hours).size).toBe(3);
  expect(await leftovers(site)).toEqual([]);
});

test('a chain without room puts the run off; what retention does not keep goes first, and the run after goes on', async () => {
  await using site = await Site.start(small);
  const deep = await site.job({ retention: keepLatest(9), maxChainDepth: 4 });
  for (const fill of [1, 2, 3]) expect(await runOnce(site, deep, fill)).toMatchObject({ kind: 'replicated' });

  expect(await runOnce(site, deep, 4)).toMatchObject({
    kind: 'deferred',
    error: {
      code: 'deferred',
      message: expect.stringMatching(/chain of target disk 0 .* has 4 layers of at most 4/) as unknown,
      hint: expect.stringContaining('keep fewer recovery points') as unknown,
      retry: 'later',
    },
  });
  expect(await hoursOfPoints(site)).toHaveLength(3);

  const shallow = { ...deep, retention: keepLatest(1) };
  expect(await runOnce(site, shallow, 5)).toMatchObject({ kind: 'deferred' });
  expect(await hoursOfPoints(site)).toHaveLength(1);
  for (const { control } of [site.source, site.target]) await control.coalesce();

  const { report } = await site.run(shallow);
  expect(report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'delta' });
  for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  expect(await leftovers(site)).toEqual([]);
});

test("a guest's own snapshots count: nothing is begun that storage would refuse in the middle", async () => {
  await using site = await Site.start(small);
  const source = await site.connect('source');
  const [vm] = await source.call('VM.get_by_name_label', ['db1']);
  if (vm === undefined) throw new Error('the source has no VM "db1"');
  const job = await site.job({ maxChainDepth: 28 });
  for (let fill = 1; fill < 28; fill += 1) {
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 512, fill }]);
    await source.callTask('VM.snapshot', [vm, `by hand ${String(fill)}`]);
  }
  const { report } = await site.run(job);
  expect(report).toMatchObject({ ok: false, vms: [{ outcome: { kind: 'deferred' }, attempts: 1 }] });
  expect(report.vms[0]?.outcome).toMatchObject({
    error: { message: expect.stringContaining('has 28 layers of at most 28') as unknown },
  });

  // What the limit is for: storage refuses to go beyond its own.
  for (const fill of [28, 29]) {
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 512, fill }]);
    await source.callTask('VM.snapshot', [vm, `by hand ${String(fill)}`]);
  }
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 512, fill: 30 }]);
  await expect(source.callTask('VM.snapshot', [vm, 'one too many'])).rejects.toMatchObject({
    code: 'SR_BACKEND_FAILURE_109',
  });
});
