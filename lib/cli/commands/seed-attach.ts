import { resolve } from 'node:path';
import { attachSeed, digestsOf, systemClock } from '../../engine';
import type { AttachReport, AttachSeedOptions } from '../../engine';
import { rateLimits } from '../../planner/bandwidth';
import type { RateWish } from '../../planner/bandwidth';
import { seedJobOf } from '../../planner/seed';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { findJob } from '../find-job';
import { bytes } from '../output/quantities';
import { table } from '../output/table';
import { printable } from '../output/text';
import { seedProgressFor } from '../progress/seed';

export interface SeedAttachOptions {
  readonly targetPool: string;
  readonly job: string;
  readonly snapshot: string;
  readonly targetVm: string;
  readonly verify: 'none' | 'sampled' | 'full';
  readonly repair: boolean;
  /** Folder with the digests of the export. */
  readonly digests: string | null;
  readonly lockWaitMs: number;
  readonly rate: RateWish;
}

/** Makes an imported VM the replica of a snapshot. */
export async function seedAttach(command: Command, options: SeedAttachOptions): Promise<number> {
  const { io, signal } = command;
  const { digests, snapshot } = options;
  const manifest = digests === null ? null : await digestsOf(resolve(io.cwd, digests), snapshot);
  await using connections = Connections.open(command);
  const target = await connections.named(options.targetPool);
  const job = await findJob(target, options.job, { signal });
  const source = await connections.source(job);
  const report = await attachShowing(command, {
    source,
    target,
    job: seedJobOf(job),
    snapshotUuid: options.snapshot,
    targetVmUuid: options.targetVm,
    verify: options.verify,
    repair: options.repair,
    lockWaitMs: options.lockWaitMs,
    rate: rateLimits(job.limits, options.rate),
    ...(manifest === null ? {} : { manifest }),
  });
  answer(command, { kind: 'report', ...report }, () => attachLines(report, command.out.width));
  return exitCodes.ok;
}

/** Also for `xo-cr-seed`, which finds pools and job in another way. */
export async function attachShowing(
  command: Command,
  options: Omit<AttachSeedOptions, 'context'>,
): Promise<AttachReport> {
  const { io, signal } = command;
  if (options.repair === true && options.verify !== 'full') {
    command.note('--repair compares every byte: what was not read cannot be repaired');
  }
  const progress = seedProgressFor(command);
  try {
    return await attachSeed({
      ...options,
      context: { runId: io.newId(), who: io.who, clock: systemClock, signal, emit: progress.show },
    });
  } finally {
    progress.end();
  }
}

const columns = [
  { title: 'DISK' },
  { title: 'SIZE', align: 'right' },
  { title: 'COMPARED', align: 'right' },
  { title: 'WITH' },
  { title: 'REPAIRED', align: 'right' },
] as const;

export function attachLines(report: AttachReport, width: number | null): readonly string[] {
  const rows = report.disks.map(({ device, sizeBytes, comparedBytes, against, repairedBlocks }) => [
    device,
    bytes(sizeBytes),
    comparedBytes === 0
      ? 'nothing'
      : comparedBytes === sizeBytes
        ? 'every byte'
        : `the first ${bytes(comparedBytes)}`,
    comparedBytes === 0 ? '' : against === 'source' ? 'source' : 'digests',
    String(repairedBlocks * 2) + ' MiB',
  ]);
  return [
    printable(
      `${report.replica.name} (${report.replica.uuid}) is the replica of ${report.vm.name}: the next run sends a delta`,
    ),
    ...(rows.length === 0 ? [] : ['', ...table(columns, rows, width)]),
  ];
}
