import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { importSeed, systemClock } from '../../engine';
import type { ImportReport, SeedFiles } from '../../engine';
import type { Pool } from '../../xapi';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { CliError, messageOf } from '../failure';
import { bytes } from '../output/quantities';
import { table } from '../output/table';
import { printable } from '../output/text';
import { seedProgressFor } from '../progress/seed';

export interface SeedImportOptions {
  readonly targetPool: string;
  readonly sr: string;
  readonly from: string | null;
  readonly disks: readonly { readonly device: string; readonly path: string }[];
  readonly name: string | null;
  /** Null: as much as the pool takes. */
  readonly bytesPerSecond: number | null;
}

/** Brings files into an SR. */
export async function seedImport(command: Command, options: SeedImportOptions): Promise<number> {
  const { io, signal } = command;
  const files = await filesOf(command, options);
  await using connections = Connections.open(command);
  const target = await connections.named(options.targetPool);
  const srUuid = await srOf(command, target, options.sr);
  const progress = seedProgressFor(command);
  let report: ImportReport;
  try {
    report = await importSeed({
      target,
      srUuid,
      files,
      ...(options.bytesPerSecond === null ? {} : { bytesPerSecond: options.bytesPerSecond }),
      context: { runId: io.newId(), who: io.who, clock: systemClock, signal, emit: progress.show },
    });
  } finally {
    progress.end();
  }
  answer(command, { kind: 'report', ...report }, () => reportLines(report, command.out.width));
  return exitCodes.ok;
}

async function filesOf({ io }: Command, { from, disks, name }: SeedImportOptions): Promise<SeedFiles> {
  if (from !== null && (disks.length > 0 || name !== null)) {
    throw usage('--from stands for all disks and the name', 'give either --from, or --disk and --name');
  }
  if (from === null) {
    if (disks.length === 0 || name === null) {
      throw usage('No files were named', 'give --from, or --name and a --disk for each disk');
    }
    const named = disks.map(({ device, path }) => ({ device, path: resolve(io.cwd, path) }));
    return { kind: 'disks', name, disks: named };
  }
  const path = resolve(io.cwd, from);
  const found = await stat(path).catch((error: unknown) => {
    throw new CliError(
      'seed-file',
      `Cannot open ${path}: ${messageOf(error)}`,
      'name a folder or an archive',
    );
  });
  return found.isDirectory() ? { kind: 'folder', path } : { kind: 'archive', path };
}

function usage(message: string, hint: string): CliError {
  return new CliError('usage', message, hint, exitCodes.usage);
}

async function srOf({ signal }: Command, target: Pool, wanted: string): Promise<string> {
  const srs = Object.values(await target.call('SR.get_all_records', [], { signal }));
  const byUuid = srs.find(({ uuid }) => uuid.toLowerCase() === wanted.toLowerCase());
  if (byUuid !== undefined) return byUuid.uuid;
  const named = srs.filter(({ name_label: label }) => label === wanted);
  const [only, another] = named;
  if (only !== undefined && another === undefined) return only.uuid;
  throw new CliError(
    'sr-missing',
    named.length > 1
      ? `Pool "${target.name}" has ${String(named.length)} SRs named "${wanted}": ${named.map(({ uuid }) => uuid).join(', ')}`
      : `Pool "${target.name}" has no SR "${wanted}"`,
    named.length > 1 ? 'give the uuid of the one you mean' : 'xe sr-list shows names and uuids',
  );
}

const columns = [
  { title: 'DISK' },
  { title: 'SIZE', align: 'right' },
  { title: 'SENT', align: 'right' },
  { title: 'VDI' },
] as const;

function reportLines(
  { vm, disks, checked, wasComplete }: ImportReport,
  width: number | null,
): readonly string[] {
  const rows = disks.map(({ device, sizeBytes, bytesSent, vdiUuid }) => [
    device,
    bytes(sizeBytes),
    bytes(bytesSent),
    vdiUuid,
  ]);
  const how = checked
    ? 'every block was compared with its digest'
    : 'without digests of the source: attach it with --verify full';
  return [
    printable(`${basename(vm.name)}: ${wasComplete ? 'was imported before' : `imported; ${how}`}`),
    '',
    ...table(columns, rows, width),
    '',
    `target VM ${vm.uuid}`,
  ];
}
