/**
 * Whether a VM that was carried by hand may become the replica of a source snapshot: pure, so that every refusal is a
 * line in a table. The content itself is compared by the engine; here is everything that records can tell.
 */
import type { JobDefinition, VmSelection } from './job';
import { own, sameUuid } from './keys';
import type { Found, ReplicaMark, RunMark, SourceCommit, TargetCommit } from './keys';
import type { ObjectId, ObservedDisk } from './observation';

/** What a seed needs to know of the job: of a job that no pool knows (made by another tool) only the ids are known. */
export interface SeedJob {
  readonly jobId: string;
  readonly scheduleId: string;
  readonly name: string | null;
  /** Null: the one SR that all disks of the target VM are on. */
  readonly srUuid: string | null;
  /** Null where the job's definition is not known. */
  readonly selection: VmSelection | null;
}

export function seedJobOf(job: JobDefinition): SeedJob {
  return {
    jobId: job.jobId,
    scheduleId: job.scheduleId,
    name: job.name,
    srUuid: job.target.srUuid,
    selection: job.selection,
  };
}

export interface SeedDisk extends ObservedDisk {
  /** Attached read-only: a snapshot of the VM shares such a disk instead of having one of its own. */
  readonly readOnly: boolean;
  /** VMs besides the observed one that have it attached; control domains do not count. */
  readonly usedBy: readonly ObjectId[];
  /** True while a control domain has it attached: an upload or download is alive. */
  readonly transferring: boolean;
}

export interface SeedSnapshot {
  readonly id: ObjectId;
  readonly isSnapshot: boolean;
  /** The VM it was taken of; null where that one is gone. */
  readonly of: ObjectId | null;
  readonly ofTags: readonly string[];
  readonly takenAtMs: number;
  readonly disks: readonly SeedDisk[];
  readonly commit: Found<SourceCommit>;
  /** True where the recovery point that the commit names is still there. */
  readonly commitStands: boolean;
  readonly runMark: Found<RunMark>;
  /** Keys of commits for other jobs or targets. */
  readonly otherCommits: readonly string[];
  /** `xo:backup:job`, where Xen Orchestra knows the snapshot already. */
  readonly foreignJob: string | null;
}

export interface SeedCommit {
  readonly commit: TargetCommit;
  /** True where every byte was compared before it was written. */
  readonly knownGood: boolean;
}

export type SeedTargetKind = 'vm' | 'snapshot' | 'template' | 'control domain';

export interface SeedTarget {
  readonly id: ObjectId;
  readonly is: SeedTargetKind;
  readonly powerState: string;
  /** When it was last booted on this pool; null where it never was. */
  readonly startedAtMs: number | null;
  readonly operations: readonly string[];
  readonly disks: readonly SeedDisk[];
  readonly mark: Found<ReplicaMark>;
  /** Jobs of commits that stand on snapshots of this VM and name it as their replica. */
  readonly committedFor: readonly string[];
  /** The recovery point's commit, where it was made of the wanted snapshot for this job. */
  readonly pending: SeedCommit | null;
  /** What makes it a replica of Xen Orchestra: the job's id, or a text where that is not known. */
  readonly foreignJob: string | null;
  readonly foreignTransfer: string | null;
  /** True where it is being filled from files. */
  readonly importing: boolean;
}

export interface SeedObservation {
  readonly source: {
    readonly poolName: string;
    readonly wanted: string;
    readonly snapshot: SeedSnapshot | null;
  };
  readonly target: {
    readonly poolName: string;
    readonly wanted: string;
    readonly vm: SeedTarget | null;
    /** The job's SR, or of a job without one that of the VM's first disk; null where there is none. */
    readonly sr: ObjectId | null;
    readonly rawDisks: boolean;
    /** Replicas of the same (job, VM, SR), other than the VM itself. */
    readonly replicas: readonly ObjectId[];
  };
  readonly missingPermissions: readonly string[];
}

interface AtDevice {
  readonly device: string;
  readonly vdi: ObjectId;
}

