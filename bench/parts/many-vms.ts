/** Many VMs, some at once, against one stream that never pauses. */
import type { Bench, Part } from '../bench';
import { CurlPeer } from '../curl';
import { inTurn, median, mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const manyVms: Part = { name: '50 VMs', measure };

const vmCount = 50;
/** Gigabytes each: five rounds would take longer than everything else together. */
const roundsMax = 3;

async function measure({ processes, quick, rounds }: Bench): Promise<readonly Figure[]> {
  const dataBytes = (quick ? 8 : 48) * mib;
  const peerBytes = (quick ? 256 : 512) * mib;
  const names = Array.from({ length: vmCount }, (_, index) => `vm ${String(index)}`);
  await using site = await BenchSite.start(processes, {
    vms: [
      ...names.map((name) => ({ name, diskSizesBytes: [2 * dataBytes] })),
      { name: 'one stream', diskSizesBytes: [peerBytes] },
    ],
  });
  const source = site.control('source');
  for (const name of names) await source.fillDisk(await site.disk(name), 0, dataBytes);
  await source.fillDisk(await site.disk('one stream'), 0, peerBytes);
  await using curl = await CurlPeer.start(processes, site, 'one stream');
  const file = await curl.keep();
  const uuids = await Promise.all(names.map((name) => source.vmUuid(name)));
  const measured = await inTurn(
    Math.min(rounds, roundsMax),
    async () => ({
      read: await curl.read([['source', curl.vdiUuid]]),
      written: await curl.write(peerBytes, file),
      copied: await curl.copy(peerBytes),
    }),
    async (round) => {
      const job = await site.job(round, { selection: { uuids, tags: [] } });
      const figures = await site.run(job);
      await site.assertEqual(figures.report);
      await site.forget(job);
      return figures;
    },
  );
  const share = (vmCount * dataBytes) / curl.bytes / 1000;
  const took = (kind: 'read' | 'written' | 'copied'): number[] =>
    measured.peer.map((one) => one[kind].wallMs * share);
  const slower = median(took('read')) > median(took('written')) ? 'read' : 'written';
  const what = `${String(vmCount)} VMs of ${String(dataBytes / mib)} MiB, 4 at once: wall`;
  const ours = measured.own.map(({ wallMs }) => wallMs / 1000);
  return [
    {
      name: `${what}, against one stream ${slower === 'read' ? 'from' : 'into'} the slower pool alone`,
      unit: 's',
      ours,
      peer: { what: `curl, ${slower}`, values: took(slower) },
      atMost: 1.1,
      details: { readSeconds: took('read'), writtenSeconds: took('written') },
    },
    {
      name: `${what}, against one stream through both pools`,
      unit: 's',
      ours,
      peer: { what: 'curl | curl', values: took('copied') },
      atMost: null,
    },
    {
      name: `${String(vmCount)} VMs of ${String(dataBytes / mib)} MiB, 4 at once: peak memory`,
      unit: 'MiB',
      ours: measured.own.map(({ peakRssBytes }) => peakRssBytes / mib),
      peer: null,
      atMost: null,
    },
  ];
}
