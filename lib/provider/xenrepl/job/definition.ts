import type { JobDefinition } from '../../../planner/job';
import { isArray, isObject } from '../../framework';
import type { Value, ValueObject } from '../../framework';
import { choice, number, object, text, texts } from '../known';
import { canonical } from '../spelling';
import {
  fromLengthMs,
  fromLimits,
  fromRetention,
  fromSchedule,
  fromSnapshot,
  fromTransfer,
  fromWindow,
  lengthMs,
  toLimits,
  toRetention,
  toSchedule,
  toSnapshot,
  toTransfer,
  toWindows,
} from './definition-parts';

/** What a definition has besides the arguments: looked up on the pools. */
export interface Identity {
  readonly jobId: string;
  readonly scheduleId: string;
  readonly sourcePoolUuid: string | null;
  readonly targetPoolUuid: string;
  readonly srUuid: string;
}

/** The definition that wholly known arguments stand for; uuids in lower case, as the pools write them. */
export function toDefinition(values: ValueObject, identity: Identity): JobDefinition {
  return {
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
    retention: toRetention(object(values, 'retention')),
    networkMap: toNetworkMap(values['network_map'] ?? null),
    onUnmappedNetwork: choice(values, 'on_unmapped_network', ['fail', 'omit']),
    initialCopy: choice(values, 'initial_copy', ['auto', 'seed']),
    onMissingBase: choice(values, 'on_missing_base', ['fail', 'full']),
    onDivergence: choice(values, 'on_divergence', ['fail', 'overwrite']),
    concurrency: number(values, 'concurrency'),
    rpoMs: lengthMs(values, 'rpo'),
    jitterMs: lengthMs(values, 'jitter') ?? 0,
    blackouts: toWindows(values['blackouts'] ?? null),
    snapshot: toSnapshot(object(values, 'snapshot')),
    transfer: toTransfer(object(values, 'transfer')),
    limits: toLimits(object(values, 'limits')),
    maxChainDepth: number(values, 'max_chain_depth'),
  };
}

/**
 * A definition as state. `before` is what Terraform knew: it keeps what the definition does not say (the name the user
 * gave the SR, whether an empty list was written or left out).
 */
export function toState(definition: JobDefinition, revision: number, before: ValueObject): ValueObject {
  const { source, target, selection } = definition;
  return {
    name: definition.name,
    source_pool: source.poolName,
    target_pool: before['target_pool'] ?? target.poolName,
    target_sr: knownSr(before, target.srUuid),
    enabled: definition.enabled,
    vm_uuids: orEmpty(selection.uuids, before['vm_uuids']),
    vm_tags: orEmpty(selection.tags, before['vm_tags']),
    schedule: fromSchedule(definition.schedule, before['schedule'] ?? null),
    retention: fromRetention(definition.retention),
    network_map: orEmptyMap(definition.networkMap, before['network_map']),
    on_unmapped_network: definition.onUnmappedNetwork,
    on_missing_base: definition.onMissingBase,
    on_divergence: definition.onDivergence,
    concurrency: definition.concurrency,
    initial_copy: definition.initialCopy,
    rpo: fromLengthMs(definition.rpoMs),
    jitter: definition.jitterMs === 0 ? null : fromLengthMs(definition.jitterMs),
    blackouts: orEmpty(definition.blackouts.map(fromWindow), before['blackouts']),
    snapshot: fromSnapshot(definition.snapshot),
    transfer: fromTransfer(definition.transfer),
    limits: fromLimits(definition.limits),
    max_chain_depth: definition.maxChainDepth,
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

function toNetworkMap(value: Value): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.keys(value).map((key) => [canonical(key), canonical(text(value, key))]));
}

function knownSr(before: ValueObject, srUuid: string): Value {
  const same = typeof before['target_sr_uuid'] === 'string' && canonical(before['target_sr_uuid']) === srUuid;
  return same ? (before['target_sr'] ?? srUuid) : srUuid;
}

function orEmpty(list: readonly Value[], before: Value | undefined): Value {
  return list.length > 0 ? list : isArray(before ?? null) ? [] : null;
}

function orEmptyMap(map: Readonly<Record<string, string>>, before: Value | undefined): Value {
  return Object.keys(map).length > 0 ? map : isObject(before) ? {} : null;
}
