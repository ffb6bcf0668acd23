import { resolve } from 'node:path';
import { endsWithDetach, seedJobOf } from '../../../planner/seed';
import type { SeedConflict } from '../../../planner/seed';
import { describeSeedConflict } from '../../../planner/seed-describe';
import type { JobDefinition } from '../../../planner/job';
import type { Pool } from '../../../xapi';
import { DiagnosticError, describe, error, isSame, warning } from '../../framework';
import type { Path, Plan, PlanRequest, Value, ValueObject } from '../../framework';
import { UnreachableError } from '../connections';
import { unknownPool, usePool } from '../session';
import type { SessionContext } from '../session';
import { canonical, sameButForCase } from '../spelling';

/**
 * A seed that is to be attached is judged by what both pools say now; one that is attached is left alone, whatever became
 * of it since: the runs have gone on with it, and its snapshot may be gone for good reason.
 */
export async function planSeedResource(request: PlanRequest, context: SessionContext): Promise<Plan> {
  const { prior, planned } = request;
  const targetPool = planned['target_pool'] ?? null;
  if (prior !== null && isSame(prior['target_pool'] ?? null, targetPool)) {
    return { planned, requiresReplace: anotherSnapshot(planned, prior) };
  }
  const values: ValueObject = prior === null ? { ...planned, id: lowerOf(planned) } : planned;
  if (typeof targetPool !== 'string' || context.configured.connections === null) return { planned: values };
  const unknown = unknownPool(context, targetPool);
  if (unknown !== null) throw new DiagnosticError(error('Unknown Pool', unknown, ['target_pool']));
  try {
    return await usePool(context, targetPool, async (target) => {
      if (prior !== null) return moved(target, planned, prior);
      await check(target, planned, context);
      return { planned: { ...values, target_pool_uuid: target.uuid } };
    });
  } catch (failure) {
    if (!(failure instanceof UnreachableError) || context.configured.onUnreachable === 'fail') throw failure;
    context.report(
      warning(
        `Target Pool "${targetPool}" Is Unreachable`,
        `${failure.message}. Nothing of this seed was checked.`,
        ['target_pool'],
      ),
    );
    return { planned: values };
  }
}

/** Another name of the same pool is no change of the seed. */
function moved(target: Pool, planned: ValueObject, prior: ValueObject): Plan {
  const same = sameButForCase(prior['target_pool_uuid'] ?? null, target.uuid);
  return {
    planned,
    requiresReplace: [...(same ? [] : [['target_pool']]), ...anotherSnapshot(planned, prior)],
  };
}

/** After an import that came too late to find the snapshot, what the configuration says of it is believed. */
function anotherSnapshot(planned: ValueObject, prior: ValueObject): readonly Path[] {
  const before = prior['source_snapshot_uuid'] ?? null;
  const same = before === null || isSame(before, planned['source_snapshot_uuid'] ?? null);
  return same ? [] : [['source_snapshot_uuid']];
}

function lowerOf({ target_vm_uuid: uuid = null }: ValueObject): Value {
  return typeof uuid === 'string' ? canonical(uuid) : uuid;
}

async function check(target: Pool, planned: ValueObject, context: SessionContext): Promise<void> {
  const { engine } = context.configured;
  const { job_id: jobId, source_snapshot_uuid: snapshotUuid, target_vm_uuid: targetVmUuid } = planned;
  if (typeof jobId !== 'string') return;
  const job = await engine.readJob(target, canonical(jobId), context);
  if (job.kind !== 'live') {
    context.report(
      warning(
        'Seed Not Checked',
        `Pool "${target.name}" has no job ${canonical(jobId)} yet. The seed is judged when this is applied, after the job was made.`,
        ['job_id'],
      ),
    );
    return;
  }
  warnOfRace(job.definition, context);
  if (typeof snapshotUuid !== 'string' || typeof targetVmUuid !== 'string') return;
  await checkDigests(planned, snapshotUuid, context);
  const { poolName } = job.definition.source;
  const unknown = unknownPool(context, poolName);
  if (unknown !== null) throw new DiagnosticError(error('Unknown Pool', unknown, ['job_id']));
  try {
    const decision = await usePool(context, poolName, (source) => {
      const request = { job: seedJobOf(job.definition), source, target, snapshotUuid, targetVmUuid };
      return engine.checkSeed(request, { signal: context.signal });
    });
    if (decision.kind === 'blocked') decision.conflicts.forEach((conflict) => complain(conflict, context));
  } catch (failure) {
    if (!(failure instanceof UnreachableError)) throw failure;
    context.report(
      warning(`Source Pool "${poolName}" Is Unreachable`, `${describe(failure)}\nThe seed was not checked.`, [
        'source_snapshot_uuid',
      ]),
    );
  }
}

async function checkDigests(
  { digests = null }: ValueObject,
  snapshotUuid: string,
  { configured: { engine, cwd }, report }: SessionContext,
): Promise<void> {
  if (typeof digests !== 'string') return;
  try {
    await engine.manifestOf(resolve(cwd, digests), snapshotUuid);
  } catch (failure) {
    report(error('Digests Do Not Fit', describe(failure), ['digests']));
  }
}

/** An attachment that stands may be the one that this plan takes off first: then it is no obstacle. */
function complain(conflict: SeedConflict, { report }: SessionContext): void {
  const { message, hint } = describeSeedConflict(conflict);
  const mayPass = endsWithDetach(conflict);
  const condition = mayPass ? ' Unless this plan takes that off first, apply will fail.' : '';
  const say = mayPass ? warning : error;
  report(
    say('Seed Does Not Fit', `${capital(message)}.${condition}\n${capital(hint)}.`, [placeOf(conflict)]),
  );
}

function placeOf(conflict: SeedConflict): string {
  const { kind } = conflict;
  const ofSource = 'side' in conflict && conflict.side === 'source';
  if (kind.startsWith('snapshot-') || kind === 'not-a-snapshot' || ofSource) return 'source_snapshot_uuid';
  return kind === 'vm-not-in-job' || kind === 'sr-missing' || kind === 'permission'
    ? 'job_id'
    : 'target_vm_uuid';
}

/** Whoever carries a seed wants no full: between definition and seed the agent could send one. */
function warnOfRace({ enabled, initialCopy, name }: JobDefinition, { report }: SessionContext): void {
  if (!enabled || initialCopy === 'seed') return;
  report(
    warning(
      'Job May Not Wait for the Seed',
      `Job "${name}" is enabled and has initial_copy = "auto": its next run sends everything if it comes before the seed. Set ` +
        'initial_copy = "seed", or enable the job later.',
      ['job_id'],
    ),
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
