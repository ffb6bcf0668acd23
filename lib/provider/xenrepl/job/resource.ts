import type { JobDefinition } from '../../../planner/job';
import type { Pool } from '../../../xapi';
import { UNKNOWN, describe, show, warning } from '../../framework';
import type { Resource, Value, ValueObject } from '../../framework';
import { UnreachableError } from '../connections';
import { text } from '../known';
import { assertSamePool, usePool, withWayOut } from '../session';
import type { Session, SessionContext } from '../session';
import { canonical } from '../spelling';
import { toDefinition, toState } from './definition';
import { findSr } from './lookups';
import { planJob } from './plan';
import { jobSchema } from './schema';
import { validateJob } from './validate';

/** `xenrepl_job`: the definition of a job in `pool.other_config` of its target pool. Never transfers a byte. */
export const jobResource: Resource<Session> = {
  noun: 'Replication Job',
  schema: jobSchema,
  validate: validateJob,
  plan: planJob,
  planDestroy,
  create,
  read,
  update,
  delete: destroy,
  import: importJob,
};

async function create(planned: ValueObject, context: SessionContext): Promise<ValueObject> {
  const { engine } = context.configured;
  return usePool(context, text(planned, 'target_pool'), async (target) => {
    assertSamePool(target, planned['target_pool_uuid'], ['target_pool']);
    const jobId = canonical(
      knownText(planned['job_id']) ?? engine.defaultJobId(target.uuid, text(planned, 'name')),
    );
    const state = await engine.readJob(target, jobId, context);
    if (state.kind === 'live') throw existsAlready(target, jobId);
    const definition = toDefinition(planned, {
      jobId,
      scheduleId:
        namedSchedule(planned) ??
        (state.kind === 'tombstone' ? state.definition.scheduleId : engine.defaultScheduleId(jobId)),
      sourcePoolUuid: await sourcePoolUuid(planned, context),
      targetPoolUuid: target.uuid,
      srUuid: await srUuid(target, planned, context),
    });
    return write(target, definition, planned, context);
  });
}

/** Null only after the pool said, in full and readably, that the job is not there or was buried. */
async function read(state: ValueObject, context: SessionContext): Promise<ValueObject | null> {
  const { engine, connections, onUnreachable } = context.configured;
  const targetPool = text(state, 'target_pool');
  if (connections === null) {
    context.report(
      warning(
        'Not Refreshed',
        'The pools file of the provider is not known before apply: the state is kept as it is.',
      ),
    );
    return state;
  }
  try {
    return await usePool(context, targetPool, async (target) => {
      assertSamePool(target, state['target_pool_uuid'], ['target_pool']);
      const found = await engine.readJob(target, canonical(text(state, 'job_id')), context);
      return found.kind === 'live' ? toState(found.definition, found.revision, state) : null;
    });
  } catch (failure) {
    if (!(failure instanceof UnreachableError) || onUnreachable === 'fail') throw withWayOut(failure, 'job');
    context.report(
      warning(
        `Target Pool "${targetPool}" Is Unreachable`,
        `${failure.message}. The state is kept as it is.`,
      ),
    );
    return state;
  }
}

async function update(
  prior: ValueObject,
  planned: ValueObject,
  context: SessionContext,
): Promise<ValueObject> {
  const { engine } = context.configured;
  return usePool(context, text(planned, 'target_pool'), async (target) => {
    assertSamePool(target, prior['target_pool_uuid'], ['target_pool']);
    const jobId = canonical(text(prior, 'job_id'));
    const found = await engine.readJob(target, jobId, context);
    if (found.kind !== 'live') throw changedMeanwhile(target, jobId, 'it was deleted');
    if (found.revision !== prior['revision']) {
      throw changedMeanwhile(target, jobId, `it is at revision ${String(found.revision)}`);
    }
    const definition = toDefinition(planned, {
      jobId,
      scheduleId: namedSchedule(planned) ?? found.definition.scheduleId,
      sourcePoolUuid: await sourcePoolUuid(planned, context),
      targetPoolUuid: target.uuid,
      srUuid: await srUuid(target, planned, context),
    });
    return isEqual(definition, found.definition)
      ? toState(definition, found.revision, planned)
      : write(target, definition, planned, context);
  });
}

/**
 * Buries the definition: a tombstone keeps the identity, so that a job made again goes on with a delta. The source pool
 * is never asked; it may be gone.
 */
async function destroy(prior: ValueObject, context: SessionContext): Promise<void> {
  const { engine } = context.configured;
  try {
    await usePool(context, text(prior, 'target_pool'), async (target) => {
      assertSamePool(target, prior['target_pool_uuid'], ['target_pool']);
      const jobId = canonical(text(prior, 'job_id'));
      if (prior['delete_replicas_on_destroy'] === true) await deleteReplicas(target, jobId, context);
      await engine.buryJob(target, jobId, context);
    });
  } catch (failure) {
    throw withWayOut(failure, 'job');
  }
}

