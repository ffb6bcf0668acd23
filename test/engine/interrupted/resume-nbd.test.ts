/** Over NBD an interrupted copy goes on in the middle: nothing that was confirmed is read again. */
import { systemClock } from '../../../lib/engine';
import type { Clock } from '../../../lib/engine';
import { compareNewest, leftovers } from '../inspect';
import { methods, nbdSpec, tracked } from '../nbd-site';
import { guestWrites, Site } from '../site';
import type { RunOutcome } from '../site';
import { DoomedRuns } from './doomed-run';

const mib = 1024 ** 2;
const leaseMs = 125_000;
const segmentBytes = 4 * mib;
/** As the doomed runs cut theirs. */
const limits = { bytesMax: segmentBytes, durationMaxMs: 60_000 };

describe('killed in a transfer over NBD', () => {
  let doomed: DoomedRuns;
  let site: Site;

  beforeAll(async () => {
    doomed = await DoomedRuns.build();
  });
  afterAll(() => {
    doomed[Symbol.dispose]();
  });
  beforeEach(async () => {
    site = await Site.start(nbdSpec());
  });
  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  async function guestFills(seed: number): Promise<void> {
    for (let at = 0; at < 40; at += 8) {
      const write = { atBytes: at * mib, lengthBytes: 8 * mib, fill: at + seed };
      await guestWrites(site.source.control, 'db1', 1, [write]);
    }
  }

  async function holds({ report }: RunOutcome): Promise<void> {
    expect(report.vms.map((vm) => vm.outcome)).toMatchObject([{ kind: 'replicated' }]);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  }

  test('at 70 % of a delta: the next run reads and sends the rest, and one segment at most', async () => {
    const job = await site.job(tracked());
    expect((await site.run(job)).report.ok).toBe(true);
    await guestFills(1);
    await doomed.run(site, job, { kind: 'sent', bytes: 28 * mib });
    await site.target.control.advanceClock(leaseMs);

    const outcome = await site.run(job, { limits });

    await holds(outcome);
    expect(methods(outcome.report)).toEqual(['0 delta nbd', '1 delta nbd']);
    expect(outcome.report.vms[0]?.notes.join(' ')).toContain('disk 1 goes on from');
    const disk = outcome.report.vms[0]?.disks.find(({ device }) => device === '1');
    expect(disk?.readBytes).toBeLessThanOrEqual(12 * mib + segmentBytes);
    expect(disk?.sentBytes).toBeLessThanOrEqual(12 * mib + segmentBytes + 4096);
    expect(disk?.sentBytes).toBeGreaterThan(0);
  });

  test('a disk of which nothing is confirmed waits until the dead run has let go of it', async () => {
    const job = await site.job(tracked());
    expect((await site.run(job)).report.ok).toBe(true);
    await guestFills(1);
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 512, fill: 7 }]);
    const { control } = site.source;
    const snapshotOfRoot = { transfer: 'nbd', object: 'root' } as const;
    await control.addFault({ match: snapshotOfRoot, effect: { kind: 'linger', ms: 60_000 } });
    await doomed.run(site, job, { kind: 'sent', bytes: 28 * mib });
    await site.target.control.advanceClock(leaseMs);

    let looks = 0;
    const sleep: Clock['sleep'] = async (ms, signal) => {
      if (ms !== 1000) return systemClock.sleep(ms, signal);
      looks += 1;
      await control.advanceClock(60_000);
    };
    const clock = { nowMs: () => systemClock.nowMs(), sleep };
    const outcome = await site.run(job, { limits, context: { clock } });

    await holds(outcome);
    expect(methods(outcome.report)).toEqual(['0 delta nbd', '1 delta nbd']);
    expect(outcome.report.vms[0]?.attempts).toBe(1);
    expect(looks).toBeGreaterThan(0);
  });

  test('in a delta, and the job reads by export from then on: the copy starts again', async () => {
    const job = await site.job(tracked());
    expect((await site.run(job)).report.ok).toBe(true);
    await guestFills(1);
    await doomed.run(site, job, { kind: 'sent', bytes: 28 * mib });
    await site.target.control.advanceClock(leaseMs);

    const outcome = await site.run({ ...job, ...tracked({ method: 'export' }) }, { limits });

    await holds(outcome);
    expect(methods(outcome.report)).toEqual(['0 delta export', '1 delta export']);
  });

  test('in a full that the job reads over NBD: it goes on, by either method, and the digest is that of the whole', async () => {
    await guestFills(1);
    const job = await site.job(tracked({ method: 'nbd' }));
    await doomed.run(site, job, { kind: 'sent', bytes: 28 * mib });
    await site.target.control.advanceClock(leaseMs);

    const outcome = await site.run(job, { limits });

    await holds(outcome);
    expect(methods(outcome.report)).toEqual(['0 full nbd', '1 full nbd']);
    const disk = outcome.report.vms[0]?.disks.find(({ device }) => device === '1');
    expect(disk?.readBytes).toBeLessThanOrEqual((64 - 28) * mib + segmentBytes);
    const whole = await site.run({ ...job, jobId: '22222222-2222-4222-8222-222222222222' });
    expect(disk?.digest).toBe(whole.report.vms[0]?.disks.find(({ device }) => device === '1')?.digest);
  });

  test.each(['started', 'finished'] as const)(
    'when dropping the data of the snapshot had %s: the next delta goes on',
    async (when) => {
      const job = await site.job(tracked({ dropSnapshotData: true }));
      await doomed.run(site, job, { kind: 'step', when, step: 'drop-snapshot-data', nth: 1 });
      await site.target.control.advanceClock(leaseMs);
      await guestWrites(site.source.control, 'db1', 1, [{ atBytes: 0, lengthBytes: 512, fill: 7 }]);

      await holds(await site.run({ ...job, ...tracked() }, { limits }));
    },
  );
});
