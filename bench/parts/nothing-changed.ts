/** A run of a job whose VM wrote nothing since the last one. */
import { callsOf } from '../bench';
import type { Bench, Part } from '../bench';
import { mib } from '../measure';
import type { Figure } from '../measure';
import type { RunFigures } from '../engine-run';
import { BenchSite } from '../site';

export const nothingChanged: Part = { name: 'nothing changed', measure };

async function measure({ processes, rounds }: Bench): Promise<readonly Figure[]> {
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [64 * mib, 64 * mib] }],
  });
  for (const device of [0, 1])
    await site.control('source').fillDisk(await site.disk('db1', device), 0, 4 * mib, device);
  const job = await site.job(1);
  // From the third run on each of them also removes a superseded recovery point.
  for (let run = 0; run < 3; run += 1) await site.run(job);
  const runs: RunFigures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const figures = await site.run(job);
    await site.assertEqual(figures.report);
    runs.push(figures);
  }
  const what = 'nothing changed, 1 VM with 2 disks and a network card';
  return [
    { name: `${what}: wall`, unit: 'ms', ours: runs.map(({ wallMs }) => wallMs), peer: null, atMost: 400 },
    {
      name: `${what}: XAPI calls`,
      unit: 'calls',
      ours: runs.map(callsOf),
      peer: null,
      atMost: 60,
      details: byMethod(runs),
    },
  ];
}

function byMethod(runs: readonly RunFigures[]): Readonly<Record<string, readonly number[]>> {
  const methods = [...new Set(runs.flatMap(({ calls }) => Object.keys(calls)))].sort();
  return Object.fromEntries(methods.map((method) => [method, runs.map(({ calls }) => calls[method] ?? 0)]));
}
