/**
 * The rows of the crash table (lib/engine/DESIGN.md): the process is killed there, one more run follows, and
 * the replica must be equal byte for byte with nothing left on either pool.
 */
import { keepLatest } from '../../../lib/planner/job';
import { compareNewest, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';
import { DoomedRuns } from './doomed-run';
import type { DeathPoint } from './runner';

const mib = 1024 ** 2;
const leaseMs = 125_000;

const steps = [
  'snapshot-source',
  'clone-base',
  'create-disk',
  'copy-disk',
  'create-replica',
  'announce-swap',
  'swap-disks',
  'apply-settings',
  'commit-target',
  'commit-source',
  'retire-points',
  'close-swap',
  'destroy-point',
  'destroy-source-snapshot',
] as const;

/** Steps of a first run and of later ones; every gap between two of them is a row. */
const onlyFirst: ReadonlySet<string> = new Set(['create-disk', 'create-replica']);
const onlyLater: ReadonlySet<string> = new Set([
  'clone-base',
  'retire-points',
  'destroy-point',
  'destroy-source-snapshot',
]);

describe('a process killed between two steps', () => {
  let doomed: DoomedRuns;

  beforeAll(async () => {
    doomed = await DoomedRuns.build();
  });

  afterAll(() => {
    doomed[Symbol.dispose]();
  });

  async function converges(site: Site, death: DeathPoint, retention: number): Promise<void> {
    const job = await site.job({ retention: keepLatest(retention) });
    const died = await doomed.run(site, job, death);
    expect(died).toMatchObject({ signal: 'SIGKILL', report: null });

    // The dead holder's lease runs out by the target's clock.
    await site.target.control.advanceClock(leaseMs);
    const { report } = await site.run(job);

    expect(report.vms.map(({ outcome }) => outcome)).toMatchObject([{ kind: 'replicated' }]);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  }

  describe('in a first run', () => {
    const rows = steps.filter((step) => !onlyLater.has(step));

    test.each(rows)('before and after %s', async (step) => {
      for (const when of ['started', 'finished'] as const) {
        await using site = await Site.start();
        await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 6 * mib, fill: 0x41 }]);
        await guestWrites(site.source.control, 'db1', 1, [
          { atBytes: 9 * mib, lengthBytes: 6 * mib, fill: 0x42 },
        ]);
        await converges(site, { kind: 'step', when, step, nth: 1 }, 1);
      }
    });
  });

  describe('in a later run', () => {
    test('before and after every step of a delta, one after another on the same pools', async () => {
      await using site = await Site.start();
      const job = await site.job({ retention: keepLatest(1) });
      expect((await site.run(job)).report.ok).toBe(true);
      let round = 0;
      for (const step of steps.filter((name) => !onlyFirst.has(name))) {
        for (const when of ['started', 'finished'] as const) {
          round += 1;
          await guestWrites(site.source.control, 'db1', round % 2, [
            { atBytes: (round % 15) * 2 * mib + 4096, lengthBytes: 1 * mib, fill: round },
          ]);
          await converges(site, { kind: 'step', when, step, nth: 1 }, 1);
        }
      }
    }, 240_000);
  });

  describe('in a run in which nothing changed', () => {
    test('before and after every step, one after another on the same pools', async () => {
      await using site = await Site.start();
      const job = await site.job({ retention: keepLatest(1) });
      for (const device of [0, 1]) {
        await guestWrites(site.source.control, 'db1', device, [{ atBytes: mib, lengthBytes: 4096, fill: 5 }]);
      }
      expect((await site.run(job)).report.ok).toBe(true);
      for (const step of [
        'compare-disk',
        'keep-disks',
        'apply-settings',
        'commit-target',
        'commit-source',
        'retire-points',
        'destroy-point',
        'destroy-source-snapshot',
      ] as const) {
        for (const when of ['started', 'finished'] as const) {
          await converges(site, { kind: 'step', when, step, nth: 1 }, 1);
        }
      }
    }, 240_000);
  });

  describe('inside a transfer', () => {
    test.each([100_000, 5 * mib, 7 * mib])('after %i bytes were sent', async (bytes) => {
      await using site = await Site.start();
      await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 0x43 }]);
      await converges(site, { kind: 'sent', bytes }, 3);
    });
  });
});
