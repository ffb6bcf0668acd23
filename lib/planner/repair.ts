/**
 * What to do about a run that died between its announcement and its last step. Its content is complete (the
 * announcement is written after the last byte was confirmed), so it is finished, not thrown away; unless what it
 * announced is not there any more as it was.
 */
import { committedPoints, findBase } from './base';
import type { JobDefinition } from './job';
import { sameUuid } from './keys';
import type { SwapRecord } from './keys';
import { planCards } from './networks';
import type { Observation, ObservedReplica, ReplicaDisk } from './observation';
import type { BlockedPlan, Conflict, RepairPlan, Step } from './plan';

/** The plan that comes before everything else, or null where nothing was left half done. */
export function planRepair(job: JobDefinition, observation: Observation): RepairPlan | BlockedPlan | null {
  const { replica } = observation.target;
  if (replica === null) return null;
  switch (replica.swap.kind) {
    case 'absent':
      return finishCommit(job, observation, replica);
    case 'unreadable':
      return broken(observation, replica, [`the announcement cannot be read: ${replica.swap.reason}`]);
    case 'copied':
      return broken(observation, replica, [`the announcement is of another VM: ${replica.swap.record.self}`]);
    case 'own':
      return isOfJob(replica.swap.record, job, observation)
        ? finishSwap(job, observation, replica, replica.swap.record)
        : broken(observation, replica, [
            `the announcement is of job ${replica.swap.record.job}, VM ${replica.swap.record.sourceVm}, ` +
              `SR ${replica.swap.record.sr}`,
          ]);
  }
}

function isOfJob(swap: SwapRecord, job: JobDefinition, { source }: Observation): boolean {
  return swap.job === job.jobId && swap.sourceVm === source.vm.uuid && sameUuid(swap.sr, job.target.srUuid);
}

/** The target is committed, the source snapshot not yet, and nothing else is left to do. */
function finishCommit(
  job: JobDefinition,
  observation: Observation,
  replica: ObservedReplica,
): RepairPlan | null {
  const search = findBase(observation, job);
  if (search.kind !== 'unfinished') return null;
  return {
    kind: 'repair',
    vm: observation.source.vm,
    because: `recovery point "${search.point.id.name}" is committed, its source snapshot not yet`,
    replica: replica.id,
    swap: null,
    commit: search.commit,
    steps: [{ kind: 'commit-source' }],
  };
}

function finishSwap(
  job: JobDefinition,
  observation: Observation,
  replica: ObservedReplica,
  swap: SwapRecord,
): RepairPlan | BlockedPlan {
  const { source } = observation;
  const because = `run ${swap.run} announced an exchange of disks and did not finish it`;
  // Not by the run alone: a run that failed after its commit commits again, with another snapshot.
  const committed = committedPoints(job, replica).find(
    ({ commit }) => commit.run === swap.run && commit.sourceSnapshot === swap.sourceSnapshot,
  );
  const common = { kind: 'repair', vm: source.vm, replica: replica.id, swap } as const;
  const snapshot = source.snapshots.find(({ id }) => id.uuid === swap.sourceSnapshot);
  if (committed !== undefined) {
    // The commit is written after the exchange: whatever became of the live disks since, the point stands.
    const steps: readonly Step[] = [
      ...(snapshot?.commit.kind === 'absent' ? [{ kind: 'commit-source' } as const] : []),
      { kind: 'close-swap' },
    ];
    return { ...common, because, commit: committed.commit, steps };
  }
  const spoiled = spoiledDisks(replica, swap);
  if (spoiled.length > 0 && isUntouched(replica, swap)) {
    const why = `${spoiled.join('; ')}; the disks from before are all still attached`;
    return { ...common, because, commit: null, steps: [{ kind: 'abandon-swap', because: why }] };
  }
  const reasons = [...spoiled, ...foreignDisks(replica, swap)];
  if (reasons.length > 0) return broken(observation, replica, reasons);
  const overwritten = job.onDivergence === 'overwrite' ? [] : writtenOldDisks(replica, swap);
  if (overwritten.length > 0) {
    return blocked(observation, { kind: 'target-diverged', replica: replica.id, disks: overwritten });
  }
  const settings = settingsSteps(job, observation, snapshot !== undefined);
  return {
    ...common,
    because: [because, ...settings.notes].join('; '),
    commit: null,
    steps: [
      { kind: 'swap-disks' },
      ...settings.steps,
      { kind: 'commit-target' },
      ...(snapshot === undefined ? [] : [{ kind: 'commit-source' } as const]),
      { kind: 'close-swap' },
    ],
  };
}

