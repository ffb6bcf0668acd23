/** A first copy, against `curl` of the export piped into `curl` of an import of the same VHD. */
import type { Bench, Part } from '../bench';
import { CurlPeer } from '../curl';
import { gib, inTurn } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const full: Part = { name: 'full', measure };

async function measure({ processes, quick, rounds }: Bench): Promise<readonly Figure[]> {
  const sizeBytes = quick ? gib : 4 * gib;
  const dataBytes = sizeBytes / 2;
  await using site = await BenchSite.start(processes, {
    vms: [{ name: 'db1', diskSizesBytes: [sizeBytes] }],
  });
  await site.control('source').fillDisk(await site.disk('db1'), 0, dataBytes);
  await using curl = await CurlPeer.start(processes, site, 'db1');
  const measured = await inTurn(
    rounds,
    () => curl.copy(sizeBytes),
    async (round) => {
      // A job that has no replica yet begins with a first copy.
      const job = await site.job(round);
      const figures = await site.run(job);
      await site.assertEqual(figures.report);
      await site.forget(job);
      return figures;
    },
  );
  const what = `full, ${String(sizeBytes / gib)} GiB half allocated`;
  const perGib = (values: readonly { readonly cpuMs: number }[]): number[] =>
    values.map(({ cpuMs }) => cpuMs / 1000 / (dataBytes / gib));
  return [
    {
      name: `${what}: wall`,
      unit: 's',
      ours: measured.own.map(({ wallMs }) => wallMs / 1000),
      peer: { what: 'curl | curl', values: measured.peer.map(({ wallMs }) => wallMs / 1000) },
      atMost: 1,
    },
    {
      name: `${what}: CPU seconds per GiB`,
      unit: 's',
      ours: perGib(measured.own),
      peer: { what: 'both curls', values: perGib(measured.peer) },
      atMost: 1.3,
    },
  ];
}
