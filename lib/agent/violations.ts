/** Promises that are broken, told when they break and when they hold again: that no run failed says nothing of them. */
import { rpoState } from '../planner/rpo';
import type { RpoState } from '../planner/rpo';
import type { JobView } from './agent';
import type { Report } from './events';

export interface VmPromise extends RpoState {
  readonly uuid: string;
  readonly name: string | null;
  readonly takenAtMs: number | null;
}

/** How each VM of a job stands. A disabled job promises nothing. */
export function promisesOf({ book, vms, nowMs }: JobView): readonly VmPromise[] {
  const { rpoMs, enabled } = book.definition;
  return vms
    .filter(({ protectedNow }) => protectedNow)
    .map((vm) => ({
      uuid: vm.vmUuid,
      name: vm.name ?? book.vms?.get(vm.vmUuid) ?? null,
      takenAtMs: vm.newest?.takenAtMs ?? null,
      ...rpoState(enabled ? rpoMs : null, vm.newest, nowMs, book.knownSinceMs),
    }));
}

export function watchPromises(view: JobView, report: Report): void {
  const { book } = view;
  const { rpoMs } = book.definition;
  const broken = new Set<string>();
  for (const vm of promisesOf(view)) {
    const { uuid, name, ageMs, lagMs, violated } = vm;
    if (violated) broken.add(uuid);
    if (violated === book.violated.has(uuid)) continue;
    report({
      kind: violated ? 'violation-began' : 'violation-ended',
      pool: book.poolName,
      job: { id: book.definition.jobId, name: book.definition.name },
      vm: { uuid, name },
      rpoMs: rpoMs ?? 0,
      ageMs,
      lagMs,
      violated,
    });
  }
  book.violated.clear();
  for (const uuid of broken) book.violated.add(uuid);
}