/** Why a seed is refused, with the evidence. */
export type SeedConflict =
  | { readonly kind: 'permission'; readonly missing: readonly string[] }
  | { readonly kind: 'snapshot-missing'; readonly uuid: string; readonly poolName: string }
  | { readonly kind: 'target-missing'; readonly uuid: string; readonly poolName: string }
  | { readonly kind: 'not-a-snapshot'; readonly vm: ObjectId }
  | { readonly kind: 'snapshot-orphaned'; readonly vm: ObjectId }
  | { readonly kind: 'no-disks'; readonly vm: ObjectId }
  | { readonly kind: 'snapshot-unfinished'; readonly snapshot: ObjectId; readonly run: string }
  | { readonly kind: 'vm-not-in-job'; readonly vm: ObjectId; readonly job: string }
  | {
      readonly kind: 'snapshot-attached';
      readonly snapshot: ObjectId;
      readonly replica: string;
      readonly job: string;
    }
  | { readonly kind: 'snapshot-of-other-job'; readonly snapshot: ObjectId; readonly jobs: readonly string[] }
  | { readonly kind: 'sr-missing'; readonly uuid: string; readonly poolName: string }
  | { readonly kind: 'raw-disk'; readonly side: 'source' | 'target'; readonly objects: readonly ObjectId[] }
  | { readonly kind: 'target-not-a-vm'; readonly vm: ObjectId; readonly is: SeedTargetKind }
  | { readonly kind: 'target-is-source'; readonly vm: ObjectId }
  | { readonly kind: 'target-not-halted'; readonly vm: ObjectId; readonly powerState: string }
  | { readonly kind: 'target-started'; readonly vm: ObjectId; readonly atMs: number }
  | { readonly kind: 'target-busy'; readonly vm: ObjectId; readonly with: readonly string[] }
  | { readonly kind: 'target-importing'; readonly vm: ObjectId }
  | { readonly kind: 'foreign-transfer'; readonly vm: ObjectId; readonly mark: string }
  | { readonly kind: 'attached-already'; readonly vm: ObjectId; readonly job: string }
  | { readonly kind: 'attached-elsewhere'; readonly vm: ObjectId; readonly to: string }
  | { readonly kind: 'replica-exists'; readonly replicas: readonly ObjectId[] }
  | {
      readonly kind: 'disk-unpaired';
      readonly side: 'source' | 'target';
      readonly device: string;
      readonly vdi: ObjectId;
    }
  | {
      readonly kind: 'disk-size';
      readonly device: string;
      readonly sourceBytes: number;
      readonly targetBytes: number;
    }
  | {
      readonly kind: 'disk-read-only';
      readonly side: 'source' | 'target';
      readonly device: string;
      readonly vdi: ObjectId;
    }
  | { readonly kind: 'disk-shared'; readonly disk: AtDevice; readonly usedBy: readonly ObjectId[] }
  | {
      readonly kind: 'disk-on-other-sr';
      readonly disk: AtDevice;
      readonly sr: ObjectId;
      readonly wanted: ObjectId;
    };

const endingWithDetach: ReadonlySet<SeedConflict['kind']> = new Set<SeedConflict['kind']>([
  'attached-already',
  'attached-elsewhere',
  'replica-exists',
  'snapshot-attached',
  'snapshot-of-other-job',
]);

/** True where only another attachment stands in the way: it may be taken off before this one is made. */
export function endsWithDetach({ kind }: SeedConflict): boolean {
  return endingWithDetach.has(kind);
}

export interface SeedPair {
  readonly device: string;
  readonly source: SeedDisk;
  readonly target: SeedDisk;
}

/** What is attached to what, once nothing stands in the way. */
export interface SeedPlan {
  readonly kind: 'attach';
  /** The target's side, where an earlier try wrote it and died before the source's: that is all that is left to do. */
  readonly pending: SeedCommit | null;
  readonly vm: ObjectId;
  readonly snapshot: SeedSnapshot;
  readonly target: SeedTarget;
  readonly sr: ObjectId;
  readonly pairs: readonly SeedPair[];
}

export interface SeedBlocked {
  readonly kind: 'blocked';
  readonly conflicts: readonly SeedConflict[];
}

