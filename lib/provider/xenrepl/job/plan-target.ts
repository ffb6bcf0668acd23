import type { Pool } from '../../../xapi';
import { UNKNOWN, isObject, warning } from '../../framework';
import type { ValueObject } from '../../framework';
import { complaint } from '../session';
import { canonical } from '../spelling';
import { differs } from './draft';
import type { Draft } from './draft';
import { findSr, networkFinder } from './lookups';

/** What the provider itself needs on the target; what a run needs is told where both pools are in reach. */
const definitionPermissions = ['pool.add_to_other_config', 'pool.remove_from_other_config'];

/**
 * The SR that `target_sr` names. Where it is the one the replicas stand on, the state's spelling is kept: name and uuid
 * of one SR are no change, after an import in particular. Also checks the target networks of `network_map`.
 */
export async function planSr(target: Pool, draft: Draft): Promise<ValueObject> {
  await checkTargetNetworks(target, draft);
  const { planned, prior, fresh, context } = draft;
  const wanted = planned['target_sr'] ?? null;
  if (typeof wanted !== 'string') return { target_sr_uuid: UNKNOWN };
  const before = prior?.['target_sr_uuid'] ?? null;
  const found = await findSr(target, wanted, context.signal);
  if (found.kind === 'not-found') {
    const isChange = fresh || differs(planned, prior, 'target_sr');
    context.report(complaint(isChange)('Unknown Storage Repository', found.why, ['target_sr']));
    return { target_sr_uuid: isChange ? UNKNOWN : before };
  }
  if (fresh || typeof before !== 'string') return { target_sr_uuid: found.uuid };
  if (canonical(before) !== found.uuid) {
    context.report(
      warning(
        'Another Storage Repository',
        `"${wanted}" is ${found.uuid}; the replicas stand on ${before} and stay there. The next run makes new replicas and ` +
          'copies everything.',
        ['target_sr'],
      ),
    );
    return { target_sr_uuid: found.uuid };
  }
  return { target_sr: prior?.['target_sr'] ?? wanted, target_sr_uuid: before };
}

async function checkTargetNetworks(target: Pool, { planned, prior, fresh, context }: Draft): Promise<void> {
  const map = planned['network_map'] ?? null;
  if (!isObject(map) || Object.keys(map).length === 0) return;
  const find = await networkFinder(target, context.signal);
  const complain = complaint(fresh || differs(planned, prior, 'network_map'));
  for (const [key, wanted] of Object.entries(map)) {
    const found = typeof wanted === 'string' ? find(wanted) : null;
    if (found?.kind === 'not-found')
      context.report(complain('Unknown Network', found.why, ['network_map', { key }]));
  }
}

/** Roles are checked now rather than in the middle of a night's run. `source` is null where it cannot be asked. */
export async function checkPermissions(target: Pool, source: Pool | null, draft: Draft): Promise<void> {
  const { signal, configured, report } = draft.context;
  const missing =
    source === null
      ? await missingForDefinition(target, signal)
      : await configured.engine.missingPermissions(source, target, { signal });
  if (missing.length === 0) return;
  report(
    complaint(draft.fresh)(
      'Missing Permissions',
      `The accounts in the pools file may not do what this job needs: ${missing.join('; ')}. Give them the role, or name ` +
        'other accounts.',
    ),
  );
}

async function missingForDefinition(target: Pool, signal: AbortSignal): Promise<readonly string[]> {
  const granted = await target.permissions({ signal });
  if (granted === 'all') return [];
  const known = new Set([...granted].map((name) => name.toLowerCase()));
  return definitionPermissions
    .filter((name) => !known.has(name))
    .map((name) => `${name} on pool "${target.name}" (role pool-operator has it)`);
}
