/** When a job's schedule wants runs. Cron expressions are read by croner; what time zones make of them is decided by us. */
import { Cron } from 'croner';
import type { NextOccurrence } from '../planner/agent-schedule';
import type { JobDefinition } from '../planner/job';
import { everyInterval, inTimeZone, withJitter } from '../planner/occurrences';
import type { Calendar } from '../planner/occurrences';

/**
 * @throws Error where a cron expression or a time zone cannot be read: it names it and says what is wrong
 */
export function occurrencesOf({
  jobId,
  schedule,
  jitterMs,
}: Pick<JobDefinition, 'jobId' | 'schedule' | 'jitterMs'>): NextOccurrence {
  switch (schedule.kind) {
    case 'manual':
      return () => null;
    case 'every':
      return withJitter(everyInterval(schedule.intervalMs), jobId, jitterMs);
    case 'cron': {
      const { expression, timeZone } = schedule;
      refuseUnknownZone(timeZone);
      const next = inTimeZone(calendarOf(expression), timeZone, namesEveryHour(expression));
      return withJitter(next, jobId, jitterMs);
    }
  }
}

/**
 * The expression in UTC, whose clock is never set: croner's own time zones leave out an hour of a rhythm when summer time
 * ends (version 9.1: every half hour pauses for an hour and a half).
 */
function calendarOf(expression: string): Calendar {
  let cron: Cron;
  try {
    cron = new Cron(expression, { timezone: 'UTC', paused: true });
  } catch (error) {
    throw new Error(
      `Cannot read the cron expression "${expression}": ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  return (after) => cron.nextRun(new Date(after))?.getTime() ?? null;
}

function refuseUnknownZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch (error) {
    throw new Error(`Time zone "${timeZone}" is not known; write an IANA name such as Europe/Paris`, {
      cause: error,
    });
  }
}

/** The hour is the second field of five, the third of six, which begin with seconds. */
function namesEveryHour(expression: string): boolean {
  const fields = expression.trim().split(/\s+/);
  if (expression.trim().startsWith('@')) return expression.trim() === '@hourly';
  return (fields.length >= 6 ? fields[2] : fields[1])?.startsWith('*') ?? false;
}