export function planSeed(job: SeedJob, observation: SeedObservation): SeedPlan | SeedBlocked {
  const { source, target, missingPermissions } = observation;
  const { snapshot } = source;
  const { vm, sr } = target;
  const conflicts: SeedConflict[] = [];
  if (missingPermissions.length > 0) conflicts.push({ kind: 'permission', missing: missingPermissions });
  if (snapshot === null) {
    conflicts.push({ kind: 'snapshot-missing', uuid: source.wanted, poolName: source.poolName });
  } else conflicts.push(...snapshotConflicts(job, snapshot));
  if (vm === null) conflicts.push({ kind: 'target-missing', uuid: target.wanted, poolName: target.poolName });
  else conflicts.push(...targetConflicts(job, vm, snapshot), ...storageConflicts(job, observation, vm));
  if (target.replicas.length > 0) conflicts.push({ kind: 'replica-exists', replicas: target.replicas });
  if (snapshot !== null && vm !== null) conflicts.push(...diskConflicts(snapshot.disks, vm.disks));
  const of = snapshot?.of ?? null;
  if (conflicts.length > 0 || snapshot === null || vm === null || sr === null || of === null) {
    return { kind: 'blocked', conflicts };
  }
  const pairs = snapshot.disks.flatMap((disk): SeedPair[] => {
    const partner = vm.disks.find(({ device }) => device === disk.device);
    return partner === undefined ? [] : [{ device: disk.device, source: disk, target: partner }];
  });
  const pending = own(vm.mark) === null ? null : vm.pending;
  return { kind: 'attach', pending, vm: of, snapshot, target: vm, sr, pairs };
}

function snapshotConflicts(job: SeedJob, snapshot: SeedSnapshot): readonly SeedConflict[] {
  const { id, of } = snapshot;
  if (!snapshot.isSnapshot) return [{ kind: 'not-a-snapshot', vm: id }];
  const conflicts: SeedConflict[] = [];
  if (of === null) conflicts.push({ kind: 'snapshot-orphaned', vm: id });
  else if (!isSelected(job.selection, of, snapshot.ofTags)) {
    conflicts.push({ kind: 'vm-not-in-job', vm: of, job: job.name ?? job.jobId });
  }
  const run = own(snapshot.runMark);
  // Half-made or half-destroyed by a run: it may go at any moment.
  if (run !== null) conflicts.push({ kind: 'snapshot-unfinished', snapshot: id, run: run.run });
  const commit = own(snapshot.commit);
  if (commit !== null && snapshot.commitStands) {
    conflicts.push({
      kind: 'snapshot-attached',
      snapshot: id,
      replica: commit.replica,
      job: commit.job,
    });
  }
  const others = [
    ...snapshot.otherCommits.map((key) => key.split(':')[2] ?? key),
    ...(snapshot.foreignJob === null || snapshot.foreignJob === job.jobId ? [] : [snapshot.foreignJob]),
  ];
  // The keys that other tools read have room for one job: writing ours would cost the other its base.
  if (others.length > 0) {
    conflicts.push({ kind: 'snapshot-of-other-job', snapshot: id, jobs: [...new Set(others)] });
  }
  if (snapshot.disks.length === 0) conflicts.push({ kind: 'no-disks', vm: id });
  const raw = snapshot.disks.filter((disk) => disk.raw).map(({ vdi }) => vdi);
  if (raw.length > 0) conflicts.push({ kind: 'raw-disk', side: 'source', objects: raw });
  return conflicts;
}

function isSelected(selection: VmSelection | null, vm: ObjectId, tags: readonly string[]): boolean {
  if (selection === null) return true;
  return (
    selection.uuids.some((uuid) => sameUuid(uuid, vm.uuid)) ||
    selection.tags.some((tag) => tags.includes(tag))
  );
}

function targetConflicts(
  job: SeedJob,
  vm: SeedTarget,
  snapshot: SeedSnapshot | null,
): readonly SeedConflict[] {
  const { id } = vm;
  if (vm.is !== 'vm') return [{ kind: 'target-not-a-vm', vm: id, is: vm.is }];
  if (snapshot?.of?.uuid === id.uuid) return [{ kind: 'target-is-source', vm: id }];
  const conflicts: SeedConflict[] = [];
  if (vm.powerState !== 'Halted') {
    conflicts.push({ kind: 'target-not-halted', vm: id, powerState: vm.powerState });
  }
  if (vm.startedAtMs !== null) conflicts.push({ kind: 'target-started', vm: id, atMs: vm.startedAtMs });
  if (vm.importing) conflicts.push({ kind: 'target-importing', vm: id });
  const busy = vm.disks
    .filter(({ transferring }) => transferring)
    .map(({ vdi }) => `a transfer of disk "${vdi.name}" (${vdi.uuid})`);
  if (vm.operations.length + busy.length > 0) {
    conflicts.push({ kind: 'target-busy', vm: id, with: [...vm.operations, ...busy] });
  }
  if (vm.foreignTransfer !== null) {
    conflicts.push({ kind: 'foreign-transfer', vm: id, mark: vm.foreignTransfer });
  }
  return [...conflicts, ...attachmentConflicts(job, vm, snapshot)];
}

