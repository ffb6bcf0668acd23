import { jobDefaults, keepLatest } from '../../../planner/job';
import type { InitialCopy, JobDefinition, JobSchedule } from '../../../planner/job';
import { isArray, isObject } from '../../framework';
import type { Value, ValueObject } from '../../framework';
import { formatInterval, parseInterval } from '../interval';
import { canonical } from '../spelling';

/** What a definition has besides the arguments: looked up on the pools, or set there by others and kept. */
export interface Identity {
  readonly jobId: string;
  readonly scheduleId: string;
  readonly sourcePoolUuid: string | null;
  readonly targetPoolUuid: string;
  readonly srUuid: string;
  readonly initialCopy: InitialCopy;
}

/** The definition that wholly known arguments stand for; uuids in lower case, as the pools write them. */
export function toDefinition(values: ValueObject, identity: Identity): JobDefinition {
  const retention = object(values, 'retention');
  return {
    ...jobDefaults,
    schemaVersion: 1,
    jobId: identity.jobId,
    scheduleId: identity.scheduleId,
    name: text(values, 'name'),
    enabled: values['enabled'] === true,
    source: { poolName: text(values, 'source_pool'), poolUuid: identity.sourcePoolUuid },
    target: {
      poolName: text(values, 'target_pool'),
      poolUuid: identity.targetPoolUuid,
      srUuid: identity.srUuid,
    },
    selection: { uuids: texts(values['vm_uuids']).map(canonical), tags: texts(values['vm_tags']) },
    schedule: toSchedule(values['schedule'] ?? null),
    retention: keepLatest(number(retention, 'latest'), number(retention, 'source_latest')),
    networkMap: toNetworkMap(values['network_map'] ?? null),
    onUnmappedNetwork: text(values, 'on_unmapped_network') === 'omit' ? 'omit' : 'fail',
    initialCopy: identity.initialCopy,
    onMissingBase: text(values, 'on_missing_base') === 'full' ? 'full' : 'fail',
    onDivergence: text(values, 'on_divergence') === 'overwrite' ? 'overwrite' : 'fail',
    concurrency: number(values, 'concurrency'),
  };
}

/**
 * A definition as state. `before` is what Terraform knew: it keeps what the definition does not say (the name the user
 * gave the SR, whether an empty list was written or left out).
 */
export function toState(definition: JobDefinition, revision: number, before: ValueObject): ValueObject {
  const { source, target, selection, retention } = definition;
  return {
    name: definition.name,
    source_pool: source.poolName,
    target_pool: before['target_pool'] ?? target.poolName,
    target_sr: knownSr(before, target.srUuid),
    enabled: definition.enabled,
    vm_uuids: orEmpty(selection.uuids, before['vm_uuids']),
    vm_tags: orEmpty(selection.tags, before['vm_tags']),
    schedule: fromSchedule(definition.schedule, before['schedule'] ?? null),
    retention: { latest: retention.latest, source_latest: retention.sourceLatest },
    network_map: orEmptyMap(definition.networkMap, before['network_map']),
    on_unmapped_network: definition.onUnmappedNetwork,
    on_missing_base: definition.onMissingBase,
    on_divergence: definition.onDivergence,
    concurrency: definition.concurrency,
    delete_replicas_on_destroy: before['delete_replicas_on_destroy'] ?? null,
    job_id: definition.jobId,
    id: definition.jobId,
    schedule_id: definition.scheduleId,
    source_pool_uuid: source.poolUuid,
    target_pool_uuid: target.poolUuid,
    target_sr_uuid: target.srUuid,
    revision,
  };
}

/** @throws TypeError where a value is not a known text; arguments are checked before they come here. */
export function text(values: ValueObject, name: string): string {
  const value = values[name];
  if (typeof value !== 'string') throw new TypeError(`${name} is not a known text`);
  return value;
}

/** The known texts of a list. */
export function texts(value: Value | undefined): readonly string[] {
  return isArray(value ?? null) ? (value as readonly Value[]).filter((item) => typeof item === 'string') : [];
}

function number(values: ValueObject, name: string): number {
  const value = values[name];
  if (typeof value !== 'number') throw new TypeError(`${name} is not a known number`);
  return value;
}

function object(values: ValueObject, name: string): ValueObject {
  const value = values[name];
  if (!isObject(value)) throw new TypeError(`${name} is not a known object`);
  return value;
}

function toSchedule(value: Value): JobSchedule {
  if (!isObject(value)) return { kind: 'manual' };
  const { every = null } = value;
  if (typeof every !== 'string') {
    return { kind: 'cron', expression: text(value, 'cron'), timeZone: text(value, 'time_zone') };
  }
  const intervalMs = parseInterval(every);
  if (intervalMs === null) throw new TypeError(`"${every}" is not an interval`);
  return { kind: 'every', intervalMs };
}

function fromSchedule(schedule: JobSchedule, before: Value): Value {
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

function toNetworkMap(value: Value): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.keys(value).map((key) => [canonical(key), canonical(text(value, key))]));
}

function knownSr(before: ValueObject, srUuid: string): Value {
  const same = typeof before['target_sr_uuid'] === 'string' && canonical(before['target_sr_uuid']) === srUuid;
  return same ? (before['target_sr'] ?? srUuid) : srUuid;
}

function orEmpty(list: readonly string[], before: Value | undefined): Value {
  return list.length > 0 ? list : isArray(before ?? null) ? [] : null;
}

function orEmptyMap(map: Readonly<Record<string, string>>, before: Value | undefined): Value {
  return Object.keys(map).length > 0 ? map : isObject(before) ? {} : null;
}
