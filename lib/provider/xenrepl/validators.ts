import { Cron } from 'croner';
import { isJobId } from '../../planner/job-keys';
import { isArray, show } from '../framework';
import type { Validator } from '../framework';
import { parseInterval } from './interval';
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

export const interval: Validator = (value) =>
  typeof value === 'string' && parseInterval(value) !== null
    ? null
    : `It must be minutes, hours or days like "15m", "2h" or "1d", at most a year, not ${JSON.stringify(value)}.`;

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