function attachmentConflicts(
  job: SeedJob,
  vm: SeedTarget,
  snapshot: SeedSnapshot | null,
): readonly SeedConflict[] {
  const { id } = vm;
  const mark = own(vm.mark);
  if (mark !== null) {
    const same = mark.job === job.jobId && mark.sourceVm === snapshot?.of?.uuid;
    if (same && vm.pending !== null && snapshot.commit.kind === 'absent') return [];
    if (same) return [{ kind: 'attached-already', vm: id, job: job.name ?? job.jobId }];
    return [{ kind: 'attached-elsewhere', vm: id, to: `VM ${mark.sourceVm} of job ${mark.job}` }];
  }
  const others = vm.committedFor.filter((committed) => committed !== job.jobId);
  if (others.length > 0) {
    return [{ kind: 'attached-elsewhere', vm: id, to: `job ${others.join(', ')}, half way` }];
  }
  if (vm.foreignJob !== null && vm.foreignJob !== job.jobId) {
    return [{ kind: 'attached-elsewhere', vm: id, to: `Xen Orchestra's job ${vm.foreignJob}` }];
  }
  return [];
}

function storageConflicts(
  job: SeedJob,
  { target }: SeedObservation,
  vm: SeedTarget,
): readonly SeedConflict[] {
  const { sr } = target;
  if (sr === null) {
    if (job.srUuid === null) return [{ kind: 'no-disks', vm: vm.id }];
    return [{ kind: 'sr-missing', uuid: job.srUuid, poolName: target.poolName }];
  }
  const elsewhere = vm.disks.filter((disk) => disk.sr.uuid !== sr.uuid);
  const raw = vm.disks.filter((disk) => disk.raw).map(({ vdi }) => vdi);
  return [
    ...elsewhere.map(({ device, vdi, sr: found }): SeedConflict => ({
      kind: 'disk-on-other-sr',
      disk: { device, vdi },
      sr: found,
      wanted: sr,
    })),
    ...(target.rawDisks || raw.length > 0
      ? [{ kind: 'raw-disk', side: 'target', objects: raw.length > 0 ? raw : [sr] } as const]
      : []),
    ...vm.disks
      .filter(({ usedBy }) => usedBy.length > 0)
      .map(({ device, vdi, usedBy }): SeedConflict => ({
        kind: 'disk-shared',
        disk: { device, vdi },
        usedBy,
      })),
  ];
}

function diskConflicts(source: readonly SeedDisk[], target: readonly SeedDisk[]): readonly SeedConflict[] {
  const unpaired = (
    side: 'source' | 'target',
    disks: readonly SeedDisk[],
    others: readonly SeedDisk[],
  ): readonly SeedConflict[] =>
    disks
      .filter(({ device }) => !others.some((other) => other.device === device))
      .map(({ device, vdi }) => ({ kind: 'disk-unpaired', side, device, vdi }));
  const sizes = source.flatMap(({ device, sizeBytes }): SeedConflict[] => {
    const partner = target.find((disk) => disk.device === device);
    return partner === undefined || partner.sizeBytes === sizeBytes
      ? []
      : [{ kind: 'disk-size', device, sourceBytes: sizeBytes, targetBytes: partner.sizeBytes }];
  });
  // A snapshot has no disk of its own where the VM's is attached read-only: nothing would tell what changed later.
  const shared = (side: 'source' | 'target', disks: readonly SeedDisk[]): readonly SeedConflict[] =>
    disks
      .filter(({ readOnly, isSnapshot }) => (side === 'source' ? !isSnapshot : readOnly))
      .map(({ device, vdi }) => ({ kind: 'disk-read-only', side, device, vdi }));
  return [
    ...unpaired('source', source, target),
    ...unpaired('target', target, source),
    ...sizes,
    ...shared('source', source),
    ...shared('target', target),
  ];
}
