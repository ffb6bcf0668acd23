/** Keeps excluded disks out of source snapshots: their space is not held, and nobody takes them for copied ones. */
import type { Ref } from '../../xapi';
import { exclusionMark } from '../../planner/excluded';
import type { ObservedDisk } from '../../planner/observation';
import type { Attempt } from '../attempt';
import { codeOf } from '../errors';
import { unlessGone } from './destroy';
import type { FreshDisk, FreshVm } from './read-vm';

/**
 * Takes a snapshot without the excluded disks of the VM, where the release can leave disks out (21.4 and later); else
 * with them, and `dropExcluded` destroys theirs.
 *
 * @param disks all of the VM, as they were observed
 * @param take the call, given the disks to leave out; with none it must be the call that every release knows
 */
export async function withoutExcluded<T>(
  disks: readonly ObservedDisk[],
  take: (ignoredVdis: readonly Ref<'VDI'>[]) => Promise<T>,
): Promise<T> {
  const excluded = disks
    .filter(({ vdi }) => exclusionMark(vdi.name) !== null)
    .map(({ vdi }) => vdi.ref as Ref<'VDI'>);
  try {
    return await take(excluded);
  } catch (error) {
    if (excluded.length === 0 || codeOf(error) !== 'MESSAGE_PARAMETER_COUNT_MISMATCH') throw error;
    return take([]);
  }
}

/** Destroys what a snapshot has of excluded disks, and gives the snapshot without them. */
export async function dropExcluded({ source }: Attempt, snapshot: FreshVm): Promise<FreshVm> {
  for (const disk of snapshot.disks.filter(isExcluded)) {
    await unlessGone(source.call('VBD.destroy', [disk.vbdRef as Ref<'VBD'>]));
    // One that is attached read-only is shared by the snapshot: it is the VM's own.
    if (disk.record.is_a_snapshot) await unlessGone(source.callTask('VDI.destroy', [disk.ref as Ref<'VDI'>]));
  }
  return { ...snapshot, disks: snapshot.disks.filter((disk) => !isExcluded(disk)) };
}

function isExcluded({ record }: FreshDisk): boolean {
  return exclusionMark(record.name_label) !== null;
}
