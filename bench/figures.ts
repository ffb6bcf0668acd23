/**
 * First figures of the main job: rates, memory, calls. Prints a table.
 *
 *     npm run bench
 */
import { BenchSite } from './site';
import type { EngineRunFigures } from './engine-run';

const mib = 1024 ** 2;
const gib = 1024 ** 3;

interface Row {
  readonly name: string;
  readonly figures: EngineRunFigures;
}

async function measure(sizeBytes: number, filledBytes: number): Promise<readonly Row[]> {
  const site = await BenchSite.start([sizeBytes, 64 * mib]);
  try {
    await site.fill(0, 0, filledBytes, 1);
    const job = await site.job();
    const label = `${String(sizeBytes / gib)} GiB disk, ${String(filledBytes / mib)} MiB in it`;
    const full = await site.run(job);
    await site.fill(0, 0, filledBytes / 2, 2);
    const delta = await site.run(job);
    const nothing = await site.run(job);
    return [
      { name: `full, ${label}`, figures: full },
      { name: `delta of ${String(filledBytes / 2 / mib)} MiB, ${label}`, figures: delta },
      { name: `nothing changed, ${label}`, figures: nothing },
    ];
  } finally {
    await site.close();
  }
}

function print(rows: readonly Row[]): void {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const head = ['wall s', 'CPU s', 'sent MiB', 'MB/s', 'peak RSS MiB', 'XAPI calls'];
  process.stdout.write(`${''.padEnd(width)}  ${head.map((text) => text.padStart(12)).join('')}\n`);
  for (const { name, figures } of rows) {
    const sent = figures.report.vms
      .flatMap(({ disks }) => disks)
      .reduce((sum, disk) => sum + disk.sentBytes, 0);
    const calls = Object.values(figures.calls).reduce((sum, count) => sum + count, 0);
    const cells = [
      (figures.wallMs / 1000).toFixed(2),
      (figures.cpuMs / 1000).toFixed(2),
      (sent / mib).toFixed(1),
      (sent / 1e6 / (figures.wallMs / 1000)).toFixed(0),
      (figures.peakRssBytes / mib).toFixed(0),
      String(calls),
    ];
    process.stdout.write(`${name.padEnd(width)}  ${cells.map((text) => text.padStart(12)).join('')}\n`);
  }
}

async function main(): Promise<void> {
  const rows = [...(await measure(gib, 512 * mib)), ...(await measure(8 * gib, 1024 * mib))];
  print(rows);
  const last = rows.at(-1)?.figures.calls ?? {};
  process.stdout.write(`\ncalls of a run with nothing changed: ${JSON.stringify(last)}\n`);
}

void main();
