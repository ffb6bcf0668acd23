import { runJob, systemClock } from '../../engine';
import type { RunReport } from '../../engine';
import type { JobDefinition } from '../../planner/job';
import type { Pool } from '../../xapi';
import { cacheDirOf } from '../cache-dir';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodeOfRun } from '../exit-codes';
import { findJob } from '../find-job';
import { refuseForeignVms } from '../foreign-vms';
import { failureLinesOf, reportLines } from '../output/report';
import { progressFor } from '../progress/progress';

export interface RunOptions {
  readonly targetPool: string;
  readonly job: string;
  readonly onlyVms: readonly string[] | null;
  readonly lockWaitMs: number;
  /** Null: where the environment says. */
  readonly cacheDir: string | null;
}

/** Runs a job once, whether it is enabled or not: who types this wants it now. */
export async function run(command: Command, options: RunOptions): Promise<number> {
  const { signal } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(options.targetPool);
  const job = await findJob(target, options.job, { signal });
  const source = await connections.source(job);
  await refuseForeignVms(source, job, options.onlyVms, { signal });
  const report = await runShowing(command, options, { job, source, target });
  print(command, report);
  return exitCodeOfRun(report);
}

async function runShowing(
  command: Command,
  { onlyVms, lockWaitMs, cacheDir }: RunOptions,
  ends: { readonly job: JobDefinition; readonly source: Pool; readonly target: Pool },
): Promise<RunReport> {
  const { io, signal } = command;
  const progress = progressFor(command);
  try {
    return await runJob({
      ...ends,
      lockWaitMs,
      cacheDir: cacheDirOf(command, cacheDir),
      ...(onlyVms === null ? {} : { onlyVms }),
      context: { runId: io.newId(), who: io.who, clock: systemClock, signal, emit: progress.show },
    });
  } finally {
    progress.end();
  }
}

function print({ json, out, err }: Command, report: RunReport): void {
  if (json) {
    out.line(JSON.stringify({ kind: 'report', ...report }));
    return;
  }
  out.lines(reportLines(report, out.width));
  err.lines(report.warnings.map((text) => `warning: job "${report.job.name}": ${text}`));
  err.lines(failureLinesOf(report));
}
