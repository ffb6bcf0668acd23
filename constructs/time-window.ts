import { Token } from 'cdktf';
import { checkedTimeZone } from './checked';

/** A day of the week. */
export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';

const allDays: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** How the times of a window are read. */
export interface TimeWindowOptions {
  /**
   * Time zone of both times, an IANA name such as `Europe/Berlin`.
   * @default 'UTC'
   */
  readonly timeZone?: string;
}

/** What a window says to Terraform. */
export interface TimeWindowAttributes {
  readonly days?: string[];
  readonly from: string;
  readonly to: string;
  readonly timeZone: string;
}

/**
 * A stretch of the day that comes again: over midnight where it ends before it begins, and then it belongs to the day on
 * which it begins.
 *
 *     TimeWindow.weekdays('08:00', '18:00', { timeZone: 'Europe/Berlin' })
 */
export class TimeWindow {
  /**
   * Every day.
   * @param from time of day at which it begins, `HH:MM`
   * @param to time of day at which it is over; `24:00` is the end of the day
   */
  static daily(from: string, to: string, options: TimeWindowOptions = {}): TimeWindow {
    return new TimeWindow([], from, to, options);
  }

  /** Monday to Friday. */
  static weekdays(from: string, to: string, options: TimeWindowOptions = {}): TimeWindow {
    return new TimeWindow(['mon', 'tue', 'wed', 'thu', 'fri'], from, to, options);
  }

  /** On some days, at least one. */
  static on(days: readonly Weekday[], from: string, to: string, options: TimeWindowOptions = {}): TimeWindow {
    checkDays(days);
    return new TimeWindow(days, from, to, options);
  }

  readonly #attributes: TimeWindowAttributes;

  private constructor(
    days: readonly Weekday[],
    from: string,
    to: string,
    { timeZone = 'UTC' }: TimeWindowOptions,
  ) {
    checkTimes(from, to);
    checkedTimeZone('timeZone of TimeWindow', timeZone);
    this.#attributes = { ...(days.length === 0 ? {} : { days: [...days] }), from, to, timeZone };
  }

  /** As the provider reads it. */
  toAttributes(): TimeWindowAttributes {
    return this.#attributes;
  }
}

function checkDays(days: readonly Weekday[]): void {
  if (Token.isUnresolved(days)) return;
  if (days.length === 0) {
    throw new Error('TimeWindow.on must name at least one day: a window on every day is TimeWindow.daily');
  }
  const strange = days.find((day) => !Token.isUnresolved(day) && !allDays.includes(day));
  if (strange !== undefined) {
    throw new Error(`TimeWindow.on must name days of the week (${allDays.join(', ')}), not "${strange}"`);
  }
  if (new Set(days).size < days.length) throw new Error('TimeWindow.on must name each day once');
}

function checkTimes(from: string, to: string): void {
  for (const [property, time] of [
    ['from', from],
    ['to', to],
  ] as const) {
    if (Token.isUnresolved(time)) continue;
    if (/^(?:[01]\d|2[0-3]):[0-5]\d$/.test(time) || (property === 'to' && time === '24:00')) continue;
    throw new Error(
      `${property} of TimeWindow must be a time of day of two digits each, like "06:30", not "${time}"` +
        (time === '24:00' ? ': a window that begins at the end of a day begins at "00:00"' : ''),
    );
  }
  if (!Token.isUnresolved(from) && from === to) {
    throw new Error(
      `from and to of TimeWindow are both "${from}", which may mean never or always: ` +
        'leave the window out, or write "00:00" and "24:00" for the whole day',
    );
  }
}
