/** Many VMs, some at once, against one stream of as many bytes that never pauses: does the engine let the line idle? */
import type { Bench, Part } from '../bench';
import { CurlPeer } from '../curl';
import type { CurlFigures } from '../curl';
import type { RunFigures } from '../engine-run';
import { inTurn, mib } from '../measure';
import type { Figure } from '../measure';
import { BenchSite } from '../site';

export const manyVms: Part = { name: '50 VMs', measure };

/** 1 Gbit/s: two cores compute faster than that, so what is measured is who lets the line idle, not who computes slower. */
const lineBytesPerSecond = 125_000_000;

interface Size {
  readonly vms: number;
  readonly vmBytes: number;
}

/** A single stream that reads from the source alone, or writes to the target alone. */
type Peer = 'read' | 'written';
type Streams = Readonly<Record<Peer, () => Promise<CurlFigures>>>;

interface Found {
  readonly own: readonly RunFigures[];
  readonly peer: readonly CurlFigures[];
  /** Which of both the peer is: the slower one. */
  readonly slower: Peer;
  readonly details: Readonly<Record<string, readonly number[]>>;
}

/** Each round moves gigabytes over lines, for a minute. */
const roundsMax = 3;

/** What is only shown is measured once. */
async function measure({ processes, quick, rounds }: Bench): Promise<readonly Figure[]> {
  const size: Size = quick ? { vms: 16, vmBytes: 16 * mib } : { vms: 50, vmBytes: 48 * mib };
  await using site = await startSite(processes, size);
  await using curl = await CurlPeer.start(processes, site, 'one stream');
  const file = await curl.keep();
  const allBytes = size.vms * size.vmBytes;
  const streams: Streams = {
    read: () => curl.read([['source', curl.vdiUuid]]),
    written: () => curl.write(allBytes, file),
  };
  let jobs = 0;
  const own = (): Promise<RunFigures> => run(site, (jobs += 1));
  await setLines(site, lineBytesPerSecond);
  const onLine = await againstSlower(Math.min(rounds, roundsMax), streams, own);
  await setLines(site, null);
  const both = await curl.copy(allBytes);
  const without = await againstSlower(1, streams, own);
  return figures(size, onLine, without, both);
}

/** Both streams once; then the slower one, whose first round that was, and the run in turn. */
async function againstSlower(
  rounds: number,
  streams: Streams,
  own: () => Promise<RunFigures>,
): Promise<Found> {
  const first = { read: await streams.read(), written: await streams.written() };
  const slower: Peer = first.read.wallMs > first.written.wallMs ? 'read' : 'written';
  const measured = await inTurn(
    rounds,
    async (round) => (round === 0 ? first[slower] : streams[slower]()),
    own,
  );
  const details = { readSeconds: [seconds(first.read)], writtenSeconds: [seconds(first.written)] };
  return { ...measured, slower, details };
}

function figures(
  { vms, vmBytes }: Size,
  onLine: Found,
  without: Found,
  both: CurlFigures,
): readonly Figure[] {
  const what = `${String(vms)} VMs of ${String(vmBytes / mib)} MiB, 4 at once`;
  return [
    { name: `${what}, over lines of 1 Gbit/s: wall`, ...wall(onLine), atMost: 1.1 },
    { name: `${what}, no line, against one stream alone: wall`, ...wall(without), atMost: null },
    {
      name: `${what}, no line, against one stream through both pools: wall`,
      unit: 's',
      ours: without.own.map(seconds),
      peer: { what: 'curl | curl', values: [seconds(both)] },
      atMost: null,
    },
    {
      name: `${what}: peak memory`,
      unit: 'MiB',
      ours: [...onLine.own, ...without.own].map(({ peakRssBytes }) => peakRssBytes / mib),
      peer: null,
      atMost: null,
    },
  ];
}

function wall({ own, peer, slower, details }: Found): Pick<Figure, 'unit' | 'ours' | 'peer' | 'details'> {
  return {
    unit: 's',
    ours: own.map(seconds),
    peer: { what: `curl, ${slower}`, values: peer.map(seconds) },
    details,
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

async function run(site: BenchSite, number: number): Promise<RunFigures> {
  const job = await site.job(number);
  const found = await site.run(job);
  await site.assertEqual(found.report);
  await site.forget(job);
  return found;
}
