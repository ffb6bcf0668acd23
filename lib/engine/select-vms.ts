/** Which VMs a job protects now: named ones, and those that bear one of its tags at this moment. */
import type { CallOptions, Pool, VmRecord } from '../xapi';
import { decode, own, sameUuid } from '../planner/keys';
import type { JobDefinition } from '../planner/job';
import { parseTemporaryName } from '../planner/marks';

export type SelectedVm =
  | { readonly kind: 'present'; readonly uuid: string; readonly name: string }
  /** Named by uuid, but the source pool has no such VM. */
  | { readonly kind: 'missing'; readonly uuid: string; readonly name: string };

/** What nobody would notice otherwise: tags that select nothing, replicas whose VM the job has lost. */
export async function selectionWarnings(
  source: readonly VmRecord[],
  target: Pool,
  job: JobDefinition,
  selected: readonly SelectedVm[],
  options: CallOptions,
): Promise<readonly string[]> {
  const ofTarget = await target.call('VM.get_all_records', [], options);
  return warningsOf(job, selected, source, Object.values(ofTarget));
}

/** Pure part. */
export function warningsOf(
  job: JobDefinition,
  selected: readonly SelectedVm[],
  source: readonly VmRecord[],
  target: readonly VmRecord[],
): readonly string[] {
  const idle = job.selection.tags.filter((tag) => !candidatesOf(source).some((vm) => isTagged(vm, tag)));
  const lost = target.flatMap((vm): string[] => {
    if (vm.is_a_snapshot) return [];
    const mark = own(decode.replica(vm.other_config, vm.uuid));
    if (mark?.job !== job.jobId || !sameUuid(mark.sr, job.target.srUuid)) return [];
    if (selected.some(({ uuid }) => sameUuid(uuid, mark.sourceVm))) return [];
    return [
      `the job does not select VM ${mark.sourceVm} any more: its replica "${vm.name_label}" (${vm.uuid}) stays as it is`,
    ];
  });
  return [
    ...(selected.length === 0 ? ['the job selects no VM at present: nothing is replicated'] : []),
    ...idle.map((tag) => `no VM of the source pool bears tag "${tag}"`),
    ...lost.sort(),
  ];
}

export async function selectVms(
  source: Pool,
  job: JobDefinition,
  only: readonly string[] | null,
  options: CallOptions,
): Promise<readonly SelectedVm[]> {
  return selectFrom(Object.values(await source.call('VM.get_all_records', [], options)), job, only);
}

/** Of the pool's VMs those that the job selects, and of these only the named ones. */
export function selectFrom(
  records: readonly VmRecord[],
  job: JobDefinition,
  only: readonly string[] | null,
): readonly SelectedVm[] {
  const selected = select(records, job);
  if (only === null) return selected;
  const wanted = new Set(only.map((uuid) => uuid.toLowerCase()));
  return selected.filter(({ uuid }) => wanted.has(uuid.toLowerCase()));
}

/**
 * Pure part: uuids in any case; a tag never selects a replica, a snapshot, a template or unfinished work of ours,
 * all of which inherit tags.
 */
export function select(records: readonly VmRecord[], job: JobDefinition): readonly SelectedVm[] {
  const candidates = candidatesOf(records);
  const named = job.selection.uuids.map((uuid): SelectedVm => {
    const vm = candidates.find((candidate) => candidate.uuid.toLowerCase() === uuid.toLowerCase());
    return vm === undefined
      ? { kind: 'missing', uuid: uuid.toLowerCase(), name: uuid }
      : { kind: 'present', uuid: vm.uuid, name: vm.name_label };
  });
  const tagged = candidates
    .filter((vm) => job.selection.tags.some((tag) => isTagged(vm, tag)))
    .map((vm): SelectedVm => ({ kind: 'present', uuid: vm.uuid, name: vm.name_label }));
  const all = new Map([...named, ...tagged].map((vm) => [vm.uuid, vm]));
  return [...all.values()].sort((a, b) => a.name.localeCompare(b.name) || a.uuid.localeCompare(b.uuid));
}

function candidatesOf(records: readonly VmRecord[]): readonly VmRecord[] {
  return records.filter((vm) => !vm.is_a_snapshot && !vm.is_control_domain);
}

function isTagged(vm: VmRecord, tag: string): boolean {
  return (
    !vm.is_a_template &&
    vm.tags.includes(tag) &&
    own(decode.replica(vm.other_config, vm.uuid)) === null &&
    parseTemporaryName(vm.name_label) === null
  );
}
