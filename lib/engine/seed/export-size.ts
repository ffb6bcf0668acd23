/**
 * How much the disks of a snapshot hold, before any of it is read. The pool's own figure is of no use here: for a snapshot
 * it counts the newest file of the chain alone. The table at the head of each export tells.
 */
import type { Ref } from '../../xapi';
import type { ObservedDisk } from '../../planner/observation';
import { openExportReader } from '../data/read-export';
import { assertQuiet } from '../steps/quiet';
import type { ExportSeedOptions } from './export';
import { taskLabel } from './tasks';

/** Upper bound of the bytes of data, of all these disks together: whole blocks of 2 MiB. */
export async function dataBytesOf(
  { source, context }: Pick<ExportSeedOptions, 'source' | 'context'>,
  disks: readonly ObservedDisk[],
  files: string,
): Promise<number> {
  let sum = 0;
  for (const { vdi, sr, sizeBytes } of disks) {
    const request = {
      vdi: vdi.ref as Ref<'VDI'>,
      sr: sr.ref as Ref<'SR'>,
      label: taskLabel(files, `size of ${vdi.name}`),
      sizeBytes,
      name: vdi.name,
    };
    const reader = await openExportReader(source, request, context.signal);
    sum += reader.changedBytes;
    await reader.abort();
    // The server lets go of the disk a moment later; until then another export of it may be refused.
    await assertQuiet(source, vdi, context.clock, context.signal, { signal: context.signal });
  }
  return sum;
}
