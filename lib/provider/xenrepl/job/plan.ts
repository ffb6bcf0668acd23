import type { Pool } from '../../../xapi';
import { DiagnosticError, UNKNOWN, error, isSame, show, warning } from '../../framework';
import type { Plan, PlanRequest, Value, ValueObject } from '../../framework';
import { UnreachableError } from '../connections';
import { unknownPool, usePool } from '../session';
import type { SessionContext } from '../session';
import { canonical, sameButForCase } from '../spelling';
import { differs } from './draft';
import type { Draft } from './draft';
import { lookAtSource } from './plan-source';
import { checkPermissions, planSr } from './plan-target';

/** Arguments and look-ups that stand in the definition on the target pool: a change of one means a new revision. */
const inDefinition = [
  'name',
  'source_pool',
  'target_pool',
  'target_sr_uuid',
  'enabled',
  'vm_uuids',
  'vm_tags',
  'schedule',
  'retention',
  'network_map',
  'on_unmapped_network',
  'on_missing_base',
  'on_divergence',
  'concurrency',
  'schedule_id',
  'initial_copy',
  'rpo',
  'jitter',
  'blackouts',
  'snapshot',
  'transfer',
  'limits',
  'max_chain_depth',
] as const;

/**
 * Completes the plan of a job with what the pools say, and checks against them what can be checked before apply.
 * What is unknown, or out of reach, is left to apply.
 */
export async function planJob(request: PlanRequest, context: SessionContext): Promise<Plan> {
  const { planned, prior } = request;
  const targetPool = planned['target_pool'] ?? null;
  if (typeof targetPool !== 'string' || context.configured.connections === null) {
    return { planned: withoutTarget(planned, prior) };
  }
  const unknown = unknownPool(context, targetPool);
  if (unknown !== null) throw new DiagnosticError(error('Unknown Pool', unknown, ['target_pool']));
  try {
    return await usePool(context, targetPool, (target) => planOn(target, request, context));
  } catch (failure) {
    if (!(failure instanceof UnreachableError) || context.configured.onUnreachable === 'fail') throw failure;
    return planBlindly(request, context, failure);
  }
}

async function planOn(target: Pool, request: PlanRequest, context: SessionContext): Promise<Plan> {
  const { prior, planned } = request;
  const moved = prior !== null && !sameButForCase(prior['target_pool_uuid'] ?? null, target.uuid);
  if (moved && isSame(prior['target_pool'] ?? null, planned['target_pool'] ?? null)) {
    throw new DiagnosticError(anotherPool(target, prior));
  }
  const fresh = prior === null || moved || !isSame(prior['job_id'] ?? null, planned['job_id'] ?? null);
  const draft: Draft = { ...request, fresh, context };
  const identity = fresh ? await freshIdentity(target, draft) : {};
  const sr = await planSr(target, draft);
  const source = await lookAtSource(draft);
  await checkPermissions(target, source.pool, draft);
  const values: ValueObject = { ...planned, ...identity, ...sr };
  const changed = prior === null || fresh || inDefinition.some((name) => differs(values, prior, name));
  if (moved) warnOfMove(prior, context);
  return {
    planned: {
      ...values,
      source_pool_uuid: changed ? source.newUuid : source.oldUuid,
      ...(changed && { revision: UNKNOWN }),
    },
    requiresReplace: moved ? [['target_pool']] : [],
  };
}

/** Ids of a job that is to be made: known before apply where target pool and name are. */
async function freshIdentity(target: Pool, { config, planned, context }: Draft): Promise<ValueObject> {
  const jobId = identityOf(target, config, planned, context);
  if (typeof jobId === 'string') await warnOfLiveJob(target, jobId, planned, context);
  return {
    job_id: jobId,
    id: typeof jobId === 'string' ? canonical(jobId) : UNKNOWN,
    schedule_id: config['schedule_id'] ?? UNKNOWN,
    target_pool_uuid: target.uuid,
  };
}

function identityOf(target: Pool, config: ValueObject, planned: ValueObject, context: SessionContext): Value {
  const configured = config['job_id'] ?? null;
  if (configured !== null) return configured;
  const { name = null } = planned;
  return typeof name === 'string' ? context.configured.engine.defaultJobId(target.uuid, name) : UNKNOWN;
}

/** Only a warning: where this plan replaces the resource, the live definition is the one that goes first. */
async function warnOfLiveJob(
  target: Pool,
  jobId: string,
  planned: ValueObject,
  { configured: { engine }, report, signal }: SessionContext,
): Promise<void> {
  const state = await engine.readJob(target, canonical(jobId), { signal });
  if (state.kind !== 'live') return;
  report(
    warning(
      `Replication Job "${show(planned['name'])}" Exists Already`,
      `Pool "${target.name}" holds a live definition of job ${canonical(jobId)}. Unless this plan destroys it first, apply ` +
        `will fail. To take the job over: terraform import <address of this resource> ${target.name}/${canonical(jobId)}`,
    ),
  );
}

/** The target pool does not answer and the user wants to go on: what is known stays, what would need it waits. */
function planBlindly(
  { prior, planned }: PlanRequest,
  context: SessionContext,
  failure: UnreachableError,
): Plan {
  if (prior !== null && !isSame(prior['target_pool'] ?? null, planned['target_pool'] ?? null)) {
    throw new DiagnosticError(
      error(
        'Unable to Plan a Change of target_pool',
        `${failure.message}. While it is, nobody can tell whether this is the same pool under a new name or another one. ` +
          'Plan again when it answers.',
        ['target_pool'],
      ),
    );
  }
  context.report(
    warning(
      `Target Pool "${failure.poolName}" Is Unreachable`,
      `${failure.message}. Nothing of this job was checked.`,
      ['target_pool'],
    ),
  );
  return { planned: withoutTarget(planned, prior) };
}

/** Nothing can be looked up: what depends on it is known after apply, if anything changes at all. */
function withoutTarget(planned: ValueObject, prior: ValueObject | null): ValueObject {
  if (prior === null) return planned;
  const changed =
    inDefinition.some((name) => differs(planned, prior, name)) || differs(planned, prior, 'target_sr');
  if (!changed) return planned;
  return {
    ...planned,
    revision: UNKNOWN,
    target_sr_uuid: differs(planned, prior, 'target_sr') ? UNKNOWN : (planned['target_sr_uuid'] ?? null),
    source_pool_uuid: differs(planned, prior, 'source_pool')
      ? UNKNOWN
      : (planned['source_pool_uuid'] ?? null),
  };
}

function warnOfMove(prior: ValueObject, { report }: SessionContext): void {
  const deletes = prior['delete_replicas_on_destroy'] === true;
  report(
    warning(
      'Another Target Pool Means Another Job',
      `The job on pool "${show(prior['target_pool'])}" will be destroyed, and ` +
        (deletes ? 'its replicas with it (delete_replicas_on_destroy).' : 'its replicas stay there.') +
        ' The first run to the new pool copies everything.',
      ['target_pool'],
    ),
  );
}

function anotherPool(target: Pool, prior: ValueObject) {
  return error(
    `Pool "${target.name}" Is Another Pool`,
    `The job stands on pool ${show(prior['target_pool_uuid'])}, but the pools file leads "${target.name}" to pool ` +
      `${target.uuid} ("${target.label}"). Correct the pools file, or give the other pool a name of its own there.`,
    ['target_pool'],
  );
}
