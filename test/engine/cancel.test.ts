import { listReplicas } from '../../lib/engine/replicas';
import type { RunEvent, RunReport } from '../../lib/engine';
import { keepLatest } from '../../lib/planner/job';
import type { JobDefinition } from '../../lib/planner/job';
import { compareNewest, leftovers } from './inspect';
import { guestWrites, Site } from './site';

const mib = 1024 ** 2;

/** Of a run whose user stops it at the first event of which that is true. */
async function stoppedAt(
  site: Site,
  job: JobDefinition,
  isNow: (event: RunEvent) => boolean,
): Promise<RunReport> {
  const cancel = new AbortController();
  const emit = (event: RunEvent): void => {
    if (isNow(event)) cancel.abort(new Error('stopped by the user'));
  };
  return (await site.run(job, { context: { signal: cancel.signal, emit } })).report;
}

describe('a run that is cancelled', () => {
  test.each(['snapshot-source', 'create-disk', 'copy-disk'] as const)(
    'right after %s began leaves nothing behind and releases the lock',
    async (step) => {
      await using site = await Site.start();
      await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 0x21 }]);
      const job = await site.job();

      const report = await stoppedAt(
        site,
        job,
        (event) => event.kind === 'step-started' && event.step === step,
      );

      expect(report.vms.map(({ outcome }) => outcome.kind)).toEqual(['cancelled']);
      expect(await leftovers(site)).toEqual([]);
      // No waiting for a lease: the lock was released.
      const again = await site.run(job);
      expect(again.report.ok).toBe(true);
    },
  );

  test('in the middle of a transfer closes both connections and leaves nothing behind', async () => {
    await using site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 24 * mib, fill: 0x21 }]);

    const report = await stoppedAt(
      site,
      await site.job(),
      (event) => event.kind === 'disk-progress' && event.bytesSent > 4 * mib,
    );

    expect(report.vms.map(({ outcome }) => outcome.kind)).toEqual(['cancelled']);
    expect(await leftovers(site)).toEqual([]);
  });

  test('once the exchange of disks is announced finishes its recovery point instead', async () => {
    await using site = await Site.start();

    const report = await stoppedAt(
      site,
      await site.job(),
      (event) => event.kind === 'step-finished' && event.step === 'announce-swap',
    );

    expect(report.vms.map(({ outcome }) => outcome.kind)).toEqual(['replicated']);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('once its recovery point is made says that it is made, and leaves the tidying up to the next run', async () => {
    await using site = await Site.start();
    const job = await site.job({ retention: keepLatest(1, 1) });
    await site.run(job);
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 4096, fill: 0x21 }]);

    const report = await stoppedAt(
      site,
      job,
      (event) => event.kind === 'step-finished' && event.step === 'commit-source',
    );

    expect(report.vms.map(({ outcome }) => outcome.kind)).toEqual(['replicated']);
    expect(report.vms[0]?.warnings.join()).toContain('the next run tidies up');
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect((await site.run(job)).report.ok).toBe(true);
    expect(await leftovers(site)).toEqual([]);
    const target = await site.connect('target');
    const replicas = await listReplicas(target, job.jobId, {});
    expect(replicas.map(({ points }) => points.length)).toEqual([1]);
  });

  test('tells what stopped it, not that something is broken', async () => {
    await using site = await Site.start();
    const report = await stoppedAt(
      site,
      await site.job(),
      (event) => event.kind === 'step-finished' && event.step === 'snapshot-source',
    );
    expect(report.vms[0]?.outcome).toMatchObject({
      kind: 'cancelled',
      error: { code: 'cancelled', message: 'stopped by the user', hint: 'the next run goes on' },
    });
  });
});
