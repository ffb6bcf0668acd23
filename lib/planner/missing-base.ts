/** What to say, and whether to stop, where a full copy is needed although there was a copy before. */
import { judgeChain } from './adopt';
import { committedPoints } from './base';
import type { BaseSearch } from './base';
import type { JobDefinition } from './job';
import { own } from './keys';
import type { Observation, SourceObservation } from './observation';
import type { Base, Conflict, DiskCopy } from './plan';

export function baseConflicts(
  job: JobDefinition,
  search: BaseSearch,
  observation: Observation,
): readonly Conflict[] {
  if (search.kind !== 'none') return [];
  const { source, target } = observation;
  if (job.initialCopy === 'seed' && committedPoints(job, target.replica).length === 0) {
    return [
      { kind: 'waiting-for-seed', vm: source.vm, sr: target.sr, reason: whyNoBase(job, search, observation) },
    ];
  }
  if (job.onMissingBase === 'full') return [];
  const unfinished = new Set(observation.leftovers.map(({ id }) => id.uuid));
  const points = (target.replica?.points ?? []).filter(({ id }) => !unfinished.has(id.uuid));
  // An empty shell of a replica lost nothing: its first copy is still to come. The source knows whether there was one.
  if (points.length === 0 && replicasKnownTo(source).length === 0) return [];
  const reason =
    points.length === 0
      ? whyNoBase(job, search, observation)
      : search.reasons.length > 0
        ? search.reasons.join('; ')
        : 'no recovery point bears a valid commit';
  return [{ kind: 'no-base', reason, points: points.map(({ id }) => `"${id.name}" (${id.uuid})`) }];
}

/** Disks that would be sent in full although recovery points hold what was in their place: as for a whole VM. */
export function lostDiskConflicts(
  job: JobDefinition,
  base: Base | null,
  copies: readonly DiskCopy[],
): readonly Conflict[] {
  if (base === null || job.onMissingBase === 'full') return [];
  const lost = copies.flatMap((copy) =>
    copy.kind === 'full' && copy.baseLost ? [`disk ${copy.device}: ${copy.because}`] : [],
  );
  if (lost.length === 0) return [];
  const { name, uuid } = base.point;
  return [{ kind: 'no-base', reason: lost.join('; '), points: [`"${name}" (${uuid})`] }];
}

export function whyNoBase(job: JobDefinition, search: BaseSearch, observation: Observation): string {
  const { source, target } = observation;
  if (search.kind === 'none' && search.reasons.length > 0)
    return `no common base: ${search.reasons.join('; ')}`;
  if (target.replica !== null) return 'the replica has no committed recovery point';
  // Somebody removed the replica or its mark: a second full copy must not look like the first.
  const known = replicasKnownTo(source);
  const chain = judgeChain(job, observation);
  if (known.length === 0 && chain.kind === 'refused') {
    return `Xen Orchestra's chain is left as it is: ${chain.reasons.join('; ')}`;
  }
  return known.length === 0
    ? 'the first copy'
    : `the replica of earlier copies (${known.join(', ')}) is not on the target pool any more`;
}

/** The replicas that commits on the source speak of. */
function replicasKnownTo({ snapshots }: SourceObservation): readonly string[] {
  return [...new Set(snapshots.flatMap(({ commit }) => own(commit)?.replica ?? []))];
}
