/**
 * What this product promises of itself, measured against its peers on the same simulated pools in the same run.
 *
 *     npm run bench -- [--quick] [--json <path>]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { curlCopies } from './curl';
import type { EngineRunFigures } from './engine-run';
import { BenchSite } from './site';

const mib = 1024 ** 2;
const gib = 1024 ** 3;
const grainBytes = 65_536;

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly target: number;
  readonly unit: string;
}

const quick = process.argv.includes('--quick');
const rounds = quick ? 1 : 5;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

async function repeated(site: BenchSite, before: () => Promise<void>): Promise<readonly EngineRunFigures[]> {
  const job = await site.job();
  const figures: EngineRunFigures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await before();
    figures.push(await site.run(job));
  }
  return figures;
}

function sentBytes({ report }: EngineRunFigures): number {
  return report.vms.flatMap(({ disks }) => disks).reduce((sum, disk) => sum + disk.sentBytes, 0);
}

function calls({ calls: byMethod }: EngineRunFigures): number {
  return Object.values(byMethod).reduce((sum, count) => sum + count, 0);
}

/** A first copy each time: a job of another id has no replica yet. */
async function fulls(): Promise<readonly Figure[]> {
  const sizeBytes = quick ? gib : 4 * gib;
  await using site = await started([sizeBytes]);
  await site.fill(0, 0, sizeBytes / 2, 1);
  const curl = await curlCopies(site, sizeBytes, rounds);
  const job = await site.job();
  const own: EngineRunFigures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const jobId = `22222222-2222-4222-8222-${String(round).padStart(12, '0')}`;
    own.push(await site.run({ ...job, jobId }));
  }
  const wall = median(own.map(({ wallMs }) => wallMs)) / median(curl.map(({ wallMs }) => wallMs));
  const cpu = median(own.map(({ cpuMs }) => cpuMs)) / median(curl.map(({ cpuMs }) => cpuMs));
  const label = `full, ${String(sizeBytes / gib)} GiB half allocated`;
  return [
    { name: `${label}: wall against curl | curl`, value: wall, target: 1, unit: 'x' },
    { name: `${label}: CPU against curl | curl`, value: cpu, target: 1.3, unit: 'x' },
  ];
}

/** Writes of 4 KiB at random places, the same ones in every try. */
async function scattered(site: BenchSite, sizeBytes: number, count: number): Promise<number> {
  const grains = new Set<number>();
  let state = 7;
  for (let write = 0; write < count; write += 1) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const atBytes = Math.floor((state / 2 ** 31) * (sizeBytes / 4096)) * 4096;
    grains.add(Math.floor(atBytes / grainBytes));
    await site.fill(0, atBytes, 4096, write + 1);
  }
  return grains.size;
}

async function deltas(): Promise<readonly Figure[]> {
  const sizeBytes = quick ? gib : 16 * gib;
  const writes = quick ? 100 : 1000;
  await using site = await started([sizeBytes]);
  await site.fill(0, 0, 64 * mib, 1);
  const job = await site.job();
  await site.run(job);
  const grains = await scattered(site, sizeBytes, writes);
  const delta = await site.run(job);
  const name = `delta, ${String(writes)} random 4 KiB writes, without CBT: sent against changed grains`;
  return [{ name, value: sentBytes(delta) / (grains * grainBytes), target: 1.1, unit: 'x' }];
}

async function nothingChanged(): Promise<readonly Figure[]> {
  await using site = await started([64 * mib, 64 * mib]);
  for (const device of [0, 1]) await site.fill(device, 0, 4 * mib, 1);
  const job = await site.job();
  for (let run = 0; run < 3; run += 1) await site.run(job);
  const runs = await repeated(site, () => Promise.resolve());
  return [
    {
      name: 'nothing changed, 2 disks: wall',
      value: median(runs.map(({ wallMs }) => wallMs)),
      target: 400,
      unit: 'ms',
    },
    {
      name: 'nothing changed, 2 disks: XAPI calls',
      value: median(runs.map(calls)),
      target: 60,
      unit: 'calls',
    },
  ];
}

async function memory(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const size of [1, 64]) {
    await using site = await started([size * gib]);
    await site.fill(0, 0, 256 * mib, 1);
    const { peakRssBytes } = await site.run(await site.job());
    const name = `full, ${String(size)} GiB sparse: peak memory of the engine`;
    figures.push({ name, value: peakRssBytes / mib, target: 160, unit: 'MiB' });
  }
  return figures;
}

async function started(sizes: readonly number[]): Promise<BenchSite & AsyncDisposable> {
  const site = await BenchSite.start(sizes);
  return Object.assign(site, { [Symbol.asyncDispose]: () => site.close() });
}

function print(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({ name }) => name.length));
  for (const { name, value, target, unit } of figures) {
    const met = value <= target ? 'met' : 'MISSED';
    const shown = value.toFixed(unit === 'x' ? 2 : 0).padStart(9);
    process.stdout.write(
      `${name.padEnd(width)} ${shown} ${unit.padEnd(6)} at most ${String(target).padStart(4)}  ${met}\n`,
    );
  }
}

async function main(): Promise<void> {
  const figures: Figure[] = [];
  for (const part of [nothingChanged, deltas, memory, fulls]) figures.push(...(await part()));
  print(figures);
  const named = process.argv.indexOf('--json');
  const path = (named < 0 ? undefined : process.argv[named + 1]) ?? join(__dirname, 'result.json');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ quick, rounds, figures }, null, 2)}\n`);
}

void main();
