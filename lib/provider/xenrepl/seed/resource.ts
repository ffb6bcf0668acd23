import { resolve } from 'node:path';
import type { SeedContext, SeedEvent } from '../../../engine/seed/context';
import type { AttachedSeed } from '../../../engine/seed/check';
import type { JobDefinition } from '../../../planner/job';
import { seedJobOf } from '../../../planner/seed';
import type { Pool } from '../../../xapi';
import { DiagnosticError, describe, error, warning } from '../../framework';
import type { Resource, ValueObject } from '../../framework';
import { UnreachableError } from '../connections';
import { choice, text } from '../known';
import { assertSamePool, unknownPool, usePool, withWayOut } from '../session';
import type { Session, SessionContext } from '../session';
import { canonical } from '../spelling';
import { planSeedResource } from './plan';
import { seedSchema, validateSeed } from './schema';

/** `xenrepl_seed`: a VM that was carried to the target by hand and made the replica of a snapshot. */
export const seedResource: Resource<Session> = {
  noun: 'Seed',
  schema: seedSchema,
  validate: validateSeed,
  plan: planSeedResource,
  create,
  read,
  update,
  delete: destroy,
  import: importSeed,
};

async function create(planned: ValueObject, context: SessionContext): Promise<ValueObject> {
  const { engine } = context.configured;
  const jobId = canonical(text(planned, 'job_id'));
  return usePool(context, text(planned, 'target_pool'), async (target) => {
    assertSamePool(target, planned['target_pool_uuid'], ['target_pool']);
    const job = await engine.readJob(target, jobId, context);
    if (job.kind !== 'live') {
      throw new Error(
        `Pool "${target.name}" has no job ${jobId}. Define it first: refer to the job_id of its xenrepl_job, or name it in depends_on.`,
      );
    }
    return attach(target, job.definition, planned, context);
  });
}

async function attach(
  target: Pool,
  job: JobDefinition,
  planned: ValueObject,
  context: SessionContext,
): Promise<ValueObject> {
  const { engine } = context.configured;
  const { poolName } = job.source;
  const unknown = unknownPool(context, poolName);
  if (unknown !== null) throw new DiagnosticError(error('Unknown Pool', unknown, ['job_id']));
  const targetVmUuid = canonical(text(planned, 'target_vm_uuid'));
  const snapshotUuid = canonical(text(planned, 'source_snapshot_uuid'));
  const { digests = null } = planned;
  const folder = typeof digests === 'string' ? resolve(context.configured.cwd, digests) : null;
  const manifest = folder === null ? null : await engine.digestsOf(folder, snapshotUuid);
  try {
    const report = await usePool(context, poolName, (source) =>
      engine.attachSeed({
        source,
        target,
        job: seedJobOf(job),
        snapshotUuid,
        targetVmUuid,
        ...(manifest === null ? {} : { manifest }),
        verify: choice(planned, 'verify', ['none', 'sampled', 'full']),
        repair: planned['repair'] === true,
        rate: job.limits,
        context: seedContext(context),
      }),
    );
    return {
      ...planned,
      id: targetVmUuid,
      target_pool_uuid: target.uuid,
      target_sr_uuid: report.srUuid,
      source_vm_uuid: report.vm.uuid,
      recovery_point_uuid: report.recoveryPoint,
    };
  } catch (failure) {
    throw withImport(failure, importId(target, job.jobId, targetVmUuid), context);
  }
}

/** Attached already to this very job: made from another state, or left when this state was lost. */
function withImport(failure: unknown, id: string, { configured: { engine } }: SessionContext): unknown {
  if (!(failure instanceof engine.SeedRefused)) return failure;
  if (!failure.conflicts.some(({ kind }) => kind === 'attached-already')) return failure;
  return new Error(
    `${failure.message}. Nothing was changed. Where that is the attachment you mean, take it over:\n` +
      `  terraform import <address of this resource> ${id}\n` +
      'where the address is the one named below ("with ...").',
    { cause: failure },
  );
}

function importId(target: Pool, jobId: string, vmUuid: string): string {
  return `${target.name}/${jobId}/${vmUuid}`;
}

/**
 * Null only after the pool said, in full and readably, that the VM is gone or is no replica of the job. That runs have
 * gone on with it is what a seed is for: the state says what was attached, not what stands there now.
 */
