/** A first copy that dies at 70 %, and the one after it. Bytes do not vary: one run. */
import type { Bench, Part } from '../bench';
import { gib, mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const resume: Part = { name: 'resume', measure };

async function measure({ processes, quick }: Bench): Promise<readonly Figure[]> {
  const sizeBytes = quick ? gib : 4 * gib;
  const dataBytes = sizeBytes / 2;
  const segmentBytes = dataBytes / 16;
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [sizeBytes] }],
  });
  await site.control('source').fillDisk(await site.disk('db1'), 0, dataBytes);
  const job = await site.job(1);
  await site.runAndDie(job, 0.7 * dataBytes, segmentBytes);
  const { run, importedBytes } = await site.runCounted(job, segmentBytes);
  await site.assertEqual(run.report);
  return [
    {
      name: `resume of ${String(dataBytes / mib)} MiB, killed at 70 %: bytes sent by the second run`,
      unit: 'MiB',
      ours: [importedBytes / mib],
      peer: {
        what: `30 % and a segment of ${String(segmentBytes / mib)} MiB`,
        values: [(0.3 * dataBytes + segmentBytes) / mib],
      },
      atMost: 1,
    },
  ];
}
