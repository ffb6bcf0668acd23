/** The same first copy of ever larger disks. */
import type { Bench, Part } from '../bench';
import { exponent, gib, median } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const growthBytes: Part = { name: 'growth by bytes', measure };

const allocatedShare = 1 / 8;
/** The largest disk alone takes as long as the part that measures fulls. */
const roundsMax = 3;

async function measure(bench: Bench): Promise<readonly Figure[]> {
  const sizes = bench.quick ? [1, 2, 4] : [1, 4, 16];
  const details: Record<string, readonly number[]> = {};
  const points: (readonly [number, number])[] = [];
  for (const size of sizes) {
    const seconds = await fulls(bench, size * gib);
    details[`${String(size)} GiB, seconds`] = seconds;
    points.push([size, median(seconds)]);
  }
  return [
    {
      name: `full of ${sizes.join(', ')} GiB, an eighth allocated: growth of wall with size`,
      unit: 'exponent',
      ours: [exponent(points)],
      peer: null,
      // In proportion, and a little for the noise.
      atMost: 1.05,
      details,
    },
  ];
}

async function fulls({ processes, rounds }: Bench, sizeBytes: number): Promise<readonly number[]> {
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [sizeBytes] }],
  });
  await site.control('source').fillDisk(await site.disk('db1'), 0, sizeBytes * allocatedShare);
  const seconds: number[] = [];
  for (let round = 0; round < Math.min(rounds, roundsMax); round += 1) {
    const job = await site.job(round);
    const { wallMs, report } = await site.run(job);
    await site.assertEqual(report);
    await site.forget(job);
    seconds.push(wallMs / 1000);
  }
  return seconds;
}
