/** Many VMs, some at once, against one stream of as many bytes that never pauses: does the engine let the line idle? */
import type { Bench, Part } from '../bench';
import { CurlPeer } from '../curl';
import type { CurlFigures } from '../curl';
import type { RunFigures } from '../engine-run';
import { mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const manyVms: Part = { name: '50 VMs', measure };

/** 1 Gbit/s: two cores compute faster than that, so what is measured is who lets the line idle, not who computes slower. */
const lineBytesPerSecond = 125_000_000;

interface Size {
  readonly vms: number;
  readonly vmBytes: number;
}

interface Found {
  readonly own: RunFigures;
  readonly peer: Readonly<Record<Peer, CurlFigures>>;
}

type Peer = 'read' | 'written';

/** One round: each of its copies moves gigabytes, and the line makes it last long enough to be steady. */
async function measure({ processes, quick }: Bench): Promise<readonly Figure[]> {
  const size: Size = quick ? { vms: 16, vmBytes: 16 * mib } : { vms: 50, vmBytes: 48 * mib };
  await using site = await startSite(processes, size);
  await using curl = await CurlPeer.start(processes, site, 'one stream');
  const file = await curl.keep();
  const allBytes = size.vms * size.vmBytes;
  const alone = async (): Promise<Found['peer']> => ({
    read: await curl.read([['source', curl.vdiUuid]]),
    written: await curl.write(allBytes, file),
  });
  await setLines(site, lineBytesPerSecond);
  const onLine: Found = { peer: await alone(), own: await run(site, 1) };
  await setLines(site, null);
  const both = await curl.copy(allBytes);
  const without: Found = { peer: await alone(), own: await run(site, 2) };
  return figures(size, onLine, without, both);
}

function figures(
  { vms, vmBytes }: Size,
  onLine: Found,
  without: Found,
  both: CurlFigures,
): readonly Figure[] {
  const what = `${String(vms)} VMs of ${String(vmBytes / mib)} MiB, 4 at once`;
  return [
    { name: `${what}, over lines of 1 Gbit/s: wall`, ...againstSlower(onLine), atMost: 1.1 },
    { name: `${what}, no line, against one stream alone: wall`, ...againstSlower(without), atMost: null },
    {
      name: `${what}, no line, against one stream through both pools: wall`,
      unit: 's',
      ours: [seconds(without.own)],
      peer: { what: 'curl | curl', values: [seconds(both)] },
      atMost: null,
    },
    {
      name: `${what}: peak memory`,
      unit: 'MiB',
      ours: [onLine, without].map(({ own }) => own.peakRssBytes / mib),
      peer: null,
      atMost: null,
    },
  ];
}

function againstSlower({ own, peer }: Found): Pick<Figure, 'unit' | 'ours' | 'peer' | 'details'> {
  const slower: Peer = peer.read.wallMs > peer.written.wallMs ? 'read' : 'written';
  return {
    unit: 's',
    ours: [seconds(own)],
    peer: { what: `curl, ${slower}`, values: [seconds(peer[slower])] },
    details: { readSeconds: [seconds(peer.read)], writtenSeconds: [seconds(peer.written)] },
  };
}

function seconds({ wallMs }: { readonly wallMs: number }): number {
  return wallMs / 1000;
}

/** The VMs, and one disk that holds as much as all of theirs. */
async function startSite(processes: Bench['processes'], { vms, vmBytes }: Size): Promise<BenchSite> {
  const names = Array.from({ length: vms }, (_, index) => `vm ${String(index)}`);
  const site = await BenchSite.start(processes, {
    vms: [
      ...names.map((name) => ({ name, diskSizesBytes: [2 * vmBytes] })),
      { name: 'one stream', diskSizesBytes: [vms * vmBytes], tags: [] },
    ],
  });
  const source = site.control('source');
  for (const name of names) await source.fillDisk(await site.disk(name), 0, vmBytes);
  await source.fillDisk(await site.disk('one stream'), 0, vms * vmBytes);
  return site;
}

async function setLines(site: BenchSite, bytesPerSecond: number | null): Promise<void> {
  for (const side of ['source', 'target'] as const)
    await site.control(side).setLineSpeed(`${side}-1`, bytesPerSecond);
}

async function run(site: BenchSite, round: number): Promise<RunFigures> {
  const job = await site.job(round);
  const found = await site.run(job);
  await site.assertEqual(found.report);
  await site.forget(job);
  return found;
}
