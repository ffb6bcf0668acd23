/** Work on a seed reads production disks, or fills a line: it can be told how fast. */
import { jobDefaults } from '../../../lib/planner/job';
import { seedJobOf } from '../../../lib/planner/seed';
import { SkippingClock } from '../skipping-clock';
import { guestWrites, Site } from '../site';
import { attach, seedContext } from './carried';
import { exported, Folder, imported } from './carried-files';

const mib = 1024 ** 2;
const bytesPerSecond = mib;

/** From 8 MiB of data, at 1 MiB a second: what is made up for after a pause is less than half a second. */
function expectAboutEightSeconds({ passedMs, skippedMs }: SkippingClock): void {
  expect(passedMs).toBeGreaterThan(7_000);
  expect(skippedMs).toBeLessThan(9_000);
}

test('exported, imported and compared at the rate that was asked for', async () => {
  await using site = await Site.start();
  using folder = new Folder();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 7 }]);

  const exporting = new SkippingClock();
  const { report } = await exported(site, folder.path, {
    bytesPerSecond,
    context: { ...seedContext([]), clock: exporting },
  });
  expectAboutEightSeconds(exporting);

  const importing = new SkippingClock();
  const { report: found } = await imported(
    site,
    { kind: 'folder', path: folder.path },
    { bytesPerSecond, context: { ...seedContext([]), clock: importing } },
  );
  expectAboutEightSeconds(importing);

  const comparing = new SkippingClock();
  const job = await site.job({ limits: { ...jobDefaults.limits, bytesPerSecond } });
  const carried = { snapshot: report.manifest.snapshot.uuid, vm: found.vm.uuid };
  const { events } = await attach(site, carried, seedJobOf(job), {
    verify: 'full',
    rate: job.limits,
    context: { ...seedContext([]), clock: comparing },
  });
  expectAboutEightSeconds(comparing);
  expect(events.map(({ kind }) => kind)).not.toContain('seed-warning');
});

test('an archive is exported at that rate, too', async () => {
  await using site = await Site.start();
  using folder = new Folder();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 7 }]);
  const clock = new SkippingClock();
  await exported(site, folder.path, {
    format: 'xva',
    bytesPerSecond,
    context: { ...seedContext([]), clock },
  });
  // It holds the first and the last MiB of each disk besides, whatever is in them.
  expect(clock.passedMs).toBeGreaterThan(8_000);
  expect(clock.skippedMs).toBeLessThan(12_500);
});

test('a repair reads the source a second time, and both keep to the rate', async () => {
  await using site = await Site.start();
  using folder = new Folder();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 4 * mib, fill: 7 }]);
  const { report } = await exported(site, folder.path);
  const { report: found } = await imported(site, { kind: 'folder', path: folder.path });
  const [disk] = found.disks;
  await site.target.control.writeDisk(disk?.vdiUuid ?? '', 3 * mib, Buffer.alloc(512, 0x5a));
  const clock = new SkippingClock();
  const job = await site.job({ limits: { ...jobDefaults.limits, bytesPerSecond } });
  const carried = { snapshot: report.manifest.snapshot.uuid, vm: found.vm.uuid };
  const attached = await attach(site, carried, seedJobOf(job), {
    repair: true,
    rate: job.limits,
    context: { ...seedContext([]), clock },
  });
  expect(attached.report.disks.map(({ repairedBlocks }) => repairedBlocks)).toEqual([1, 0]);
  expectAboutEightSeconds(clock);
});
