/** A job that verifies its runs: wrong content never becomes a recovery point. */
import type { JobTransfer } from '../../../lib/planner/job';
import { jobDefaults, keepLatest } from '../../../lib/planner/job';
import { compareNewest, leftovers } from '../inspect';
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

function failures({ events }: RunOutcome): readonly string[] {
  return events.flatMap((event) => (event.kind === 'attempt-failed' ? [event.error.code] : []));
}
