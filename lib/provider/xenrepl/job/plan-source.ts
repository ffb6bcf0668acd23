import type { Pool } from '../../../xapi';
import { UNKNOWN, describe, isArray, isObject, warning } from '../../framework';
import type { Value } from '../../framework';
import { UnreachableError } from '../connections';
import { complaint, unknownPool, usePool } from '../session';
import { sameButForCase } from '../spelling';
import { differs } from './draft';
import type { Draft } from './draft';
import { networkFinder } from './lookups';

/** What the source pool said. */
export interface SourceView {
  /** Null where it could not be asked. */
  readonly pool: Pool | null;
  /** `source_pool_uuid` where the definition changes anyway. */
  readonly newUuid: Value;
  /** `source_pool_uuid` where nothing else changes: a pool that came back is no reason for a plan. */
  readonly oldUuid: Value;
}

/**
 * Asks the source pool for its uuid and checks the VMs and networks that are named. A source that is gone is what
 * replication is for: it never stops a plan.
 */
export async function lookAtSource(draft: Draft): Promise<SourceView> {
  const { planned, prior, fresh, context } = draft;
  const sourcePool = planned['source_pool'] ?? null;
  const isChange = fresh || differs(planned, prior, 'source_pool');
  const oldUuid = prior?.['source_pool_uuid'] ?? null;
  const blind: SourceView = { pool: null, newUuid: isChange ? UNKNOWN : oldUuid, oldUuid };
  if (typeof sourcePool !== 'string') return blind;
  const unknown = unknownPool(context, sourcePool);
  if (unknown !== null) {
    context.report(complaint(isChange)('Unknown Pool', unknown, ['source_pool']));
    return blind;
  }
  try {
    return await usePool(context, sourcePool, async (source) => {
      await checkVms(source, draft);
      await checkSourceNetworks(source, draft);
      checkSameSource(source, draft, isChange);
      return { pool: source, newUuid: isChange || oldUuid === null ? source.uuid : oldUuid, oldUuid };
    });
  } catch (failure) {
    const say = failure instanceof UnreachableError ? warning : complaint(isChange);
    const title = failure instanceof UnreachableError ? 'Is Unreachable' : 'Cannot Be Asked';
    context.report(
      say(
        `Source Pool "${sourcePool}" ${title}`,
        `${describe(failure)}\nVMs, networks and roles on it were not checked. The plan goes on without it.`,
        ['source_pool'],
      ),
    );
    return blind;
  }
}

/** A VM named for the first time must be there; one that vanished since may have been lost with its site. */
async function checkVms(source: Pool, draft: Draft): Promise<void> {
  const { planned, prior, fresh, context } = draft;
  const { vm_uuids: wanted = null } = planned;
  if (!isArray(wanted)) return;
  const before = prior?.['vm_uuids'] ?? null;
  for (const [index, uuid] of wanted.entries()) {
    if (typeof uuid !== 'string') continue;
    const isNew = fresh || !isArray(before) || !before.some((known) => sameButForCase(known, uuid));
    const wrong = await whatIsWrongWithVm(source, uuid, draft);
    if (wrong !== null) context.report(complaint(isNew)('Unsuitable VM', wrong, ['vm_uuids', index]));
  }
}

async function whatIsWrongWithVm(source: Pool, uuid: string, { context }: Draft): Promise<string | null> {
  const { signal, configured } = context;
  try {
    const vm = await source.call('VM.get_record', [await source.call('VM.get_by_uuid', [uuid], { signal })], {
      signal,
    });
    const label = `"${vm.name_label}" (${uuid}) on pool "${source.name}"`;
    if (vm.is_a_snapshot) return `${label} is a snapshot. Name the VM it was taken of.`;
    if (vm.is_a_template) return `${label} is a template. Only VMs are replicated.`;
    return vm.is_control_domain ? `${label} is the control domain of a host.` : null;
  } catch (failure) {
    if (!(failure instanceof configured.engine.XapiError) || failure.code !== 'UUID_INVALID') throw failure;
    return `There is no VM ${uuid} on pool "${source.name}". Look the uuid up there, or take it out of vm_uuids.`;
  }
}

/** Only warnings: an entry for a network that no card is on does no harm. */
async function checkSourceNetworks(source: Pool, { planned, context }: Draft): Promise<void> {
  const map = planned['network_map'] ?? null;
  if (!isObject(map) || Object.keys(map).length === 0) return;
  const find = await networkFinder(source, context.signal);
  for (const key of Object.keys(map)) {
    const found = find(key);
    if (found.kind === 'not-found') {
      context.report(warning('Unknown Network', found.why, ['network_map', { key }]));
    }
  }
}

function checkSameSource(source: Pool, { prior, context }: Draft, isChange: boolean): void {
  const known = prior?.['source_pool_uuid'] ?? null;
  if (isChange || typeof known !== 'string' || sameButForCase(known, source.uuid)) return;
  context.report(
    warning(
      `Source Pool "${source.name}" Is Another Pool`,
      `The job was made for source pool ${known}, but the pools file leads "${source.name}" to pool ${source.uuid}. ` +
        'Correct the pools file, or change source_pool.',
      ['source_pool'],
    ),
  );
}
