/** Brings the replica's settings and network cards up to date with the source snapshot. */
import { isNullRef, NULL_REF } from '../../xapi';
import type { MethodName, Pool, Ref, VifRecord, VmRecord } from '../../xapi';
import type { PlannedCard } from '../../planner/plan';
import { settingsChange, wantedSettings } from '../../planner/settings';
import type { SettingsChange } from '../../planner/settings';
import type { Attempt } from '../attempt';
import { codeOf } from '../errors';
import { settingsOf } from '../observe/settings';
import { startBlockedText } from './replica';

/** Answers that mean: this release does not know the field. It is reported as not carried over. */
const notThere: ReadonlySet<string> = new Set([
  'MESSAGE_METHOD_UNKNOWN',
  'MESSAGE_REMOVED',
  'MESSAGE_DEPRECATED',
]);

export async function applySettings(attempt: Attempt, cards: readonly PlannedCard[]): Promise<void> {
  const { target } = attempt;
  const replica = attempt.made.need('replica');
  const source = await sourceRecord(attempt);
  const ref = replica.ref as Ref<'VM'>;
  const actual = attempt.made.replicaRecord ?? (await target.call('VM.get_record', [ref]));
  const wanted = wantedSettings(settingsOf(source));
  await applyFields(attempt, ref, settingsChange(settingsOf(actual), wanted));
  const present = attempt.made.replicaCards ?? (await target.read({ VIF: actual.VIFs })).VIF;
  await applyCards(target, ref, present, cards);
  await protect(target, ref, actual);
  await carryTpm(attempt, source, actual);
}

async function sourceRecord(attempt: Attempt): Promise<VmRecord> {
  const { source } = attempt;
  if (attempt.made.snapshot !== null) return attempt.made.snapshot.record;
  const swap = attempt.made.need('swap');
  const ref = await source.call('VM.get_by_uuid', [swap.sourceSnapshot]);
  return { ...(await source.call('VM.get_record', [ref])), name_label: attempt.vm.name };
}

async function applyFields(attempt: Attempt, ref: Ref<'VM'>, change: SettingsChange): Promise<void> {
  const { target, context, vm } = attempt;
  if (change.memory !== null) await target.call('VM.set_memory_limits', [ref, ...change.memory]);
  for (const { field, value } of change.fields) {
    try {
      // The planner names fields of VmSettings only, each of which has a setter that takes its own type.
      await target.call(`VM.set_${field}` as MethodName, [ref, value] as never);
    } catch (error) {
      if (!notThere.has(codeOf(error) ?? '')) throw error;
      const text = `setting ${field} is not carried over: pool "${target.name}" does not know it`;
      context.emit({ kind: 'warning', vm, text });
    }
  }
}

async function applyCards(
  target: Pool,
  ref: Ref<'VM'>,
  present: ReadonlyMap<Ref<'VIF'>, VifRecord>,
  cards: readonly PlannedCard[],
): Promise<void> {
  const keep = new Set<string>();
  const missing: PlannedCard[] = [];
  for (const card of cards) {
    const found = [...present].find(
      ([, record]) =>
        record.device === card.device &&
        record.MAC.toLowerCase() === card.mac.toLowerCase() &&
        record.network === card.network.ref &&
        record.MTU === card.mtu,
    );
    if (found === undefined) missing.push(card);
    else keep.add(found[0]);
  }
  // Old ones first: a device number can be taken once only.
  for (const vif of present.keys()) if (!keep.has(vif)) await target.call('VIF.destroy', [vif]);
  for (const card of missing) {
    await target.call('VIF.create', [
      {
        device: card.device,
        network: card.network.ref as Ref<'network'>,
        VM: ref,
        MAC: card.mac,
        MTU: card.mtu,
        other_config: {},
        qos_algorithm_type: '',
        qos_algorithm_params: {},
        locking_mode: 'network_default',
        ipv4_allowed: [],
        ipv6_allowed: [],
      },
    ]);
  }
}

/** Start protection may have been taken off by hand; HA would start the replica all by itself. */
async function protect(target: Pool, ref: Ref<'VM'>, actual: VmRecord): Promise<void> {
  for (const operation of ['start', 'start_on']) {
    if (actual.blocked_operations[operation] === undefined) {
      await target.call('VM.add_to_blocked_operations', [ref, operation, startBlockedText]);
    }
  }
  if (actual.ha_restart_priority !== '') await target.call('VM.set_ha_restart_priority', [ref, '']);
  if (!isNullRef(actual.affinity)) await target.call('VM.set_affinity', [ref, NULL_REF as Ref<'host'>]);
}

/** A virtual TPM's contents, where both accounts may touch them; otherwise it is said, not guessed. */
async function carryTpm(attempt: Attempt, source: VmRecord, actual: VmRecord): Promise<void> {
  const [sourceTpm] = source.VTPMs ?? [];
  const replica = attempt.made.need('replica');
  if (sourceTpm === undefined) return;
  try {
    const contents = await attempt.source.call('VTPM.get_contents', [sourceTpm]);
    const [present] = actual.VTPMs ?? [];
    const tpm = present ?? (await attempt.target.call('VTPM.create', [replica.ref as Ref<'VM'>, false]));
    await attempt.target.call('VTPM.set_contents', [tpm, contents]);
  } catch (error) {
    const code = codeOf(error) ?? 'no code';
    const text = `the virtual TPM of VM "${attempt.vm.name}" is not carried over (${code}): a clone of the replica has none`;
    attempt.context.emit({ kind: 'warning', vm: attempt.vm, text });
  }
}
