/** Marks that Xen Orchestra leaves while it transfers; it does not know our lock, so we keep away. */
import type { VdiRecord, VmRecord } from '../../xapi';
import { isUnfinished, readXoKeys } from '../../planner/xo-keys';

/** Name of the tool and the mark, or null where no transfer is under way. */
export function xoTransferMark(vm: VmRecord, disks: readonly VdiRecord[]): string | null {
  if (vm.name_label.startsWith('[Importing')) return `Xen Orchestra: VM named "${vm.name_label}"`;
  if (Object.values(vm.blocked_operations).some((text) => text.startsWith('Importing'))) {
    return 'Xen Orchestra: start is blocked with "Importing"';
  }
  if (isUnfinished(readXoKeys(vm.other_config))) {
    return 'Xen Orchestra: xo:backup:datetime is the 1970 marker of an unfinished copy';
  }
  for (const { name_label: name, other_config: config } of disks) {
    if (name.startsWith('[Importing]')) return `Xen Orchestra: disk named "${name}"`;
    if (config['xo:import:task'] !== undefined) return `Xen Orchestra: disk "${name}" is being imported`;
  }
  return null;
}
