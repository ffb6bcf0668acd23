import { Cron } from 'croner';
import type { Weekday } from '../../planner/job';
import { isJobId } from '../../planner/job-keys';
import { isArray, show } from '../framework';
import type { Validator } from '../framework';
import { formatInterval, parseInterval } from './interval';
import { canonical, isUuid } from './spelling';

export const notEmpty: Validator = (value) => (value === '' ? 'It must not be empty.' : null);

export function oneOf(...allowed: readonly string[]): Validator {
  return (value) =>
    typeof value === 'string' && allowed.includes(value)
      ? null
      : `It must be ${allowed.map((text) => `"${text}"`).join(' or ')}, not ${JSON.stringify(value)}.`;
}

export function wholeNumber(min: number, max: number, because: string): Validator {
  return (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? null
      : `It must be a whole number from ${String(min)} to ${String(max)}, not ${show(value)}: ${because}.`;
}

export const jobId: Validator = (value) =>
  typeof value === 'string' && isJobId(value)
    ? null
    : 'It must be a uuid, or up to 64 letters, digits, dots, dashes and underscores: it stands inside keys on the pool.';

export const uuid: Validator = (value) =>
  isUuid(show(value))
    ? null
    : `It must be a uuid (8-4-4-4-12 hexadecimal digits), not ${JSON.stringify(value)}.`;

/** A list of uuids, none of them twice. */
export const uuids: Validator = (value) => {
  const texts = isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  const strange = texts.find((text) => !isUuid(text));
  if (strange !== undefined) {
    return `"${strange}" is not a uuid. Names of VMs are not unique on a pool; choose VMs by a name of yours with vm_tags.`;
  }
  const twice = texts.find((text, index) => texts.map(canonical).indexOf(canonical(text)) !== index);
  return twice === undefined ? null : `"${twice}" stands in the list twice.`;
};

export const noEmptyText: Validator = (value) =>
  isArray(value) && value.includes('') ? 'It must not hold an empty text.' : null;

/** A length of time, of at least so many milliseconds and at most a year. */
export function interval(minMs: number, example: string): Validator {
  return (value) => {
    const lengthMs = typeof value === 'string' ? parseInterval(value) : null;
    if (lengthMs !== null && lengthMs >= minMs) return null;
    return (
      `It must be a length of time like ${example}, with ms, s, m, h or d behind a whole number, ` +
      `from ${formatInterval(minMs)} to a year, not ${JSON.stringify(value)}.`
    );
  };
}

/** `06:30`; only the end of a window may be `24:00`. */
export const timeOfDay: Validator = (value) =>
  typeof value === 'string' && /^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/.test(value)
    ? null
    : `It must be a time of day of two digits each, like "06:30", not ${JSON.stringify(value)}.`;

/** Days on which a window begins, none of them twice. */
export const weekdays: Validator = (value) => {
  const days = isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  const strange = days.find((day) => !(allWeekdays as readonly string[]).includes(day));
  if (strange !== undefined) return `"${strange}" is no day of the week. Write ${allWeekdays.join(', ')}.`;
  const twice = days.find((day, index) => days.indexOf(day) !== index);
  return twice === undefined ? null : `"${twice}" stands in the list twice.`;
};

const allWeekdays: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

export const timeZone: Validator = (value) => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: show(value) });
    return null;
  } catch {
    return `It must be an IANA time zone like "Europe/Berlin" or "UTC", not ${JSON.stringify(value)}.`;
  }
};

/** Five fields; seconds would promise more than an agent keeps that looks once a minute. */
export const cron: Validator = (value) => {
  const text = show(value);
  const fields = text.trim().split(/\s+/).length;
  if (fields !== 5) {
    return `It must have 5 fields (minute, hour, day of month, month, day of week), and "${text}" has ${String(fields)}.`;
  }
  try {
    const next = new Cron(text, { paused: true, timezone: 'UTC' }).nextRun();
    return next === null ? `"${text}" never comes: the job would never run.` : null;
  } catch (failure) {
    return `"${text}" is no cron expression: ${failure instanceof Error ? failure.message : String(failure)}.`;
  }
};
