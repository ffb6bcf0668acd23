/** The same delta of one VM, in pools with ever more VMs that the job is not about. */
import { callsOf } from '../bench';
import type { Bench, Part } from '../bench';
import type { RunFigures } from '../engine-run';
import { exponent, median, mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const growthVms: Part = { name: 'growth by VMs', measure };

async function measure(bench: Bench): Promise<readonly Figure[]> {
  const counts = bench.quick ? [10, 100] : [10, 100, 1000];
  const details: Record<string, readonly number[]> = {};
  const wall: (readonly [number, number])[] = [];
  const calls: (readonly [number, number])[] = [];
  for (const count of counts) {
    const runs = await deltas(bench, count);
    details[`${String(count)} VMs, ms`] = runs.map(({ wallMs }) => wallMs);
    details[`${String(count)} VMs, calls`] = runs.map(callsOf);
    wall.push([count, median(runs.map(({ wallMs }) => wallMs))]);
    calls.push([count, median(runs.map(callsOf))]);
  }
  const what = `delta of one VM among ${counts.join(', ')} in each pool`;
  return [
    {
      name: `${what}: growth of wall with VMs`,
      unit: 'exponent',
      ours: [exponent(wall)],
      peer: null,
      atMost: 0.5,
      details,
    },
    {
      name: `${what}: growth of calls with VMs`,
      unit: 'exponent',
      ours: [exponent(calls)],
      peer: null,
      atMost: 0.01,
      details,
    },
  ];
}

async function deltas({ processes, rounds }: Bench, vmCount: number): Promise<readonly RunFigures[]> {
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [64 * mib] }],
    bystanders: vmCount - 1,
  });
  const disk = await site.disk('db1');
  await site.control('source').fillDisk(disk, 0, 32 * mib);
  const job = await site.job(1);
  for (let run = 0; run < 2; run += 1) await site.run(job);
  const runs: RunFigures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await site.control('source').fillDisk(disk, 0, 4 * mib, 100 + round);
    const figures = await site.run(job);
    await site.assertEqual(figures.report);
    runs.push(figures);
  }
  return runs;
}
