/** What the engine's process needs at its peak, for a small and for a large disk with the same data. */
import type { Bench, Part } from '../bench';
import { gib, median, mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const memory: Part = { name: 'memory', measure };

const dataBytes = 512 * mib;
const pieceBytes = 4 * mib;
/** It hardly varies. */
const roundsMax = 3;

async function measure(bench: Bench): Promise<readonly Figure[]> {
  const small = await peaks(bench, gib);
  const large = await peaks(bench, 64 * gib);
  const what = `full, ${String(dataBytes / mib)} MiB of data all over a disk of`;
  return [
    { name: `${what} 1 GiB: peak memory`, unit: 'MiB', ours: small, peer: null, atMost: 160 },
    { name: `${what} 64 GiB: peak memory`, unit: 'MiB', ours: large, peer: null, atMost: 160 },
    {
      name: `${what} 64 GiB: peak memory above that of 1 GiB`,
      unit: 'MiB',
      ours: [median(large) - median(small)],
      peer: null,
      details: { smallMib: small, largeMib: large },
      // The index of a delta's grains takes 256 KiB for each GiB of disk, and nothing else may grow.
      atMost: 20,
    },
  ];
}

async function peaks({ processes, rounds }: Bench, sizeBytes: number): Promise<readonly number[]> {
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [sizeBytes] }],
  });
  const disk = await site.disk('db1');
  const stepBytes = (sizeBytes / dataBytes) * pieceBytes;
  for (let atBytes = 0; atBytes < sizeBytes; atBytes += stepBytes)
    await site.control('source').fillDisk(disk, atBytes, pieceBytes, atBytes);
  const found: number[] = [];
  for (let round = 0; round < Math.min(rounds, roundsMax); round += 1) {
    const job = await site.job(round);
    const { peakRssBytes, report } = await site.run(job);
    await site.assertEqual(report);
    await site.forget(job);
    found.push(peakRssBytes / mib);
  }
  return found;
}