/** The content comes first: what stands in the way of its settings is said, and met again by the next plan. */
function settingsSteps(
  job: JobDefinition,
  { source, target }: Observation,
  hasSnapshot: boolean,
): { readonly steps: readonly Step[]; readonly notes: readonly string[] } {
  if (!hasSnapshot) return { steps: [], notes: ['settings stay as they are: the source snapshot is gone'] };
  const { cards, conflicts } = planCards(job, source.cards, source.networks, target.networks);
  return conflicts.length === 0
    ? { steps: [{ kind: 'apply-settings', cards }], notes: [] }
    : { steps: [], notes: ['settings stay as they are: the network map does not fit'] };
}

/** New disks that do not hold any more what the run wrote to them: each with what became of it. */
function spoiledDisks(replica: ObservedReplica, swap: SwapRecord): readonly string[] {
  return swap.disks.flatMap(({ device, newVdi, newContentId }) => {
    const disk = `new disk ${newVdi} for device ${device}`;
    const found = replica.announced.find(({ uuid }) => uuid === newVdi)?.found ?? null;
    if (found === null) return [`${disk} is gone`];
    // Committing it would present somebody's writes as the source's content.
    if (found.contentId !== newContentId) return [`${disk} was written to after it was filled`];
    return found.usedBy.map(({ name, uuid }) => `${disk} is attached to VM "${name}" (${uuid})`);
  });
}

/** True while the replica still has every disk from before, and at those positions nothing else. */
function isUntouched(replica: ObservedReplica, swap: SwapRecord): boolean {
  return [...swap.disks, ...swap.removed].every(
    ({ device, oldVdi }) => (diskAt(replica, device)?.vdi.uuid ?? null) === oldVdi,
  );
}

function foreignDisks(replica: ObservedReplica, swap: SwapRecord): readonly string[] {
  return swap.disks.flatMap(({ device, oldVdi, newVdi }) => {
    const present = diskAt(replica, device);
    return present === undefined || present.vdi.uuid === newVdi || present.vdi.uuid === oldVdi
      ? []
      : [
          `device ${device} has neither the old nor the new disk: "${present.vdi.name}" (${present.vdi.uuid})`,
        ];
  });
}

/** Old disks, still attached, that somebody wrote to after the announcement: closing the exchange destroys them. */
function writtenOldDisks(replica: ObservedReplica, swap: SwapRecord): readonly string[] {
  return [...swap.disks, ...swap.removed].flatMap(({ device, oldVdi, oldContentId }) => {
    const present = diskAt(replica, device);
    return present === undefined || present.vdi.uuid !== oldVdi || present.contentId === oldContentId
      ? []
      : [`${device}: "${present.vdi.name}" (${present.vdi.uuid})`];
  });
}

function diskAt(replica: ObservedReplica, wanted: string): ReplicaDisk | undefined {
  return replica.disks.find(({ device }) => device === wanted);
}

function broken(observation: Observation, replica: ObservedReplica, reasons: readonly string[]): BlockedPlan {
  return blocked(observation, { kind: 'swap-broken', replica: replica.id, reasons });
}

function blocked({ source }: Observation, conflict: Conflict): BlockedPlan {
  return { kind: 'blocked', vm: source.vm, conflicts: [conflict] };
}
