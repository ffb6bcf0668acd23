/** The limit of a job holds for all that its run reads from the source. */
import { jobDefaults } from '../../lib/planner/job';
import type { JobTransfer } from '../../lib/planner/job';
import { guestWrites, Site } from './site';
import { SkippingClock } from './skipping-clock';

const mib = 1024 ** 2;

test.each<[JobTransfer['verify'], number]>([
  ['none', 8],
  ['full', 16],
])('with verify = "%s" a first copy of 8 MiB at 1 MiB/s takes %d seconds', async (verify, seconds) => {
  await using site = await Site.start();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 7 }]);
  const job = await site.job({
    transfer: { ...jobDefaults.transfer, verify },
    limits: { ...jobDefaults.limits, bytesPerSecond: mib },
  });
  const clock = new SkippingClock();
  const startMs = clock.nowMs();

  const { report } = await site.run(job, { context: { clock } });

  expect(report.ok).toBe(true);
  // A quarter of a second is made up for after each pause, and there is one between copying and reading back.
  expect(clock.nowMs() - startMs).toBeGreaterThan(seconds * 1000 - 500);
  expect(clock.skippedMs).toBeLessThan(seconds * 1000 + 100);
});
