/**
 * What a run does where nothing changed: the replica's disks hold the newest content already, so they become the next
 * recovery point as they are. Nothing is cloned, exchanged or destroyed, and the disks' chains do not grow.
 */
import type { JobDefinition } from './job';
import type { Observation } from './observation';
import type { Base, DiskCopy, ExpectedDisk, ReplicatePlan, Step } from './plan';

/**
 * The replica's disks where all of them are known to equal the base's recovery point, else null: then there is nothing
 * that could stay. Content ids must be there and be equal; what a comparison of the disks found is not enough, since
 * there would be nothing to prove the new recovery point by.
 */
export function keptDisks(
  job: JobDefinition,
  { source, target }: Observation,
  base: Base | null,
  copies: readonly DiskCopy[],
): readonly ExpectedDisk[] | null {
  const live = target.replica?.disks ?? [];
  const point = target.replica?.points.find(({ id }) => id.uuid === base?.point.uuid);
  const snapshot = source.snapshots.find(({ id }) => id.uuid === base?.sourceSnapshot.uuid);
  const wanted = job.transfer.verify === 'none' && copies.length > 0 && live.length === copies.length;
  if (!wanted || point === undefined || snapshot === undefined) return null;
  const equal = copies.every((copy) => {
    const kept = live.find(({ device }) => device === copy.device);
    const committed = point.disks.find(({ device }) => device === copy.device);
    const before = snapshot.disks.find(({ device }) => device === copy.device);
    return (
      copy.kind === 'delta' &&
      kept?.contentId !== undefined &&
      kept.contentId !== null &&
      kept.contentId === committed?.contentId &&
      kept.sizeBytes === committed.sizeBytes &&
      before?.sizeBytes === copy.sizeBytes
    );
  });
  return equal ? live.map(({ device, vdi, contentId }) => ({ device, vdi, contentId })) : null;
}

/** The steps that follow the comparison of all disks with their base. */
export function stepsAfterComparison(
  plan: ReplicatePlan,
  unchangedDevices: ReadonlySet<string>,
): readonly Step[] {
  const compared = plan.steps.flatMap((step) => (step.kind === 'compare-disk' ? [step.copy.device] : []));
  const allUnchanged = compared.length > 0 && compared.every((device) => unchangedDevices.has(device));
  if (allUnchanged && plan.whenUnchanged !== null) return plan.whenUnchanged;
  return plan.steps.slice(lastComparison(plan) + 1);
}

/** The steps up to the comparison; all of them where there is none. */
export function stepsUpToComparison(plan: ReplicatePlan): readonly Step[] {
  const last = lastComparison(plan);
  return last < 0 ? [] : plan.steps.slice(0, last + 1);
}

function lastComparison(plan: ReplicatePlan): number {
  return plan.steps.findLastIndex(({ kind }) => kind === 'compare-disk');
}
