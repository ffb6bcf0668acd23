/** What goes over the line for little writes all over a large disk. Bytes do not vary: one run each. */
import type { Bench, Part } from '../bench';
import { jobDefaults } from '../../lib/planner/job';
import type { JobTransfer } from '../../lib/planner/job';
import { gib, mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const delta: Part = { name: 'delta', measure };

const grainBytes = 64 * 1024;
const writeBytes = 4096;
const blockBytes = 2 * mib;

async function measure({ processes, quick }: Bench): Promise<readonly Figure[]> {
  const sizeBytes = quick ? 4 * gib : 16 * gib;
  const writes = quick ? 250 : 1000;
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [sizeBytes] }],
    nbd: true,
  });
  await fillSparsely(site, sizeBytes);
  const transfer: JobTransfer = { ...jobDefaults.transfer, enableCbt: true };
  const job = await site.job(1, { transfer });
  await site.run(job);
  const figures: Figure[] = [];
  for (const [method, how] of [
    ['export', 'without CBT'],
    ['nbd', 'with CBT'],
  ] as const) {
    const grains = await writeAllOver(site, sizeBytes, writes, method === 'nbd' ? 2 : 1);
    const { run, importedBytes } = await site.runCounted({ ...job, transfer: { ...transfer, method } });
    const used = run.report.vms[0]?.disks[0]?.method;
    if (used !== method) throw new Error(`a delta was read by ${String(used)} and not by ${method}`);
    await site.assertEqual(run.report);
    figures.push({
      name: `delta, ${String(writes)} random 4 KiB writes on ${String(sizeBytes / gib)} GiB, ${how}: bytes sent`,
      unit: 'MiB',
      ours: [importedBytes / mib],
      peer: { what: 'changed 64 KiB grains', values: [(grains * grainBytes) / mib] },
      atMost: 1.1,
    });
  }
  return figures;
}

/** Every sixteenth block, so that writes meet both what was there and what was not. */
async function fillSparsely(site: BenchSite, sizeBytes: number): Promise<void> {
  const disk = await site.disk('db1');
  for (let atBytes = 0; atBytes < sizeBytes; atBytes += 16 * blockBytes)
    await site.control('source').fillDisk(disk, atBytes, blockBytes, atBytes);
}

/** The same places for the same seed. Gives the number of grains that were written to. */
async function writeAllOver(
  site: BenchSite,
  sizeBytes: number,
  writes: number,
  seed: number,
): Promise<number> {
  const disk = await site.disk('db1');
  const grains = new Set<number>();
  let state = seed;
  for (let write = 0; write < writes; write += 1) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const atBytes = Math.floor((state / 2 ** 31) * (sizeBytes / writeBytes)) * writeBytes;
    grains.add(Math.floor(atBytes / grainBytes));
    await site.control('source').fillDisk(disk, atBytes, writeBytes, seed * 10_000 + write);
  }
  return grains.size;
}
