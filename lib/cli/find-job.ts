/** The job that somebody means: by id, or by name where that is enough. */
import { readJob } from '../engine';
import { decodeJobs } from '../planner/job-keys';
import type { StoredJob } from '../planner/job-keys';
import type { JobDefinition } from '../planner/job';
import type { CallOptions, Pool } from '../xapi';
import { CliError } from './failure';

/** @throws CliError `job-missing`, `job-deleted` or `job-ambiguous`, each naming what there is instead */
export async function findJob(target: Pool, wanted: string, options: CallOptions): Promise<JobDefinition> {
  const { jobs } = decodeJobs(await target.call('pool.get_other_config', [target.ref], options));
  const jobId = chooseJob([...jobs.values()], wanted, target.name);
  // Read again by id: this refuses a job whose newest revision we cannot understand.
  const state = await readJob(target, jobId, options);
  if (state.kind === 'live') return checked(state.definition, target);
  if (state.kind === 'absent') throw missing([...jobs.values()], wanted, target.name);
  throw deleted(state.definition, target.name);
}

/** Id of a job whose replicas are wanted: those of a deleted one too, by id, or by name where no live one bears it. */
export function jobIdOf(jobs: readonly StoredJob[], wanted: string, poolName: string): string {
  if (jobs.some(({ definition, deleted }) => !deleted && definition.name === wanted))
    return chooseJob(jobs, wanted, poolName);
  const buried = jobs.filter(({ definition, deleted }) => deleted && definition.name === wanted);
  const [only, another] = buried;
  if (only !== undefined && another === undefined) return only.definition.jobId;
  return chooseJob(jobs, wanted, poolName);
}

/** Pure part: id of the job, which is live unless only a tombstone bears that id. An id outweighs a name. */
export function chooseJob(jobs: readonly StoredJob[], wanted: string, poolName: string): string {
  const byId = jobs.find(({ definition }) => definition.jobId.toLowerCase() === wanted.toLowerCase());
  if (byId !== undefined) return byId.definition.jobId;
  const named = jobs.filter(({ definition }) => definition.name === wanted);
  const live = named.filter((job) => !job.deleted);
  const [only, another] = live;
  if (only !== undefined && another === undefined) return only.definition.jobId;
  if (another !== undefined) {
    const ids = live.map(({ definition }) => definition.jobId).join(', ');
    throw new CliError(
      'job-ambiguous',
      `Pool "${poolName}" has ${String(live.length)} jobs named "${wanted}": ${ids}`,
      'give the id of the one you mean',
    );
  }
  const [buried] = named;
  if (buried !== undefined) throw deleted(buried.definition, poolName);
  // Perhaps an entry that cannot be decoded; reading it by id says why.
  if (/^[\w.-]{1,64}$/.test(wanted)) return wanted;
  throw missing(jobs, wanted, poolName);
}

function missing(jobs: readonly StoredJob[], wanted: string, poolName: string): CliError {
  const known = jobs
    .filter((job) => !job.deleted)
    .map(({ definition }) => `"${definition.name}" (${definition.jobId})`)
    .sort();
  return new CliError(
    'job-missing',
    `Pool "${poolName}" has no job "${wanted}"`,
    known.length === 0
      ? 'it has no job at all: create one with the Terraform resource xenrepl_job'
      : `it has ${known.join(', ')}`,
  );
}

function deleted(definition: JobDefinition, poolName: string): CliError {
  return new CliError(
    'job-deleted',
    `Job "${definition.name}" (${definition.jobId}) was deleted from pool "${poolName}"`,
    'its replicas may still be there: xenrepl replicas lists them; creating the job again with the same id goes on with them',
  );
}

/** A definition that names another pool was copied here, with a pool database for example: it must not run from here. */
function checked(definition: JobDefinition, target: Pool): JobDefinition {
  if (definition.target.poolUuid.toLowerCase() === target.uuid.toLowerCase()) return definition;
  throw new CliError(
    'job-of-another-pool',
    `Job "${definition.name}" (${definition.jobId}) stands on pool "${target.name}" (${target.uuid}) but was written for ` +
      `target pool "${definition.target.poolName}" (${definition.target.poolUuid})`,
    'look up which pool the pools file means by that name; delete the job there if it is a copy',
  );
}
