import { resolve } from 'node:path';
import { exportSeed, systemClock } from '../../engine';
import type { ExportReport } from '../../engine';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { CliError } from '../failure';
import { bytes } from '../output/quantities';
import { table } from '../output/table';
import { printable } from '../output/text';
import { seedProgressFor } from '../progress/seed';

export interface SeedExportOptions {
  readonly sourcePool: string;
  readonly vm: string | null;
  readonly snapshot: string | null;
  readonly to: string;
  readonly format: 'xva' | 'vhd';
  readonly compress: 'none' | 'gzip';
  /** Null: as much as comes. */
  readonly bytesPerSecond: number | null;
}

/** Writes a snapshot to files. */
export async function seedExport(command: Command, options: SeedExportOptions): Promise<number> {
  const { vm, snapshot, format, compress, bytesPerSecond } = options;
  const of =
    snapshot !== null
      ? ({ kind: 'snapshot', uuid: snapshot } as const)
      : vm !== null
        ? ({ kind: 'vm', uuid: vm } as const)
        : null;
  if (of === null) {
    throw new CliError(
      'usage',
      'Neither a VM nor a snapshot was named',
      'give --vm to take a snapshot, or --snapshot for one that was taken already',
      exitCodes.usage,
    );
  }
  if (format === 'vhd' && compress !== 'none') {
    throw new CliError(
      'usage',
      '--compress is for archives: a VHD is not compressed',
      'leave it out, or take --format xva',
      exitCodes.usage,
    );
  }
  await using connections = Connections.open(command);
  const source = await connections.named(options.sourcePool);
  const { io, signal } = command;
  const progress = seedProgressFor(command);
  let report: ExportReport;
  try {
    report = await exportSeed({
      source,
      of,
      folder: resolve(io.cwd, options.to),
      format,
      compression: compress,
      ...(bytesPerSecond === null ? {} : { bytesPerSecond }),
      context: { runId: io.newId(), who: io.who, clock: systemClock, signal, emit: progress.show },
    });
  } finally {
    progress.end();
  }
  const { folder, wasComplete, manifest: seed } = report;
  const document = { kind: 'report', folder, wasComplete, seed };
  answer(command, document, () => reportLines(report, command.out.width));
  return exitCodes.ok;
}

const columns = [
  { title: 'DISK' },
  { title: 'SIZE', align: 'right' },
  { title: 'DATA', align: 'right' },
  { title: 'FILE' },
] as const;

function reportLines(
  { folder, manifest, wasComplete }: ExportReport,
  width: number | null,
): readonly string[] {
  const rows = manifest.disks.map(({ device, sizeBytes, dataBytes, file }) => [
    device,
    bytes(sizeBytes),
    bytes(dataBytes),
    file ?? manifest.file ?? '',
  ]);
  return [
    printable(`${manifest.vm.name}: ${wasComplete ? 'was exported before' : 'exported'} to ${folder}`),
    '',
    ...table(columns, rows, width),
    '',
    printable(
      `snapshot ${manifest.snapshot.uuid} on pool "${manifest.source.pool}": keep it until the seed is attached`,
    ),
  ];
}
