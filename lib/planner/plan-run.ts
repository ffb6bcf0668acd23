/** The decision of one attempt for one VM: pure, so that every case can be a line in a table. */
import { planAdoption } from './adopt';
import { findBase } from './base';
import type { BaseSearch } from './base';
import { deepChains } from './chains';
import { planCopies } from './copies';
import type { JobDefinition } from './job';
import { own } from './keys';
import { baseConflicts, lostDiskConflicts, whyNoBase } from './missing-base';
import { planCards } from './networks';
import type { CardPlan } from './networks';
import type { Leftover, Observation, ObservedReplica, SourceObservation } from './observation';
import type { Base, Conflict, DeferredPlan, DiskCopy, ExpectedDisk, Plan, PlannedDisk, Step } from './plan';
import { planRepair } from './repair';
import { findResume, garbage } from './resume';
import type { Resume } from './resume';
import { alreadySuperseded, pointsToDestroy, sourceSnapshotsToDestroy } from './retention';
import type { Pruning } from './retention';
import { snapshotChoice } from './snapshot-mode';
import { sourceSpace, targetSpace, targetSpaceConflicts } from './space';
import { methodNotes, planDropping, planEnabling } from './transfer';
import { keptDisks } from './unchanged';

export function planRun(job: JobDefinition, observation: Observation): Plan {
  const { source, target } = observation;
  const refused = conflictsBeforeRepair(job, observation);
  if (refused.length > 0) return { kind: 'blocked', vm: source.vm, conflicts: refused };

  const repair = planRepair(job, observation);
  if (repair !== null) return repair;

  const adoption = planAdoption(job, observation);
  if (adoption !== null) return adoption;

  const search = findBase(observation, job);
  const { base, copies, resume } = copiesOf(job, observation, search);
  const cards = planCards(job, source.cards, source.networks, target.networks);
  const unwanted = garbage(observation.leftovers, resume);
  const space = targetSpace(copies, observation, base, resume);
  const sourceFit = sourceSpace(observation, unwanted);
  const conflicts = [
    ...storageConflicts(observation),
    ...baseConflicts(job, search, observation),
    ...lostDiskConflicts(job, base, copies),
    ...divergenceConflicts(job, target.replica),
    ...cards.conflicts,
    ...(resume === null ? snapshotConflicts(job, source) : []),
    ...(resume === null ? sourceFit.conflicts : []),
    ...targetSpaceConflicts(observation, unwanted, space),
  ];
  if (conflicts.length > 0) return { kind: 'blocked', vm: source.vm, conflicts };
  const deferred = deferral(job, observation, base, copies, resume);
  if (deferred !== null) return deferred;
  const pruning = pointsToDestroy(job, observation, {
    takenAtMs: resume?.snapshot.takenAtMs ?? source.nowMs,
    exact: resume !== null,
  });
  const kept = resume === null ? keptDisks(job, observation, base, copies) : null;
  return {
    kind: 'replicate',
    copyKind: copies.some(({ kind }) => kind === 'delta') ? 'delta' : 'full',
    vm: source.vm,
    base,
    replica: target.replica?.id ?? null,
    spaceNeededBytes: space.needBytes,
    notes: [
      ...resumeNotes(resume),
      ...copies.flatMap(noteOf),
      ...methodNotes(job, source.nbd, copies),
      ...(resume === null ? planEnabling(job, observation).notes : []),
      ...planDropping(job, observation).notes,
      ...removedDiskNotes(base, copies, source),
      ...excludedNotes(source),
      ...cards.notes,
      ...(resume === null ? sourceFit.notes : []),
      ...pruning.notes,
    ],
    kept: pruning.kept,
    steps: steps(job, observation, base, copies, resume, cards, pruning, kept !== null),
    whenUnchanged:
      kept === null
        ? null
        : [
            { kind: 'keep-disks', expected: kept, cardRefs: target.replica?.cardRefs ?? [] },
            ...commitSteps(job, observation, cards, pruning, false),
          ],
  };
}

/** A run of this job shut the VM down for its snapshot and died: it is started again before anything is decided. */
export function mustStartAgain(job: JobDefinition, { source }: Observation): boolean {
  return own(source.shutDown)?.job === job.jobId;
}

/** Where a chain has no room for another layer: take away what nobody needs, and leave the rest to the storage. */
function deferral(
  job: JobDefinition,
  observation: Observation,
  base: Base | null,
  copies: readonly DiskCopy[],
  resume: Resume | null,
): DeferredPlan | null {
  const fresh = copies.filter(({ device }) => resume?.disks.every((disk) => disk.device !== device) ?? true);
  const chains = deepChains(job, observation, fresh, resume === null);
  if (chains.length === 0) return null;
  const steps = [
    ...garbage(observation.leftovers, resume).map(discard),
    ...alreadySuperseded(job, observation, base),
  ];
  const { source, target } = observation;
  return { kind: 'deferred', vm: source.vm, replica: target.replica?.id ?? null, chains, steps };
}