/** First disabled, so that no scheduled run makes replicas while they go; buried last, so that a failure can be repeated. */
async function deleteReplicas(target: Pool, jobId: string, context: SessionContext): Promise<void> {
  const { engine } = context.configured;
  const found = await engine.readJob(target, jobId, context);
  if (found.kind === 'live' && found.definition.enabled) {
    await engine.writeJob(target, { ...found.definition, enabled: false }, context);
  }
  await engine.deleteReplicas(target, jobId, context);
}

function planDestroy(prior: ValueObject, { report }: SessionContext): Promise<void> {
  if (prior['delete_replicas_on_destroy'] === true) {
    report(
      warning(
        `Replicas of Job "${show(prior['name'])}" Will Be Destroyed`,
        'delete_replicas_on_destroy is true: all replicas of this job on pool ' +
          `"${show(prior['target_pool'])}" go with their recovery points and disks. To keep them, set it to false and apply ` +
          'first.',
      ),
    );
  }
  return Promise.resolve();
}

function importJob(id: string): Record<string, string> {
  const slash = id.lastIndexOf('/');
  const [targetPool, jobId] = [id.slice(0, Math.max(slash, 0)), id.slice(slash + 1)];
  if (targetPool === '' || jobId === '') {
    throw new Error(
      `"${id}" is not an import id of a replication job. Write <name of the target pool in the pools file>/<job id>; ` +
        '`xenrepl jobs` lists both.',
    );
  }
  return { target_pool: targetPool, job_id: jobId };
}

/**
 * Writes the definition and reads it back. Once it stands, nothing fails any more: an error now would have Terraform
 * forget or destroy a job that exists.
 */
async function write(
  target: Pool,
  definition: JobDefinition,
  planned: ValueObject,
  context: SessionContext,
): Promise<ValueObject> {
  const { engine } = context.configured;
  const { revision } = await engine.writeJob(target, definition, context);
  try {
    const found = await engine.readJob(target, definition.jobId, context);
    if (found.kind === 'live') return toState(found.definition, found.revision, settled(planned, definition));
    context.report(
      warning(
        'Job Vanished',
        `Job ${definition.jobId} was deleted by somebody else right after it was written.`,
      ),
    );
  } catch (failure) {
    context.report(
      warning('Job Not Read Back', `The job was written, but not read back: ${describe(failure)}`),
    );
  }
  return toState(definition, revision, settled(planned, definition));
}

/** The SR uuid was unknown while planning: with it the user's name for the SR is kept. */
function settled(planned: ValueObject, definition: JobDefinition): ValueObject {
  return { ...planned, target_sr_uuid: definition.target.srUuid };
}

async function srUuid(target: Pool, planned: ValueObject, { signal }: SessionContext): Promise<string> {
  const found = await findSr(target, text(planned, 'target_sr'), signal);
  if (found.kind === 'not-found') throw new Error(found.why);
  const expected = knownText(planned['target_sr_uuid']);
  if (expected !== null && canonical(expected) !== found.uuid) {
    throw new Error(
      `Storage repository "${text(planned, 'target_sr')}" was ${expected} when this was planned and is ${found.uuid} now. Plan again.`,
    );
  }
  return found.uuid;
}

/** Known from the plan, else asked now; a source that does not answer is no reason not to define the job. */
async function sourcePoolUuid(planned: ValueObject, context: SessionContext): Promise<string | null> {
  const known = planned['source_pool_uuid'] ?? null;
  if (known !== UNKNOWN) return knownText(known);
  const sourcePool = text(planned, 'source_pool');
  try {
    return await usePool(context, sourcePool, (source) => Promise.resolve(source.uuid));
  } catch (failure) {
    if (!(failure instanceof UnreachableError)) throw failure;
    context.report(
      warning(
        `Source Pool "${sourcePool}" Is Unreachable`,
        `${failure.message}. The job is defined without the uuid of its source pool.`,
        ['source_pool'],
      ),
    );
    return null;
  }
}

function knownText(value: Value | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function isEqual(left: JobDefinition, right: JobDefinition): boolean {
  return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
}

/** Members in one order: a stored map may come back in another. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}

function existsAlready(target: Pool, jobId: string): Error {
  return new Error(
    `Pool "${target.name}" holds a live definition of job ${jobId} already: made from another Terraform state, or left when ` +
      'this state was lost. It was not touched. To take it over, run\n' +
      `  terraform import <address of this resource> ${target.name}/${jobId}\n` +
      'where the address is the one named below ("with ..."). To have a second job instead, give it another name or job_id.',
  );
}

function changedMeanwhile(target: Pool, jobId: string, how: string): Error {
  return new Error(
    `Job ${jobId} on pool "${target.name}" was changed by somebody else since it was last read: ${how}. Nothing was ` +
      'written. Plan again, with refresh.',
  );
}

/** Null where neither the configuration nor the state names one. */
function namedSchedule(planned: ValueObject): string | null {
  const named = knownText(planned['schedule_id']);
  return named === null ? null : canonical(named);
}
