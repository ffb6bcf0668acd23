/**
 * Job definitions in `pool.other_config` of the target pool, key `xenrepl:job:<job id>:<revision>`.
 *
 * A map entry cannot be replaced atomically: removing and adding it again would lose the job if we died in
 * between. So a change adds the next revision and removes older ones afterwards; readers take the highest.
 */
import { jobDefaults, keepLatest } from './job';
import type { JobDefinition, JobLimits, JobRetention, JobSchedule, TimeWindow, Weekday } from './job';

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
  const members = parsed as Members;
  if (members['schemaVersion'] !== 1) {
    return `schema version ${JSON.stringify(members['schemaVersion'])} is not known to this version (1 is)`;
  }
  const definition = readDefinition(members);
  if (typeof definition === 'string') return definition;
  if (definition.jobId !== parsedKey.jobId) return `the value names job ${definition.jobId}, the key another`;
  const { deleted } = members;
  // A tombstone that is misread would bring a job back to life.
  if (deleted !== undefined && typeof deleted !== 'boolean') return 'deleted is neither true nor false';
  return { definition, revision: parsedKey.revision, deleted: deleted === true };
}

class Wrong extends Error {}

/** Reads member by member, so that an unknown member of a newer minor version does no harm. */
function readDefinition(members: Members): JobDefinition | string {
  try {
    const job = new Reader('', members);
    const source = job.object('source');
    const target = job.object('target');
    const selection = job.object('selection');
    return {
      schemaVersion: 1,
      jobId: job.text('jobId'),
      scheduleId: job.text('scheduleId'),
      name: job.text('name'),
      enabled: job.flag('enabled'),
      source: { poolName: source.text('poolName'), poolUuid: source.textOrNull('poolUuid') },
      target: {
        poolName: target.text('poolName'),
        poolUuid: target.text('poolUuid'),
        srUuid: target.text('srUuid'),
      },
      selection: { uuids: selection.texts('uuids'), tags: selection.texts('tags') },
      schedule: schedule(job.object('schedule')),
      retention: retention(job.object('retention')),
      networkMap: job.object('networkMap').allTexts(),
      onUnmappedNetwork: job.choice('onUnmappedNetwork', ['fail', 'omit']),
      onMissingBase: job.choice('onMissingBase', ['fail', 'full']),
      onDivergence: job.choice('onDivergence', ['fail', 'overwrite']),
      concurrency: job.integer('concurrency', 1),
      ...laterMembers(job),
    };
  } catch (error) {
    if (error instanceof Wrong) return error.message;
    throw error;
  }
}

type LaterMembers = Pick<JobDefinition, keyof typeof jobDefaults>;

/** Members that definitions written by the first versions do not have; one that is there is read as strictly as any. */
function laterMembers(job: Reader): LaterMembers {
  return {
    initialCopy: job.choiceOr('initialCopy', ['auto', 'seed'], jobDefaults.initialCopy),
    rpoMs: job.integerOrNull('rpoMs', 1000),
    jitterMs: job.has('jitterMs') ? job.integer('jitterMs', 0) : jobDefaults.jitterMs,
    blackouts: job.has('blackouts') ? job.objects('blackouts').map(timeWindow) : jobDefaults.blackouts,
    snapshot: job.has('snapshot') ? snapshot(job.object('snapshot')) : jobDefaults.snapshot,
    transfer: job.has('transfer') ? transfer(job.object('transfer')) : jobDefaults.transfer,
    limits: job.has('limits') ? limits(job.object('limits')) : jobDefaults.limits,
    maxChainDepth: job.has('maxChainDepth') ? job.integer('maxChainDepth', 2) : jobDefaults.maxChainDepth,
  };
}

function retention(members: Reader): JobRetention {
  const counted = keepLatest(members.integer('latest', 1), members.integer('sourceLatest', 1));
  const tier = (name: 'hourly' | 'daily' | 'weekly' | 'monthly'): number =>
    members.has(name) ? members.integer(name, 0) : counted[name];
  return {
    ...counted,
    hourly: tier('hourly'),
    daily: tier('daily'),
    weekly: tier('weekly'),
    monthly: tier('monthly'),
    timeZone: members.has('timeZone') ? members.text('timeZone') : counted.timeZone,
  };
}

function snapshot(members: Reader): JobDefinition['snapshot'] {
  return {
    mode: members.choice('mode', ['disk', 'quiesce', 'memory', 'offline']),
    groupSkewMs: members.integerOrNull('groupSkewMs', 1),
  };
}

function transfer(members: Reader): JobDefinition['transfer'] {
  return {
    method: members.choice('method', ['auto', 'export', 'nbd']),
    enableCbt: members.flag('enableCbt'),
    dropSnapshotData: members.flag('dropSnapshotData'),
    verify: members.choice('verify', ['none', 'sampled', 'full']),
  };
}