/**
 * What a failed attempt leaves that nobody can go on with. What is to be repaired first may need any of it.
 *
 * @param goesOn whether the run tries again: a run that gives up leaves nothing of a group, of which no other can make use
 */
export function leftoversToDiscard(
  job: JobDefinition,
  observation: Observation,
  goesOn: boolean,
): readonly Leftover[] {
  if (planRepair(job, observation) !== null) return [];
  if (!goesOn && job.snapshot.groupSkewMs !== null) return observation.leftovers;
  const { resume } = copiesOf(job, observation, findBase(observation, job));
  return garbage(observation.leftovers, resume);
}

function copiesOf(
  job: JobDefinition,
  observation: Observation,
  search: BaseSearch,
): { readonly base: Base | null; readonly copies: readonly DiskCopy[]; readonly resume: Resume | null } {
  const { source, target } = observation;
  const base = search.kind === 'found' ? search.base : null;
  const baseSnapshot = source.snapshots.find(({ id }) => id.uuid === base?.sourceSnapshot.uuid) ?? null;
  const because = whyNoBase(job, search, observation);
  const copies = planCopies(source.disks, base, baseSnapshot, because, target, { job, nbd: source.nbd });
  return { base, copies, resume: findResume(job, observation, copies) };
}

function steps(
  job: JobDefinition,
  observation: Observation,
  base: Base | null,
  copies: readonly DiskCopy[],
  resume: Resume | null,
  cards: CardPlan,
  pruning: Pruning,
  compareFirst: boolean,
): readonly Step[] {
  const { source, target } = observation;
  const mode = job.transfer.verify;
  const choice = snapshotChoice(job.snapshot.mode, source);
  const how = choice.kind === 'possible' ? choice.how : 'plain';
  const copyKind = copies.some(({ kind }) => kind === 'delta') ? 'delta' : 'full';
  const resumed = resume?.disks ?? [];
  const fresh = copies.filter(({ device }) => resumed.every((disk) => disk.device !== device));
  const unfinished = copies.filter(({ device }) =>
    resumed.every((disk) => disk.device !== device || !disk.progress.complete),
  );
  const deltas = fresh.filter(({ kind }) => kind === 'delta').map(({ device }) => device);
  return [
    ...garbage(observation.leftovers, resume).map(discard),
    ...(resume === null
      ? [
          ...planEnabling(job, observation).steps,
          { kind: 'snapshot-source', vm: source.vm, how, disks: copies.map(plannedDisk) } as const,
        ]
      : [{ kind: 'resume-snapshot', snapshot: resume.snapshot.id } as const]),
    ...resumed.map((disk): Step => ({ kind: 'resume-disk', ...disk })),
    ...(compareFirst ? unfinished.map((copy): Step => ({ kind: 'compare-disk', copy })) : []),
    ...(base !== null && deltas.length > 0 ? [{ kind: 'clone-base', base, devices: deltas } as const] : []),
    ...fresh.filter(({ kind }) => kind === 'full').map(createDisk),
    ...unfinished.map((copy): Step => ({ kind: 'copy-disk', copy })),
    ...(mode === 'none' ? [] : copies.map((copy): Step => ({ kind: 'verify-disk', copy, mode }))),
    ...(target.replica === null ? [{ kind: 'create-replica', sourceVm: source.vm } as const] : []),
    { kind: 'announce-swap', copyKind, expected: expectedDisks(job, target.replica) },
    { kind: 'swap-disks' },
    ...commitSteps(job, observation, cards, pruning, true),
  ];
}

/** From disks that are in place to a recovery point, and to the end of what it supersedes. */
function commitSteps(
  job: JobDefinition,
  observation: Observation,
  cards: CardPlan,
  pruning: Pruning,
  swapped: boolean,
): readonly Step[] {
  const retired = (observation.target.replica?.points ?? []).flatMap(({ disks }) =>
    disks.filter(({ contentKey }) => contentKey !== null).map(({ vdi }) => vdi),
  );
  return [
    { kind: 'apply-settings', cards: cards.cards },
    { kind: 'commit-target' },
    { kind: 'commit-source' },
    ...(retired.length > 0 ? [{ kind: 'retire-points', disks: retired } as const] : []),
    ...(swapped ? [{ kind: 'close-swap' } as const] : []),
    ...planDropping(job, observation).steps,
    ...pruning.steps,
    ...sourceSnapshotsToDestroy(job, observation),
  ];
}

