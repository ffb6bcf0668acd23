/** Job definitions on the target pool: read, write, bury. The format is decided in lib/planner/job-keys.ts. */
import { TransportError } from '../xapi';
import type { CallOptions, Pool } from '../xapi';
import { decodeJobs, encodeJob, jobKey, supersededJobKeys } from '../planner/job-keys';
import type { JobEntries, StoredJob } from '../planner/job-keys';
import type { JobDefinition } from '../planner/job';
import { codeOf, ReplicationError } from './errors';

export { defaultJobId, defaultScheduleId } from './job-id';

export type JobState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'live'; readonly definition: JobDefinition; readonly revision: number }
  | { readonly kind: 'tombstone'; readonly definition: JobDefinition; readonly revision: number };

const writeAttemptsMax = 5;

/** What the target pool says of one job. A revision that cannot be read is an error, never an absence. */
export async function readJob(target: Pool, jobId: string, options: CallOptions = {}): Promise<JobState> {
  return stateOf(target, jobId, await target.call('pool.get_other_config', [target.ref], options));
}

/** Live jobs of the pool, by name. One whose newest revision cannot be read is not among them: see `unreadableJobs`. */
export async function listJobs(
  target: Pool,
  options: CallOptions = {},
): Promise<readonly { definition: JobDefinition; revision: number }[]> {
  return liveJobs(await target.call('pool.get_other_config', [target.ref], options));
}

/** As `listJobs`, of a map that was read already. */
export function liveJobs(
  otherConfig: Readonly<Record<string, string>>,
): readonly { definition: JobDefinition; revision: number }[] {
  const entries = decodeJobs(otherConfig);
  return [...entries.jobs.values()]
    .filter(({ deleted, definition }) => !deleted && unreadableNewer(entries, definition.jobId) === null)
    .map(({ definition, revision }) => ({ definition, revision }))
    .sort((a, b) => a.definition.name.localeCompare(b.definition.name));
}

/** Entries under our prefix that cannot be read: shown by doors, so that no job disappears in silence. */
export async function unreadableJobs(
  target: Pool,
  options: CallOptions = {},
): Promise<readonly { readonly key: string; readonly reason: string }[]> {
  return decodeJobs(await target.call('pool.get_other_config', [target.ref], options)).unreadable;
}

/**
 * Stores a definition as the next revision, then removes older ones. Also revives a tombstone. Two writers at
 * once get different revisions: adding a key that exists fails, and the loser takes the next.
 */
export async function writeJob(
  target: Pool,
  definition: JobDefinition,
  options: CallOptions = {},
): Promise<{ readonly revision: number }> {
  return { revision: await addRevision(target, definition, false, options) };
}

/**
 * Deletes a job by adding a tombstone as the next revision: the replicas it leaves can still be told apart and
 * adopted again. Does nothing where the job is absent or buried already.
 */
export async function buryJob(target: Pool, jobId: string, options: CallOptions = {}): Promise<void> {
  const state = await readJob(target, jobId, options);
  if (state.kind === 'live') await addRevision(target, state.definition, true, options);
}

async function addRevision(
  target: Pool,
  definition: JobDefinition,
  deleted: boolean,
  options: CallOptions,
): Promise<number> {
  for (let attempt = 1; attempt <= writeAttemptsMax; attempt += 1) {
    const otherConfig = await target.call('pool.get_other_config', [target.ref], options);
    const state = stateOf(target, definition.jobId, otherConfig);
    const revision = (state.kind === 'absent' ? 0 : state.revision) + 1;
    const key = jobKey(definition.jobId, revision);
    const value = encodeJob(definition, deleted);
    try {
      await target.call('pool.add_to_other_config', [target.ref, key, value], options);
    } catch (error) {
      if (codeOf(error) === 'MAP_DUPLICATE_KEY') continue;
      if (!(error instanceof TransportError) || !(await stands(target, key, value, options))) throw error;
    }
    for (const old of supersededJobKeys(otherConfig, definition.jobId, revision)) {
      await target.call('pool.remove_from_other_config', [target.ref, old], options);
    }
    return revision;
  }
  throw new ReplicationError(
    'job-changed',
    `Cannot store job "${definition.name}" (${definition.jobId}) on pool "${target.name}": ` +
      `others changed it ${String(writeAttemptsMax)} times meanwhile`,
    { retry: 'later', hint: 'find out who else is deploying this job, then try again' },
  );
}

/** The answer to our writing was lost: where the very same stands there it was written, by us or as we would have it. */
async function stands(target: Pool, key: string, value: string, options: CallOptions): Promise<boolean> {
  const otherConfig = await target.call('pool.get_other_config', [target.ref], options);
  return otherConfig[key] === value;
}

function stateOf(target: Pool, jobId: string, otherConfig: Readonly<Record<string, string>>): JobState {
  const entries = decodeJobs(otherConfig);
  const newer = unreadableNewer(entries, jobId);
  if (newer !== null) {
    throw new ReplicationError(
      'unreadable',
      `Cannot read job ${jobId} on pool "${target.name}": ${newer.key}: ${newer.reason}`,
      {
        retry: 'never',
        hint: 'update this program, or remove that key of pool.other_config if you know it is wrong',
      },
    );
  }
  const stored = entries.jobs.get(jobId);
  return stored === undefined ? { kind: 'absent' } : toState(stored);
}

/** A revision that is newer than all that can be read: what is known of the job is then out of date. */
function unreadableNewer(
  { jobs, unreadable }: JobEntries,
  jobId: string,
): { readonly key: string; readonly reason: string } | null {
  const known = jobs.get(jobId)?.revision ?? 0;
  const stem = jobKey(jobId, 0).slice(0, -1);
  return unreadable.find(({ key }) => key.startsWith(stem) && !(revisionOf(key) <= known)) ?? null;
}

function toState({ definition, revision, deleted }: StoredJob): JobState {
  return { kind: deleted ? 'tombstone' : 'live', definition, revision };
}

function revisionOf(key: string): number {
  return Number(key.slice(key.lastIndexOf(':') + 1));
}
