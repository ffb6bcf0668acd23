/** Reading a recovery point back and comparing it with its source, against only reading both. */
import type { Bench, Part } from '../bench';
import { CurlPeer } from '../curl';
import { gib, inTurn, mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const verify: Part = { name: 'verify', measure };

/** Each round reads the disk four times. */
const roundsMax = 3;

async function measure({ processes, quick, rounds }: Bench): Promise<readonly Figure[]> {
  const sizeBytes = quick ? gib : 4 * gib;
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [sizeBytes] }],
  });
  await site.control('source').fillDisk(await site.disk('db1'), 0, sizeBytes / 2);
  await using curl = await CurlPeer.start(processes, site, 'db1');
  const job = await site.job(1);
  const { report } = await site.run(job);
  const outcome = report.vms[0]?.outcome;
  if (outcome?.kind !== 'replicated') throw new Error('there is no recovery point to verify');
  const copy = await site.control('target').diskOf(outcome.point.uuid, 0);
  const original = await site.control('source').diskOf(outcome.sourceSnapshot.uuid, 0);
  const measured = await inTurn(
    Math.min(rounds, roundsMax),
    () =>
      curl.read([
        ['source', original],
        ['target', copy],
      ]),
    () => site.verify(job),
  );
  return [
    {
      name: `full verification, ${String(sizeBytes / gib)} GiB half allocated: wall`,
      unit: 's',
      ours: measured.own.map(({ wallMs }) => wallMs / 1000),
      peer: { what: 'curl of both pools', values: measured.peer.map(({ wallMs }) => wallMs / 1000) },
      atMost: 1.2,
    },
    {
      name: `full verification, ${String(sizeBytes / gib)} GiB: peak memory`,
      unit: 'MiB',
      ours: measured.own.map(({ peakRssBytes }) => peakRssBytes / mib),
      peer: null,
      atMost: null,
    },
  ];
}