async function read(state: ValueObject, context: SessionContext): Promise<ValueObject | null> {
  const { engine, connections, onUnreachable } = context.configured;
  const targetPool = text(state, 'target_pool');
  if (connections === null) {
    const why = 'The pools file of the provider is not known before apply: the state is kept as it is.';
    context.report(warning('Not Refreshed', why));
    return state;
  }
  try {
    return await usePool(context, targetPool, async (target) => {
      assertSamePool(target, state['target_pool_uuid'], ['target_pool']);
      const found = await engine.readSeed(target, text(state, 'target_vm_uuid'), context);
      return found?.jobId === canonical(text(state, 'job_id')) ? toState(target, found, state) : null;
    });
  } catch (failure) {
    if (!(failure instanceof UnreachableError) || onUnreachable === 'fail') throw withWayOut(failure, 'seed');
    const text = `${failure.message}. The state is kept as it is.`;
    context.report(warning(`Target Pool "${targetPool}" Is Unreachable`, text));
    return state;
  }
}

function toState(target: Pool, found: AttachedSeed, state: ValueObject): ValueObject {
  return {
    ...state,
    id: canonical(text(state, 'target_vm_uuid')),
    target_pool_uuid: target.uuid,
    target_sr_uuid: found.srUuid,
    source_vm_uuid: found.sourceVmUuid,
    source_snapshot_uuid: state['source_snapshot_uuid'] ?? found.point?.sourceSnapshotUuid ?? null,
    recovery_point_uuid: state['recovery_point_uuid'] ?? found.point?.uuid ?? null,
  };
}

/** How it was to be compared, or how the pool is called: nothing of it stands on a pool. */
function update(_prior: ValueObject, planned: ValueObject): Promise<ValueObject> {
  return Promise.resolve(planned);
}

/** Takes the marks off where the seed is still what the job stands on. Never destroys a VM or a disk. */
async function destroy(prior: ValueObject, context: SessionContext): Promise<void> {
  try {
    await usePool(context, text(prior, 'target_pool'), async (target) => {
      assertSamePool(target, prior['target_pool_uuid'], ['target_pool']);
      await detach(target, prior, context);
    });
  } catch (failure) {
    throw withWayOut(failure, 'seed');
  }
}

async function detach(target: Pool, prior: ValueObject, context: SessionContext): Promise<void> {
  const { engine } = context.configured;
  const jobId = canonical(text(prior, 'job_id'));
  const targetVmUuid = canonical(text(prior, 'target_vm_uuid'));
  const found = await engine.readSeed(target, targetVmUuid, context);
  if (found?.jobId !== jobId) return;
  const job = await engine.readJob(target, jobId, context);
  const poolName = job.kind === 'absent' ? null : job.definition.source.poolName;
  const detachWith = (source: Pool | null) =>
    engine.detachSeed({ source, target, targetVmUuid, jobId, context: seedContext(context) });
  try {
    await withSource(poolName, detachWith, context);
  } catch (failure) {
    const code = engine.codeOf(failure);
    // Gone since it was read a moment ago.
    if (code === 'seed-missing') return;
    if (code !== 'seed-continued') throw failure;
    context.report(
      warning(
        'The Seed Is a Replica Now',
        `Runs have gone on with VM ${targetVmUuid} on pool "${target.name}": it stays the replica of job ${jobId}, with its ` +
          'recovery points. Only this resource is gone from the state.',
      ),
    );
  }
}

/** A source that is gone must not keep anybody from destroying; its snapshot then keeps marks that nothing reads. */
async function withSource(
  poolName: string | null,
  work: (source: Pool | null) => Promise<unknown>,
  context: SessionContext,
): Promise<void> {
  if (poolName === null || unknownPool(context, poolName) !== null) {
    await work(null);
    return;
  }
  const reachable = await usePool(context, poolName, (source) => Promise.resolve(source)).catch(
    (failure: unknown) => {
      if (!(failure instanceof UnreachableError)) throw failure;
      const text = `${describe(failure)}\nThe marks of this seed stay on its source snapshot.`;
      context.report(warning(`Source Pool "${poolName}" Is Unreachable`, text));
      return null;
    },
  );
  await (reachable === null ? work(null) : usePool(context, poolName, work));
}

function seedContext({ configured, signal, report }: SessionContext): SeedContext {
  return {
    runId: configured.newId(),
    who: configured.who,
    clock: configured.engine.systemClock,
    signal,
    emit: (event: SeedEvent) => {
      if (event.kind === 'seed-warning') report(warning('Seed', event.text));
    },
  };
}

function importSeed(id: string): Record<string, string> {
  const [, targetPool, jobId, vmUuid] = /^(.+)\/([^/]+)\/([^/]+)$/.exec(id) ?? [];
  if (targetPool === undefined || jobId === undefined || vmUuid === undefined) {
    throw new Error(
      `"${id}" is not an import id of a seed. Write <name of the target pool in the pools file>/<job id>/<uuid of the VM>; ` +
        '`xenrepl replicas` lists all three.',
    );
  }
  return { target_pool: targetPool, job_id: jobId, target_vm_uuid: vmUuid };
}
