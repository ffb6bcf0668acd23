/**
 * Job definitions in `pool.other_config` of the target pool, key `xenrepl:job:<job id>:<revision>`.
 *
 * A map entry cannot be replaced atomically: removing and adding it again would lose the job if we died in
 * between. So a change adds the next revision and removes older ones afterwards; readers take the highest.
 */
import type { JobDefinition, JobSchedule } from './job';

type StringMap = Readonly<Record<string, string>>;

export const jobKeyPrefix = 'xenrepl:job:';

export interface StoredJob {
  readonly definition: JobDefinition;
  readonly revision: number;
  /** True for a tombstone: the job was deleted, its definition says what the replicas it left belong to. */
  readonly deleted: boolean;
}

/** Everything found about jobs in one map, and what could not be read: never silently skipped. */
export interface JobEntries {
  readonly jobs: ReadonlyMap<string, StoredJob>;
  readonly unreadable: readonly { readonly key: string; readonly reason: string }[];
}

/** Job ids stand inside keys and names, so they hold no colon and no blank. */
export function isJobId(text: string): boolean {
  return /^[\w.-]{1,64}$/.test(text);
}

export function jobKey(jobId: string, revision: number): string {
  return `${jobKeyPrefix}${jobId}:${String(revision)}`;
}

export function encodeJob(definition: JobDefinition, deleted: boolean): string {
  return JSON.stringify(deleted ? { ...definition, deleted: true } : definition);
}

/** Reads all jobs; of several revisions of one job the highest readable one counts. */
export function decodeJobs(otherConfig: StringMap): JobEntries {
  const jobs = new Map<string, StoredJob>();
  const unreadable: { key: string; reason: string }[] = [];
  for (const [key, value] of Object.entries(otherConfig)) {
    if (!key.startsWith(jobKeyPrefix)) continue;
    const decoded = decodeEntry(key, value);
    if (typeof decoded === 'string') unreadable.push({ key, reason: decoded });
    else if ((jobs.get(decoded.definition.jobId)?.revision ?? 0) < decoded.revision) {
      jobs.set(decoded.definition.jobId, decoded);
    }
  }
  return { jobs, unreadable };
}

/** Keys of this job with a lower revision: to be removed once the higher one stands. */
export function supersededJobKeys(
  otherConfig: StringMap,
  jobId: string,
  revision: number,
): readonly string[] {
  return Object.keys(otherConfig).filter((key) => {
    const parsed = parseJobKey(key);
    return parsed !== null && parsed.jobId === jobId && parsed.revision < revision;
  });
}

function parseJobKey(key: string): { jobId: string; revision: number } | null {
  const match = /^xenrepl:job:([\w.-]{1,64}):([1-9]\d{0,8})$/.exec(key);
  const [, jobId, revision] = match ?? [];
  return jobId === undefined || revision === undefined ? null : { jobId, revision: Number(revision) };
}

function decodeEntry(key: string, value: string): StoredJob | string {
  const parsedKey = parseJobKey(key);
  if (parsedKey === null) return 'the key is not of the form xenrepl:job:<job id>:<revision>';
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    return 'the value is not JSON';
  }
  if (typeof parsed !== 'object' || parsed === null) return 'the value is not an object';
  const members = parsed as Readonly<Record<string, unknown>>;
  if (members['schemaVersion'] !== 1) {
    return `schema version ${JSON.stringify(members['schemaVersion'])} is not known to this version (1 is)`;
  }
  const definition = readDefinition(members);
  if (typeof definition === 'string') return definition;
  if (definition.jobId !== parsedKey.jobId) return `the value names job ${definition.jobId}, the key another`;
  return { definition, revision: parsedKey.revision, deleted: members['deleted'] === true };
}

class Wrong extends Error {}

/** Reads member by member, so that an unknown member of a newer minor version does no harm. */
function readDefinition(members: Readonly<Record<string, unknown>>): JobDefinition | string {
  try {
    const source = object(members, 'source');
    const target = object(members, 'target');
    const selection = object(members, 'selection');
    const retention = object(members, 'retention');
    return {
      schemaVersion: 1,
      jobId: string(members, 'jobId'),
      scheduleId: string(members, 'scheduleId'),
      name: string(members, 'name'),
      enabled: members['enabled'] === true,
      source: { poolName: string(source, 'poolName'), poolUuid: stringOrNull(source, 'poolUuid') },
      target: {
        poolName: string(target, 'poolName'),
        poolUuid: string(target, 'poolUuid'),
        srUuid: string(target, 'srUuid'),
      },
      selection: { uuids: strings(selection, 'uuids'), tags: strings(selection, 'tags') },
      schedule: schedule(object(members, 'schedule')),
      retention: {
        latest: integer(retention, 'latest', 1),
        sourceLatest: integer(retention, 'sourceLatest', 1),
      },
      networkMap: stringMap(object(members, 'networkMap')),
      onUnmappedNetwork: choice(members, 'onUnmappedNetwork', ['fail', 'omit']),
      onMissingBase: choice(members, 'onMissingBase', ['fail', 'full']),
      onDivergence: choice(members, 'onDivergence', ['fail', 'overwrite']),
      concurrency: integer(members, 'concurrency', 1),
    };
  } catch (error) {
    if (error instanceof Wrong) return error.message;
    throw error;
  }
}

type Members = Readonly<Record<string, unknown>>;

function object(members: Members, name: string): Members {
  const value = members[name];
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Wrong(`${name} is not an object`);
  return value as Members;
}

function string(members: Members, name: string): string {
  const value = members[name];
  if (typeof value !== 'string' || value === '') throw new Wrong(`${name} is not a text`);
  return value;
}

function stringOrNull(members: Members, name: string): string | null {
  return members[name] === null ? null : string(members, name);
}

function strings(members: Members, name: string): readonly string[] {
  const value = members[name];
  if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string')) {
    throw new Wrong(`${name} is not a list of texts`);
  }
  return value;
}

function stringMap(members: Members): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys(members).map((name) => [name, string(members, name)]));
}

function integer(members: Members, name: string, minimum: number): number {
  const value = members[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum) {
    throw new Wrong(`${name} is not a whole number of at least ${String(minimum)}`);
  }
  return value;
}

function choice<T extends string>(members: Members, name: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === members[name]);
  if (found === undefined) throw new Wrong(`${name} is none of ${allowed.join(', ')}`);
  return found;
}

function schedule(members: Members): JobSchedule {
  switch (members['kind']) {
    case 'manual':
      return { kind: 'manual' };
    case 'every':
      return { kind: 'every', intervalMs: integer(members, 'intervalMs', 1000) };
    case 'cron':
      return {
        kind: 'cron',
        expression: string(members, 'expression'),
        timeZone: string(members, 'timeZone'),
      };
    default:
      throw new Wrong('schedule.kind is none of manual, every, cron');
  }
}
