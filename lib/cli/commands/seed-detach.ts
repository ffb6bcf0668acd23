import { detachSeed, systemClock } from '../../engine';
import type { DetachReport } from '../../engine';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { printable } from '../output/text';
import { seedProgressFor } from '../progress/seed';

export interface SeedDetachOptions {
  readonly targetPool: string;
  readonly targetVm: string;
  /** Null where its snapshot is not to be touched, or the pool is gone. */
  readonly sourcePool: string | null;
}

/** Takes the marks of an attached seed off again. */
export async function seedDetach(command: Command, options: SeedDetachOptions): Promise<number> {
  const { io, signal } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(options.targetPool);
  const source = options.sourcePool === null ? null : await connections.named(options.sourcePool);
  const progress = seedProgressFor(command);
  let report: DetachReport;
  try {
    report = await detachSeed({
      source,
      target,
      targetVmUuid: options.targetVm,
      jobId: null,
      context: { runId: io.newId(), who: io.who, clock: systemClock, signal, emit: progress.show },
    });
  } finally {
    progress.end();
  }
  answer(command, { kind: 'report', ...report }, () => lines(report, source === null));
  return exitCodes.ok;
}

function lines({ vm, jobId, sourceSnapshot }: DetachReport, sourceNotAsked: boolean): readonly string[] {
  const snapshot =
    sourceSnapshot !== null
      ? `source snapshot ${sourceSnapshot} is free again`
      : sourceNotAsked
        ? `the source snapshot keeps the marks of job ${jobId}: without --source-pool it was not touched`
        : 'its source snapshot is gone';
  return [
    printable(`${vm.name} (${vm.uuid}) is no replica of job ${jobId} any more, and may be started`),
    snapshot,
  ];
}