function discard(leftover: Leftover): Step {
  const because = `made by run ${leftover.run}, which ended before its commit; this run holds the lock`;
  return { kind: 'discard-leftover', leftover, because };
}

/** What was judged not to be anybody's work must still be what is replaced in the end. */
function expectedDisks(job: JobDefinition, replica: ObservedReplica | null): readonly ExpectedDisk[] | null {
  if (job.onDivergence === 'overwrite') return null;
  return (replica?.disks ?? []).map(({ device, vdi, contentId }) => ({ device, vdi, contentId }));
}

function plannedDisk({ device, sourceVdi: vdi, sizeBytes }: DiskCopy): PlannedDisk {
  return { device, vdi, sizeBytes };
}

function createDisk(copy: DiskCopy): Step {
  return { kind: 'create-disk', device: copy.device, sizeBytes: copy.sizeBytes, name: copy.sourceVdi.name };
}

/** What forbids even finishing an interrupted run. */
function conflictsBeforeRepair(job: JobDefinition, observation: Observation): readonly Conflict[] {
  const { source, target, missingPermissions } = observation;
  const conflicts: Conflict[] = [];
  if (missingPermissions.length > 0) conflicts.push({ kind: 'permission', missing: missingPermissions });
  if (source.replicaOf !== null) conflicts.push({ kind: 'is-replica', vm: source.vm, job: source.replicaOf });
  if (target.rivals.length > 0) {
    const all = [...(target.replica === null ? [] : [target.replica.id]), ...target.rivals];
    conflicts.push({ kind: 'rival-replicas', replicas: all });
  }
  const { replica } = target;
  if (replica !== null && replica.powerState !== 'Halted') {
    conflicts.push({ kind: 'replica-not-halted', replica: replica.id, powerState: replica.powerState });
  }
  if (replica !== null && replica.foreignTransfer !== null) {
    conflicts.push({ kind: 'foreign-transfer', replica: replica.id, mark: replica.foreignTransfer });
  }
  return conflicts;
}

/** What forbids a copy, though not the end of one that is complete already. */
function storageConflicts({ source, target }: Observation): readonly Conflict[] {
  const conflicts: Conflict[] = [];
  if (source.disks.length === 0) conflicts.push({ kind: 'no-disks', vm: source.vm });
  const raw = source.disks.filter((disk) => disk.raw).map(({ vdi }) => vdi);
  if (raw.length > 0) conflicts.push({ kind: 'raw-disk', side: 'source', objects: raw });
  if (target.rawDisks) conflicts.push({ kind: 'raw-disk', side: 'target', objects: [target.sr] });
  return conflicts;
}

function divergenceConflicts(job: JobDefinition, replica: ObservedReplica | null): readonly Conflict[] {
  if (replica === null || job.onDivergence === 'overwrite') return [];
  const changed = replica.disks.filter((disk) => disk.changed !== 'no');
  if (changed.length === 0) return [];
  return [
    {
      kind: 'target-diverged',
      replica: replica.id,
      disks: changed.map(({ device, vdi }) => `${device}: "${vdi.name}" (${vdi.uuid})`),
    },
  ];
}

function snapshotConflicts(job: JobDefinition, source: SourceObservation): readonly Conflict[] {
  const choice = snapshotChoice(job.snapshot.mode, source);
  return choice.kind === 'possible'
    ? []
    : [{ kind: 'snapshot-mode', vm: source.vm, mode: job.snapshot.mode, reason: choice.reason }];
}

function resumeNotes(resume: Resume | null): readonly string[] {
  return (resume?.disks ?? []).map(({ device, progress }) =>
    progress.complete
      ? `disk ${device} was filled by an interrupted run: only its commit is missing`
      : `disk ${device} goes on from ${String(progress.confirmedBytes)} of ${String(progress.sizeBytes)} bytes`,
  );
}

function noteOf(copy: DiskCopy): readonly string[] {
  return copy.kind === 'full' ? [`disk ${copy.device} is copied in full: ${copy.because}`] : [];
}

function removedDiskNotes(
  base: Base | null,
  copies: readonly DiskCopy[],
  { excluded }: SourceObservation,
): readonly string[] {
  return (base?.disks ?? [])
    .filter(({ device }) => ![...copies, ...excluded].some((disk) => disk.device === device))
    .map(
      ({ device }) =>
        `disk ${device} was removed from the VM: the replica keeps it in older recovery points only`,
    );
}

function excludedNotes({ excluded }: SourceObservation): readonly string[] {
  return excluded.map(
    ({ device, vdi }) => `disk ${device} "${vdi.name}" (${vdi.uuid}) is left out, as its name wants it`,
  );
}
