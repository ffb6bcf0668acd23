/** A job that verifies its runs: wrong content never becomes a recovery point. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listReplicas } from '../../../lib/engine';
import type { JobDefinition, JobTransfer } from '../../../lib/planner/job';
import { jobDefaults, keepLatest } from '../../../lib/planner/job';
import { compareNewest, leftovers } from '../inspect';
import { quickClock } from '../../faults/clock';
import { guestWrites, Site } from '../site';
import type { RunOutcome } from '../site';

const mib = 1024 ** 2;

function verifying(verify: JobTransfer['verify']): JobTransfer {
  return { ...jobDefaults.transfer, verify };
}

async function siteWithData(): Promise<Site> {
  const site = await Site.start();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 7 }]);
  return site;
}

/** A byte of the upload arrives wrong, as memory without ECC does it; the server is content. */
async function corruptUpload(site: Site): Promise<void> {
  const effect = { kind: 'corrupt', atByte: 2 * mib } as const;
  await site.target.control.addFault({ match: { transfer: 'import' }, max: 1, effect });
}

function verifiedIn({ events }: RunOutcome): readonly unknown[] {
  return events
    .flatMap((event) => (event.kind === 'disk-verified' ? [[event.device, event.comparedBytes / mib]] : []))
    .sort();
}

/** What stands on the new recovery point, and in the report. */
async function keptIn(site: Site, { report }: RunOutcome): Promise<readonly unknown[]> {
  const [vm] = report.vms;
  const point = vm?.outcome.kind === 'replicated' ? vm.outcome.point.uuid : '';
  const [replica] = await listReplicas(await site.connect('target'), report.job.id);
  const verified = replica?.points.find(({ uuid }) => uuid === point)?.verified ?? null;
  return [verified && [verified.mode, verified.equal], ...(vm?.disks ?? []).map((disk) => disk.verified)];
}

async function expectEqual(site: Site, { report }: RunOutcome): Promise<void> {
  expect(report.ok).toBe(true);
  for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  expect(await leftovers(site)).toEqual([]);
}

test('without verification a byte that arrives wrong becomes content: what the option is for', async () => {
  await using site = await siteWithData();
  await corruptUpload(site);
  const run = await site.run(await site.job());
  expect(run.report.ok).toBe(true);
  expect(await keptIn(site, run)).toEqual([null, null, null]);
  expect((await compareNewest(site, run.report)).some(({ source, target }) => source !== target)).toBe(true);
});

test.each(['full', 'sampled'] as const)('%s: a first copy and a delta are read back', async (verify) => {
  await using site = await siteWithData();
  const job = await site.job({ transfer: verifying(verify), retention: keepLatest(2) });
  const first = await site.run(job);
  expect(verifiedIn(first)).toEqual([
    ['0', 32],
    ['1', 64],
  ]);
  await expectEqual(site, first);
  const of = (comparedMib: number): unknown => ({ mode: verify, comparedBytes: comparedMib * mib });
  expect(await keptIn(site, first)).toEqual([[verify, true], of(32), of(64)]);
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 4 * mib, lengthBytes: 4096, fill: 9 }]);
  const second = await site.run(job);
  expect(second.report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
  expect(verifiedIn(second)).toEqual(
    verify === 'full'
      ? [
          ['0', 32],
          ['1', 64],
        ]
      : [
          ['0', 2],
          ['1', 0],
        ],
  );
  await expectEqual(site, second);
  const read = verify === 'full' ? [of(32), of(64)] : [of(2), of(0)];
  expect(await keptIn(site, second)).toEqual([[verify, true], ...read]);
});

test.each(['full', 'sampled'] as const)('%s: what arrives wrong is found and copied anew', async (verify) => {
  await using site = await siteWithData();
  const job = await site.job({ transfer: verifying(verify) });
  await corruptUpload(site);
  const first = await site.run(job);
  expect(failures(first)).toEqual(['verify-differs']);
  await expectEqual(site, first);
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 9 }]);
  await corruptUpload(site);
  const second = await site.run(job);
  expect(failures(second)).toEqual(['verify-differs']);
  expect(second.report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
  await expectEqual(site, second);
});

describe('sampled, where deltas leave out what the base holds already', () => {
  let cacheDir: string;

  beforeEach(() => {
    cacheDir = mkdtempSync(join(tmpdir(), 'xenrepl-verifies-'));
  });

  afterEach(() => rmSync(cacheDir, { recursive: true, force: true }));

  /** A recovery point whose grains are known; then a block changes in one of them, and another is written as it was. */
  async function changed(site: Site): Promise<JobDefinition> {
    const job = await site.job({ transfer: verifying('sampled') });
    await expectEqual(site, await site.run(job, { cacheDir }));
    await guestWrites(site.source.control, 'db1', 0, [
      { atBytes: 2 * mib, lengthBytes: 2 * mib, fill: 7 },
      { atBytes: 4 * mib, lengthBytes: 4096, fill: 9 },
    ]);
    return job;
  }

  test('a block that was left out is not taken for one that was lost', async () => {
    await using site = await siteWithData();
    const run = await site.run(await changed(site), { cacheDir });
    expect(failures(run)).toEqual([]);
    expect(run.report.vms[0]?.disks[0]).toMatchObject({ changedBytes: 4 * mib });
    expect(run.report.vms[0]?.disks[0]?.sentBytes).toBeLessThan(65_536 + 64);
    expect(verifiedIn(run)).toEqual([
      ['0', 2],
      ['1', 0],
    ]);
    await expectEqual(site, run);
  });

  test.each([{ kind: 'corrupt', atByte: 5_000 }, { kind: 'lie' }] as const)(
    'what was sent is found where it arrives wrong, or not at all ($kind)',
    async (effect) => {
      await using site = await siteWithData();
      const job = await changed(site);
      await site.target.control.addFault({ match: { transfer: 'import' }, effect });
      const run = await site.run(job, { cacheDir });
      expect(failures(run)).toEqual(['verify-differs']);
      await expectEqual(site, run);
    },
  );

  test('a delta that goes on after an interruption is read back whole: what was left out before is forgotten', async () => {
    await using site = await siteWithData();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 8 * mib, lengthBytes: 8 * mib, fill: 7 }]);
    const job = await changed(site);
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 6 * mib, lengthBytes: 10 * mib, fill: 8 }]);
    const limits = { bytesMax: 4 * mib, durationMaxMs: 3_600_000 };
    await site.target.control.addFault({
      match: { transfer: 'import' },
      skip: 1,
      effect: { kind: 'cut', afterBytes: mib },
    });
    const run = await site.run(job, { cacheDir, limits, context: { clock: quickClock } });
    expect(failures(run)).not.toContain('verify-differs');
    expect(verifiedIn(run)).toEqual([
      ['0', 32],
      ['1', 0],
    ]);
    await expectEqual(site, run);
  });
});

function failures({ events }: RunOutcome): readonly string[] {
  return events.flatMap((event) => (event.kind === 'attempt-failed' ? [event.error.code] : []));
}
