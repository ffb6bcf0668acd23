/** Attaching that fails in any of its calls takes everything back; killed at any of them, it leaves nothing that is a base. */
import { systemClock } from '../../../lib/engine';
import { compareNewest, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';
import { attach, carried, detach, seedJobOf, unknownJob } from './carried';
import { KilledAttachments } from './killed';
import { configsOf, leftUnchanged } from './states';

const mib = 1024 ** 2;

/** Every call that changes something, on the side it goes to, and how often it is made. */
const writes = [
  ['target', 'VM.add_to_blocked_operations', 2],
  ['target', 'VM.add_tags', 1],
  ['target', 'VM.set_ha_restart_priority', 1],
  ['target', 'VDI.set_other_config', 4],
  ['target', 'VM.snapshot', 1],
  ['target', 'VM.set_other_config', 3],
  ['target', 'VM.set_is_a_template', 1],
  ['target', 'VM.set_name_label', 1],
  ['source', 'VDI.set_other_config', 2],
  ['source', 'VM.set_other_config', 1],
] as const;

const points = writes.flatMap(([side, method, times]) =>
  Array.from({ length: times }, (_, nth) => [side, method, nth] as const),
);

async function seededSite(): Promise<Site> {
  const site = await Site.start();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 }]);
  await guestWrites(site.source.control, 'db1', 1, [{ atBytes: 40 * mib, lengthBytes: 512, fill: 0x22 }]);
  return site;
}

test('a call that fails, at any place, before or after it was carried out, is undone to the letter', async () => {
  await using site = await seededSite();
  const seed = await carried(site, { otherConfig: { 'xo:backup:vm': 'came along' } });
  const target = await site.connect('target');
  await target.call('VM.set_ha_restart_priority', [
    await target.call('VM.get_by_uuid', [seed.vm]),
    'restart',
  ]);
  const before = await leftUnchanged(site);
  let failures = 0;
  for (const [side, method, skip] of points) {
    for (const after of [false, true]) {
      const error = { kind: 'error', code: 'INTERNAL_ERROR', params: ['made to fail'] } as const;
      const effect = after ? ({ kind: 'after', effect: error } as const) : error;
      const fault = await site[side].control.addFault({ match: { method }, skip, effect });
      await expect(attach(site, seed, unknownJob, { verify: 'none' })).rejects.toMatchObject({
        message: expect.stringContaining('made to fail') as string,
      });
      await site[side].control.removeFault(fault);
      expect({ at: `${side} ${method} ${String(skip)}`, state: await leftUnchanged(site) }).toEqual({
        at: `${side} ${method} ${String(skip)}`,
        state: before,
      });
      failures += 1;
    }
  }
  expect(failures).toBe(2 * points.length);
  // And nothing of all that stands in the way of a good one.
  await attach(site, seed, unknownJob, { verify: 'none' });
}, 120_000);

test('a wish to stop while disks are compared is heard, and everything is as before', async () => {
  await using site = await seededSite();
  const seed = await carried(site);
  const before = await leftUnchanged(site);
  const stop = new AbortController();
  const context = {
    runId: 'stopped',
    who: 'test',
    clock: systemClock,
    signal: stop.signal,
    emit: ({ kind }: { readonly kind: string }): void => {
      if (kind === 'seed-progress') stop.abort();
    },
  };
  await expect(attach(site, seed, unknownJob, { context })).rejects.toThrow();
  expect(await leftUnchanged(site)).toEqual(before);
});

test('what could not be taken back is named, and detaching or attaching again puts it right', async () => {
  await using site = await seededSite();
  const seed = await carried(site);
  const job = await site.job();
  // The last call fails for good, and so does taking back what stands on the source.
  await site.source.control.addFault({
    match: { method: 'VM.set_other_config' },
    max: 99,
    effect: { kind: 'error', code: 'INTERNAL_ERROR', params: ['the source is broken'] },
  });
  await expect(attach(site, seed, seedJobOf(job))).rejects.toMatchObject({
    message: expect.stringMatching(
      /the source is broken.*could be taken back: commit of the source snapshot/,
    ) as string,
  });
  await site.source.control.clearFaults();
  await attach(site, seed, seedJobOf(job));
  expect((await site.run(job)).report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
});

describe('killed at any call', () => {
  let killed: KilledAttachments;

  beforeAll(async () => {
    killed = await KilledAttachments.build();
  });

  afterAll(() => {
    killed[Symbol.dispose]();
  });

  test('it leaves no half of a base: attached again, the next run is a delta with equal content', async () => {
    await using site = await seededSite();
    const seed = await carried(site);
    const job = await site.job({ initialCopy: 'seed' });
    for (const [side, method, nth] of points) {
      // This one is not called where HA is off.
      if (method === 'VM.set_ha_restart_priority') continue;
      const died = await killed.attachUntil(site, seed, seedJobOf(job), `${side} ${method}`, nth);
      expect([method, nth, died.signal]).toEqual([method, nth, 'SIGKILL']);
      await site.target.control.advanceClock(125_000);
      if (!(await isComplete(site, seed))) await attach(site, seed, seedJobOf(job), { verify: 'none' });
      await detach(site, seed.vm);
    }
    await attach(site, seed, seedJobOf(job), { verify: 'none' });
    const { report } = await site.run(job);
    expect(report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'delta' });
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    // Of a call whose caller died XAPI itself removes the task, after an hour.
    expect((await leftovers(site)).filter((left) => !left.includes('task Async.'))).toEqual([]);
  }, 300_000);

  test.each(['initialCopy: seed', 'initialCopy: auto'])(
    'after the target was marked, the next run itself finishes what is left (%s)',
    async (name) => {
      await using site = await seededSite();
      const seed = await carried(site);
      const job = await site.job({ initialCopy: name.endsWith('seed') ? 'seed' : 'auto' });
      const died = await killed.attachUntil(site, seed, seedJobOf(job), 'source VDI.set_other_config');
      expect(died.signal).toBe('SIGKILL');
      await site.target.control.advanceClock(125_000);

      const { report } = await site.run(job);

      expect(report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta', replica: { uuid: seed.vm } });
      for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
      expect(await leftovers(site)).toEqual([]);
    },
  );

  test('before that, a run does not take the carried VM for anything of its own', async () => {
    await using site = await seededSite();
    const seed = await carried(site);
    const job = await site.job({ initialCopy: 'seed' });
    const died = await killed.attachUntil(site, seed, seedJobOf(job), 'target VM.set_name_label');
    expect(died.signal).toBe('SIGKILL');
    await site.target.control.advanceClock(125_000);

    const { report } = await site.run(job);

    expect(report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
    expect(await configsOf(site, 'target', seed.vm)).not.toBeNull();
  });
});

async function isComplete(
  site: Site,
  seed: { readonly snapshot: string; readonly vm: string },
): Promise<boolean> {
  const source = await configsOf(site, 'source', seed.snapshot);
  return Object.keys(source?.config ?? {}).some((key) => key.startsWith('xenrepl:commit:'));
}
