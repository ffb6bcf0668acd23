/** An export delta carries whole blocks of 2 MiB: what did not change inside of them is not sent. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareNewest, leftovers } from './inspect';
import { guestWrites, Site } from './site';
import type { RunOutcome } from './site';

const kib = 1024;
const mib = 1024 ** 2;
const grainBytes = 64 * kib;
const frameBytes = 24;

describe('deltas with what earlier runs remembered', () => {
  let site: Site;
  let cacheDir: string;

  beforeEach(async () => {
    cacheDir = mkdtempSync(join(tmpdir(), 'xenrepl-grains-'));
    site = await Site.start();
    for (const device of [0, 1]) {
      await guestWrites(site.source.control, 'db1', device, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 1 }]);
    }
    expect((await site.run(await site.job(), { cacheDir })).report.ok).toBe(true);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
    rmSync(cacheDir, { recursive: true, force: true });
  });

  async function run(dir: string | null = cacheDir): Promise<RunOutcome> {
    const outcome = await site.run(await site.job(), dir === null ? {} : { cacheDir: dir });
    expect(outcome.report.vms.map((vm) => vm.outcome)).toMatchObject([{ kind: 'replicated' }]);
    for (const { source, target } of await compareNewest(site, outcome.report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
    return outcome;
  }

  function sent({ report }: RunOutcome, device = '1'): number {
    return report.vms[0]?.disks.find((disk) => disk.device === device)?.sentBytes ?? -1;
  }

  const write = (atBytes: number, fill: number, lengthBytes = 4 * kib): Promise<void> =>
    guestWrites(site.source.control, 'db1', 1, [{ atBytes, lengthBytes, fill }]);

  test('sends the grains that changed and nothing else', async () => {
    await write(3 * mib, 2);
    await write(5 * mib + 100 * kib, 3);
    const outcome = await run();
    expect(outcome.report.vms[0]?.disks[1]).toMatchObject({ changedBytes: 4 * mib });
    expect(sent(outcome)).toBeLessThanOrEqual(2 * (grainBytes + frameBytes));
  });

  test('goes on so from run to run, also over one in which nothing changed', async () => {
    await write(3 * mib, 2);
    await run();
    await run();
    await write(3 * mib + grainBytes, 4);
    expect(sent(await run())).toBeLessThanOrEqual(grainBytes + frameBytes);
  });

  test('sends a grain that was written with what it held already not at all', async () => {
    await write(2 * mib, 1);
    expect(sent(await run())).toBe(0);
  });

  test('sends whole blocks where nothing is remembered', async () => {
    await write(3 * mib, 2);
    rmSync(cacheDir, { recursive: true });
    expect(sent(await run())).toBeGreaterThanOrEqual(2 * mib);
  });

  test('believes nothing that was damaged', async () => {
    await write(3 * mib, 2);
    const folder = join(cacheDir, 'grains');
    for (const name of readdirSync(folder)) {
      const file = readFileSync(join(folder, name));
      file[file.length - 1] = 0xff ^ (file.at(-1) ?? 0);
      writeFileSync(join(folder, name), file);
    }
    expect(sent(await run())).toBeGreaterThanOrEqual(2 * mib);
  });

  // Such a disk has nothing left to be copied, just as one on which nothing changed.
  test.each(['none', 'sampled'] as const)(
    'does not take a disk that an interrupted run had filled for one that did not change (verify: %s)',
    async (verify) => {
      const job = await site.job();
      const verifying = { ...job, transfer: { ...job.transfer, verify } };
      const limits = { bytesMax: 4 * mib, durationMaxMs: 60_000 };
      await write(3 * mib, 2);
      const stop = new AbortController();
      const interrupted = await site.run(verifying, {
        cacheDir,
        limits,
        context: {
          signal: stop.signal,
          emit: (event) => {
            if (event.kind === 'disk-copied' && event.device === '1') stop.abort(new Error('Ctrl-C'));
          },
        },
      });
      expect(interrupted.report.vms[0]?.outcome.kind).toBe('cancelled');
      const resumed = await site.run(verifying, { cacheDir, limits });
      expect(resumed.report.ok).toBe(true);
      expect(resumed.report.vms[0]?.notes.join()).toContain('was filled by an interrupted run');
      // Back to what the index of the base before holds for it.
      await write(3 * mib, 1);
      const third = await site.run(verifying, { cacheDir, limits });
      expect(third.report.ok).toBe(true);
      for (const { source, target } of await compareNewest(site, third.report)) expect(target).toBe(source);
    },
  );

  test('believes nothing of another recovery point: a run elsewhere made a newer one', async () => {
    await write(3 * mib, 2);
    await run(null);
    await write(3 * mib, 1);
    expect(sent(await run())).toBeGreaterThanOrEqual(2 * mib);
  });
});
