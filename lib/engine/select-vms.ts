/** Which VMs a job protects now: named ones, and those that bear one of its tags at this moment. */
import type { CallOptions, Pool, VmRecord } from '../xapi';
import { decode, own } from '../planner/keys';
import type { JobDefinition } from '../planner/job';
import { parseTemporaryName } from '../planner/marks';

export type SelectedVm =
  | { readonly kind: 'present'; readonly uuid: string; readonly name: string }
  /** Named by uuid, but the source pool has no such VM. */
  | { readonly kind: 'missing'; readonly uuid: string; readonly name: string };

export async function selectVms(
  source: Pool,
  job: JobDefinition,
  only: readonly string[] | null,
  options: CallOptions,
): Promise<readonly SelectedVm[]> {
  const records = await source.call('VM.get_all_records', [], options);
  const selected = select(Object.values(records), job);
  if (only === null) return selected;
  const wanted = new Set(only.map((uuid) => uuid.toLowerCase()));
  return selected.filter(({ uuid }) => wanted.has(uuid.toLowerCase()));
}

/**
 * Pure part: uuids in any case; a tag never selects a replica, a snapshot, a template or unfinished work of ours,
 * all of which inherit tags.
 */
export function select(records: readonly VmRecord[], job: JobDefinition): readonly SelectedVm[] {
  const candidates = records.filter((vm) => !vm.is_a_snapshot && !vm.is_control_domain);
  const named = job.selection.uuids.map((uuid): SelectedVm => {
    const vm = candidates.find((candidate) => candidate.uuid.toLowerCase() === uuid.toLowerCase());
    return vm === undefined
      ? { kind: 'missing', uuid: uuid.toLowerCase(), name: uuid }
      : { kind: 'present', uuid: vm.uuid, name: vm.name_label };
  });
  const tagged = candidates
    .filter((vm) => !vm.is_a_template && vm.tags.some((tag) => job.selection.tags.includes(tag)))
    .filter((vm) => own(decode.replica(vm.other_config, vm.uuid)) === null)
    .filter((vm) => parseTemporaryName(vm.name_label) === null)
    .map((vm): SelectedVm => ({ kind: 'present', uuid: vm.uuid, name: vm.name_label }));
  const all = new Map([...named, ...tagged].map((vm) => [vm.uuid, vm]));
  return [...all.values()].sort((a, b) => a.name.localeCompare(b.name) || a.uuid.localeCompare(b.uuid));
}
