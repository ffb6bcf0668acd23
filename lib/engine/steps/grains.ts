/** What a delta may leave out, and what is remembered for the next one. */
import type { Base, DiskCopy } from '../../planner/plan';
import type { Attempt, TakenDisk } from '../attempt';
import { GrainIndex } from '../data/grain-index';
import type { GrainKey } from '../grain-cache';

/** What is known of the base's disk, to be kept up while it is copied; null where nothing may be left out. */
export async function grainIndex(
  attempt: Attempt,
  copy: DiskCopy,
  { sizeBytes }: TakenDisk,
): Promise<GrainIndex | null> {
  const { grainCache: cache, made } = attempt;
  // What an interrupted copy offered may stand on the disk in part: it is sent whole.
  if (cache === null || made.resumes.has(copy.device) || !GrainIndex.fits(sizeBytes)) return null;
  const base =
    copy.kind === 'full'
      ? null
      : await cache.load(keyOf(attempt, copy.device), {
          pointVdi: copy.base.pointVdi.uuid,
          sourceVdi: copy.base.sourceVdi.uuid,
          sizeBytes,
        });
  // Zeros left out of a first copy are what the new disk reads as: what it does not bring is zeros.
  if (copy.kind === 'full' && copy.elideZeros) return GrainIndex.zeros(sizeBytes);
  return base ?? GrainIndex.unknown(sizeBytes);
}

/** After the commit: binds what was noted to the new recovery point. Failing costs the next run bandwidth only. */
export async function rememberGrains(attempt: Attempt, base: Base | null): Promise<void> {
  const { grainCache: cache, made, context, vm } = attempt;
  if (cache === null) return;
  try {
    for (const { device, vdi, sourceVdi, sizeBytes } of made.commit?.disks ?? []) {
      const key = keyOf(attempt, device);
      const before = base?.disks.find((disk) => disk.device === device);
      const unchanged = made.unchanged.has(device) && before !== undefined;
      const index =
        made.grains.get(device) ??
        (unchanged
          ? await cache.load(key, {
              pointVdi: before.pointVdi.uuid,
              sourceVdi: before.sourceVdi.uuid,
              sizeBytes,
            })
          : null);
      if (index !== null) await cache.save(key, { pointVdi: vdi, sourceVdi, sizeBytes }, index);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.emit({ kind: 'warning', vm, text: `what the next delta could leave out is not kept: ${reason}` });
  }
}

function keyOf({ job, vm }: Attempt, device: string): GrainKey {
  return { job: job.jobId, sr: job.target.srUuid, sourceVm: vm.uuid, device };
}
