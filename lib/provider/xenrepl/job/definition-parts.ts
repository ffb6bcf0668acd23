/** Parts of a definition as values of Terraform, and back. Arguments were checked, and have their defaults, before. */
import type { JobDefinition, JobLimits, JobSchedule, TimeWindow, Weekday } from '../../../planner/job';
import { isArray, isObject } from '../../framework';
import type { Value, ValueObject } from '../../framework';
import { formatInterval, parseInterval } from '../interval';
import { choice, number, text, texts } from '../known';

/** Null where nothing is said. */
export function lengthMs(values: ValueObject, name: string): number | null {
  const value = values[name] ?? null;
  if (value === null) return null;
  const parsed = parseInterval(text(values, name));
  if (parsed === null) throw new TypeError(`${name} is not a length of time`);
  return parsed;
}

export function fromLengthMs(length: number | null): Value {
  return length === null ? null : formatInterval(length);
}

export function toSchedule(value: Value): JobSchedule {
  if (!isObject(value)) return { kind: 'manual' };
  const intervalMs = lengthMs(value, 'every');
  if (intervalMs !== null) return { kind: 'every', intervalMs };
  return { kind: 'cron', expression: text(value, 'cron'), timeZone: text(value, 'time_zone') };
}

export function fromSchedule(schedule: JobSchedule, before: Value): Value {
  switch (schedule.kind) {
    case 'manual':
      return null;
    case 'every': {
      const timeZone = isObject(before) ? (before['time_zone'] ?? null) : null;
      return { every: formatInterval(schedule.intervalMs), cron: null, time_zone: timeZone };
    }
    case 'cron':
      return { every: null, cron: schedule.expression, time_zone: schedule.timeZone };
  }
}

export function toRetention(value: ValueObject): JobDefinition['retention'] {
  return {
    latest: number(value, 'latest'),
    hourly: number(value, 'hourly'),
    daily: number(value, 'daily'),
    weekly: number(value, 'weekly'),
    monthly: number(value, 'monthly'),
    timeZone: text(value, 'time_zone'),
    sourceLatest: number(value, 'source_latest'),
  };
}

export function fromRetention(retention: JobDefinition['retention']): Value {
  return {
    latest: retention.latest,
    hourly: retention.hourly,
    daily: retention.daily,
    weekly: retention.weekly,
    monthly: retention.monthly,
    time_zone: retention.timeZone,
    source_latest: retention.sourceLatest,
  };
}

export function toWindows(value: Value): readonly TimeWindow[] {
  return objects(value).map(toWindow);
}

export function fromWindow({ days, from, to, timeZone }: TimeWindow): ValueObject {
  return { days, from, to, time_zone: timeZone };
}

export function toSnapshot(value: ValueObject): JobDefinition['snapshot'] {
  return {
    mode: choice(value, 'mode', ['disk', 'quiesce', 'memory', 'offline']),
    groupSkewMs: lengthMs(value, 'group_skew'),
  };
}

export function fromSnapshot({ mode, groupSkewMs }: JobDefinition['snapshot']): Value {
  return { mode, group_skew: fromLengthMs(groupSkewMs) };
}

export function toTransfer(value: ValueObject): JobDefinition['transfer'] {
  return {
    method: choice(value, 'method', ['auto', 'export', 'nbd']),
    enableCbt: value['enable_cbt'] === true,
    dropSnapshotData: value['drop_snapshot_data'] === true,
    verify: choice(value, 'verify', ['none', 'sampled', 'full']),
  };
}

export function fromTransfer(transfer: JobDefinition['transfer']): Value {
  return {
    method: transfer.method,
    enable_cbt: transfer.enableCbt,
    drop_snapshot_data: transfer.dropSnapshotData,
    verify: transfer.verify,
  };
}

export function toLimits(value: ValueObject): JobLimits {
  return {
    bytesPerSecond: rate(value),
    windows: objects(value['windows'] ?? null).map((window) => ({
      ...toWindow(window),
      bytesPerSecond: rate(window),
    })),
    nice: value['nice'] === true,
    transfersPerPool: number(value, 'transfers_per_pool'),
    transfersPerSr: number(value, 'transfers_per_sr'),
  };
}

export function fromLimits(limits: JobLimits): Value {
  return {
    bytes_per_second: limits.bytesPerSecond,
    windows: limits.windows.map((window) => ({
      ...fromWindow(window),
      bytes_per_second: window.bytesPerSecond,
    })),
    nice: limits.nice,
    transfers_per_pool: limits.transfersPerPool,
    transfers_per_sr: limits.transfersPerSr,
  };
}

function toWindow(value: ValueObject): TimeWindow {
  return {
    days: texts(value['days']).map((day) => choice({ day }, 'day', weekdays)),
    from: text(value, 'from'),
    to: text(value, 'to'),
    timeZone: text(value, 'time_zone'),
  };
}

const weekdays: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

function rate(value: ValueObject): number | null {
  return (value['bytes_per_second'] ?? null) === null ? null : number(value, 'bytes_per_second');
}

function objects(value: Value): readonly ValueObject[] {
  return isArray(value) ? value.filter(isObject) : [];
}
