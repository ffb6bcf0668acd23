import { Token } from 'cdktf';
import { Cron } from 'croner';
import { checkedTimeZone } from './checked';
import type { Duration } from './duration';

/** How a cron expression is read. */
export interface CronOptions {
  /**
   * Time zone of the expression, an IANA name such as `Europe/Berlin`.
   * @default 'UTC'
   */
  readonly timeZone?: string;
}

/** What a schedule says to Terraform. */
export interface ScheduleAttributes {
  readonly every?: string;
  readonly cron?: string;
  readonly timeZone?: string;
}

/** When the agent starts a job by itself. A job without a schedule runs only when somebody asks. */
export class Schedule {
  /**
   * At a steady pace, counted from the start of the run before.
   *
   *     Schedule.every(Duration.minutes(15))
   *
   * @param interval a minute or more
   */
  static every(interval: Duration): Schedule {
    if (interval.isKnown && interval.toSeconds() < 60) {
      throw new Error(
        `Schedule.every must be a minute or more, not ${interval.toString()}: the agent looks at its schedules once a minute`,
      );
    }
    return new Schedule({ every: interval.toString() }, interval);
  }

  /**
   * At the times of a cron expression of five fields: minute, hour, day of month, month, day of week.
   *
   *     Schedule.cron('30 22 * * MON-FRI', { timeZone: 'Europe/Berlin' })
   *
   * @throws where the expression or the time zone is none, or no such time will ever come
   */
  static cron(expression: string, { timeZone = 'UTC' }: CronOptions = {}): Schedule {
    checkedTimeZone('timeZone of Schedule.cron', timeZone);
    if (!Token.isUnresolved(expression)) checkCron(expression);
    return new Schedule({ cron: expression, timeZone });
  }

  /** Of a steady pace. */
  readonly interval: Duration | undefined;
  readonly #attributes: ScheduleAttributes;

  private constructor(attributes: ScheduleAttributes, interval?: Duration) {
    this.#attributes = attributes;
    this.interval = interval;
  }

  /** As the provider reads it. */
  toAttributes(): ScheduleAttributes {
    return this.#attributes;
  }
}

function checkCron(expression: string): void {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5) {
    throw new Error(
      `Schedule.cron must have 5 fields (minute, hour, day of month, month, day of week), and "${expression}" has ` +
        `${fields.length}: the agent looks at its schedules once a minute, so there are no seconds`,
    );
  }
  const next = nextTime(expression);
  if (next === null) {
    throw new Error(
      `Schedule.cron must name a time that comes, and "${expression}" never does: the job would never run`,
    );
  }
}

function nextTime(expression: string): Date | null {
  try {
    return new Cron(expression, { paused: true, timezone: 'UTC' }).nextRun();
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Schedule.cron cannot read "${expression}": ${detail}`, { cause });
  }
}
