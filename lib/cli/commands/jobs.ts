import { listJobs, unreadableJobs } from '../../engine';
import type { JobDefinition, JobSchedule } from '../../planner/job';
import { answer } from '../command';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { poolOf, warnOfUnreadable } from '../output/pool';
import { duration } from '../output/quantities';
import { table } from '../output/table';
import { counted } from '../output/text';

/** The live jobs of a target pool. The source pool is not contacted. */
export async function jobs(
  command: Command,
  { targetPool }: { readonly targetPool: string },
): Promise<number> {
  const { signal, out } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(targetPool);
  const found = await listJobs(target, { signal });
  const unreadable = await unreadableJobs(target, { signal });
  warnOfUnreadable(command, unreadable);
  answer(command, { pool: poolOf(target), jobs: found, unreadable }, () =>
    found.length === 0
      ? [`pool "${target.name}" has no job`]
      : table(
          columns,
          found.map(({ definition }) => rowOf(definition)),
          out.width,
        ),
  );
  return exitCodes.ok;
}

const columns = [
  { title: 'JOB', shrinkTo: 12 },
  { title: 'ENABLED' },
  { title: 'SOURCE', shrinkTo: 8 },
  { title: 'VMS', shrinkTo: 10 },
  { title: 'SCHEDULE', shrinkTo: 10 },
  { title: 'KEEPS', align: 'right' },
  { title: 'ID', shrinkTo: 13 },
] as const;

function rowOf(job: JobDefinition): readonly string[] {
  return [
    job.name,
    job.enabled ? 'yes' : 'no',
    job.source.poolName,
    selectionWords(job),
    scheduleWords(job.schedule),
    String(job.retention.latest),
    job.jobId,
  ];
}

function selectionWords({ selection: { uuids, tags } }: JobDefinition): string {
  const named = uuids.length === 0 ? [] : [counted(uuids.length, 'VM')];
  const tagged = tags.length === 0 ? [] : [`tagged ${tags.join(', ')}`];
  return [...named, ...tagged].join(' and ');
}

function scheduleWords(schedule: JobSchedule): string {
  switch (schedule.kind) {
    case 'manual':
      return 'manual';
    case 'every':
      return `every ${duration(schedule.intervalMs)}`;
    case 'cron':
      return `${schedule.expression} (${schedule.timeZone})`;
  }
}