function limits(members: Reader): JobLimits {
  return {
    bytesPerSecond: members.integerOrNull('bytesPerSecond', 1),
    windows: members.objects('windows').map((window) => ({
      ...timeWindow(window),
      bytesPerSecond: window.integerOrNull('bytesPerSecond', 1),
    })),
    nice: members.has('nice') ? members.flag('nice') : jobDefaults.limits.nice,
    transfersPerPool: members.integer('transfersPerPool', 1),
    transfersPerSr: members.integer('transfersPerSr', 1),
  };
}

const weekdays: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

function timeWindow(members: Reader): TimeWindow {
  return {
    days: members.choices('days', weekdays),
    from: members.timeOfDay('from'),
    to: members.timeOfDay('to'),
    timeZone: members.text('timeZone'),
  };
}

function schedule(members: Reader): JobSchedule {
  const kind = members.choice('kind', ['manual', 'every', 'cron']);
  switch (kind) {
    case 'manual':
      return { kind };
    case 'every':
      return { kind, intervalMs: members.integer('intervalMs', 1000) };
    case 'cron':
      return { kind, expression: members.text('expression'), timeZone: members.text('timeZone') };
  }
}

type Members = Readonly<Record<string, unknown>>;

/** One object of the value; knows where it stands in it, so that a complaint names the member in full. */
class Reader {
  readonly #path: string;
  readonly #members: Members;

  constructor(path: string, members: Members) {
    this.#path = path;
    this.#members = members;
  }

  object(name: string): Reader {
    const value = this.#value(name);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.#wrong(name, 'is not an object');
    return new Reader(`${this.#path}${name}.`, value as Members);
  }

  text(name: string): string {
    const value = this.#value(name);
    if (typeof value !== 'string' || value === '') throw this.#wrong(name, 'is not a text');
    return value;
  }

  textOrNull(name: string): string | null {
    return this.#value(name) === null ? null : this.text(name);
  }

  texts(name: string): readonly string[] {
    const value = this.#value(name);
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string'))
      throw this.#wrong(name, 'is not a list of texts');
    return value;
  }

  /** The object itself as a map of texts. */
  allTexts(): Readonly<Record<string, string>> {
    return Object.fromEntries(Object.keys(this.#members).map((name) => [name, this.text(name)]));
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#members, name);
  }

  flag(name: string): boolean {
    const value = this.#value(name);
    if (typeof value !== 'boolean') throw this.#wrong(name, 'is neither true nor false');
    return value;
  }

  integer(name: string, minimum: number): number {
    const value = this.#value(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum)
      throw this.#wrong(name, `is not a whole number of at least ${String(minimum)}`);
    return value;
  }

  /** Null also where it is not there. */
  integerOrNull(name: string, minimum: number): number | null {
    return this.has(name) && this.#value(name) !== null ? this.integer(name, minimum) : null;
  }

  objects(name: string): readonly Reader[] {
    const value = this.#value(name);
    if (!Array.isArray(value)) throw this.#wrong(name, 'is not a list');
    return value.map((item: unknown, index) => {
      if (typeof item !== 'object' || item === null || Array.isArray(item))
        throw this.#wrong(`${name}[${String(index)}]`, 'is not an object');
      return new Reader(`${this.#path}${name}[${String(index)}].`, item as Members);
    });
  }

  /** `HH:MM` of a day, `24:00` included. */
  timeOfDay(name: string): string {
    const value = this.text(name);
    if (!/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/.test(value))
      throw this.#wrong(name, 'is not a time such as 06:30');
    return value;
  }

  choices<T extends string>(name: string, allowed: readonly T[]): readonly T[] {
    return this.texts(name).map((item) => {
      const found = allowed.find((one) => one === item);
      if (found === undefined) throw this.#wrong(name, `holds what is none of ${allowed.join(', ')}`);
      return found;
    });
  }

  choiceOr<T extends string>(name: string, allowed: readonly T[], otherwise: T): T {
    return this.has(name) ? this.choice(name, allowed) : otherwise;
  }

  choice<T extends string>(name: string, allowed: readonly T[]): T {
    const found = allowed.find((item) => item === this.#value(name));
    if (found === undefined) throw this.#wrong(name, `is none of ${allowed.join(', ')}`);
    return found;
  }

  #value(name: string): unknown {
    // Not what every object inherits: a network may be called "constructor".
    return Object.hasOwn(this.#members, name) ? this.#members[name] : undefined;
  }

  #wrong(name: string, what: string): Wrong {
    return new Wrong(`${this.#path}${name} ${what}`);
  }
}
