/** A plan: what one attempt will do, as plain JSON. `xenrepl plan` prints exactly this. */
import type { CopyKind, StagingProgress, SwapRecord, TargetCommit } from './keys';
import type { Leftover, ObjectId, ObservedCard } from './observation';
import type { ReservedSpace } from './reservations';
import type { SnapshotHow } from './snapshot-mode';
import type { VerifyMode } from './verify';
import type { VmSettings } from './settings';

/** A disk of the base that a delta starts from: the recovery point's disk and the equal source snapshot disk. */
export interface BaseDisk {
  readonly device: string;
  readonly pointVdi: ObjectId;
  readonly sourceVdi: ObjectId;
}

export interface Base {
  readonly point: ObjectId;
  readonly sourceSnapshot: ObjectId;
  readonly disks: readonly BaseDisk[];
}

export type TransferMethod = 'export' | 'nbd';

/** How a disk is read, and why so. */
export interface ChosenMethod {
  readonly method: TransferMethod;
  readonly methodBecause: string;
  /** True where the other way cannot do it; absent otherwise. */
  readonly onlyWay?: true;
}

/** How one disk gets its new content. */
export type DiskCopy =
  | ({
      readonly kind: 'delta';
      readonly device: string;
      readonly sourceVdi: ObjectId;
      readonly sizeBytes: number;
      readonly base: BaseDisk;
    } & ChosenMethod)
  | ({
      readonly kind: 'full';
      readonly device: string;
      readonly sourceVdi: ObjectId;
      readonly sizeBytes: number;
      /** Why this disk cannot be a delta: shown in plan and report, so that no full is ever silent. */
      readonly because: string;
      /** True where recovery points hold what was at this position, but nothing leads from them to this disk. */
      readonly baseLost: boolean;
      /** Leave out zeros: only where the new disk is known to read as zeros. */
      readonly elideZeros: boolean;
    } & ChosenMethod);

/** A disk of the VM as the plan knows it: the snapshot must be of exactly these. */
export interface PlannedDisk {
  readonly device: string;
  readonly vdi: ObjectId;
  readonly sizeBytes: number;
}

/** A disk of the live replica that is about to be replaced: hours may lie between observation and exchange. */
export interface ExpectedDisk {
  readonly device: string;
  readonly vdi: ObjectId;
  readonly contentId: string | null;
}

export interface PlannedCard extends Omit<ObservedCard, 'network'> {
  readonly network: ObjectId;
}

/** A recovery point that Xen Orchestra made, and the source snapshot that it is a copy of. */
export interface XoPair {
  readonly replica: ObjectId;
  readonly point: ObjectId;
  readonly sourceSnapshot: ObjectId;
  readonly takenAtMs: number;
  readonly disks: readonly {
    readonly device: string;
    readonly pointVdi: ObjectId;
    readonly sourceVdi: ObjectId;
    readonly sourceSr: ObjectId;
    readonly sizeBytes: number;
  }[];
}

export type Step =
  | { readonly kind: 'compare-chain'; readonly pair: XoPair; readonly verify: 'sampled' | 'full' }
  | { readonly kind: 'adopt-chain'; readonly pair: XoPair }
  | { readonly kind: 'discard-leftover'; readonly leftover: Leftover; readonly because: string }
  | { readonly kind: 'enable-tracking'; readonly disks: readonly ObjectId[] }
  | {
      readonly kind: 'snapshot-source';
      readonly vm: ObjectId;
      readonly how: SnapshotHow;
      readonly disks: readonly PlannedDisk[];
    }
  | { readonly kind: 'clone-base'; readonly base: Base; readonly devices: readonly string[] }
  | {
      readonly kind: 'create-disk';
      readonly device: string;
      readonly sizeBytes: number;
      readonly name: string;
    }
  | { readonly kind: 'resume-snapshot'; readonly snapshot: ObjectId }
  | {
      readonly kind: 'resume-disk';
      readonly device: string;
      readonly vdi: ObjectId;
      readonly progress: StagingProgress;
    }
  /** Asks the source what changed on the disk: what follows depends on whether anything did on any disk. */
  | { readonly kind: 'compare-disk'; readonly copy: DiskCopy }
  | { readonly kind: 'copy-disk'; readonly copy: DiskCopy }
  /** Nothing changed: the replica's disks stay, once they are seen to be as observed. */
  | {
      readonly kind: 'keep-disks';
      readonly expected: readonly ExpectedDisk[];
      /** Refs of the replica's network cards: read along, which spares the settings a call. */
      readonly cardRefs: readonly string[];
    }
  /** Reads the filled disk back: before the replica gets it, so that what differs never becomes a recovery point. */
  | { readonly kind: 'verify-disk'; readonly copy: DiskCopy; readonly mode: VerifyMode }
  | { readonly kind: 'create-replica'; readonly sourceVm: ObjectId }
  | {
      readonly kind: 'announce-swap';
      readonly copyKind: CopyKind;
      /** The replica's disks as they were observed; null where the job is told to overwrite whatever is there. */
      readonly expected: readonly ExpectedDisk[] | null;
    }
  | { readonly kind: 'swap-disks' }
  | { readonly kind: 'apply-settings'; readonly cards: readonly PlannedCard[] }
  | { readonly kind: 'commit-target' }
  | { readonly kind: 'commit-source' }
  | { readonly kind: 'retire-points'; readonly disks: readonly ObjectId[] }
  | { readonly kind: 'close-swap' }
  /** Of this run's source snapshot. */
  | { readonly kind: 'drop-snapshot-data' }
  | { readonly kind: 'abandon-swap'; readonly because: string }
  | {
      readonly kind: 'destroy-point';
      readonly point: ObjectId;
      readonly disks: readonly ObjectId[];
      readonly because: string;
      /** Only where this run's snapshot was taken before: later it stands in for another hour. Null: in any case. */
      readonly ifTakenBeforeMs: number | null;
    }
  | {
      readonly kind: 'destroy-source-snapshot';
      readonly snapshot: ObjectId;
      readonly disks: readonly ObjectId[];
      readonly because: string;
    };

export type StepKind = Step['kind'];

/** Why nothing may be done, with the evidence. Resolved by the job's policy, never by a guess. */
export type Conflict =
  | { readonly kind: 'no-base'; readonly reason: string; readonly points: readonly string[] }
  /** The job leaves the first copy to a seed, and none is attached. */
  | {
      readonly kind: 'waiting-for-seed';
      readonly vm: ObjectId;
      readonly sr: ObjectId;
      readonly reason: string;
    }
  /** Xen Orchestra's chain under the job's id cannot be gone on with. */
  | {
      readonly kind: 'chain-refused';
      readonly replicas: readonly ObjectId[];
      readonly reasons: readonly string[];
    }
  | { readonly kind: 'target-diverged'; readonly replica: ObjectId; readonly disks: readonly string[] }
  | { readonly kind: 'replica-not-halted'; readonly replica: ObjectId; readonly powerState: string }
  | { readonly kind: 'foreign-transfer'; readonly replica: ObjectId; readonly mark: string }
  /** An announced exchange of disks that can be neither finished nor taken back without a person. */
  | { readonly kind: 'swap-broken'; readonly replica: ObjectId; readonly reasons: readonly string[] }
  | { readonly kind: 'rival-replicas'; readonly replicas: readonly ObjectId[] }
  | { readonly kind: 'network-unmapped'; readonly networks: readonly ObjectId[] }
  | { readonly kind: 'network-unknown'; readonly wanted: readonly string[] }
  | { readonly kind: 'network-ambiguous'; readonly networks: readonly ObjectId[] }
  | {
      readonly kind: 'no-space';
      readonly side: 'source' | 'target';
      readonly sr: ObjectId;
      readonly needBytes: number;
      readonly freeBytes: number;
      /** Of the free bytes: what other VMs are about to take, and which. */
      readonly reserved: readonly ReservedSpace[];
      /** What it is needed for. */
      readonly parts: readonly { readonly device: string; readonly bytes: number }[];
    }
  | { readonly kind: 'raw-disk'; readonly side: 'source' | 'target'; readonly objects: readonly ObjectId[] }
  | { readonly kind: 'no-disks'; readonly vm: ObjectId }
  /** The pool cannot take the snapshot that the job asks for. */
  | { readonly kind: 'snapshot-mode'; readonly vm: ObjectId; readonly mode: string; readonly reason: string }
  | { readonly kind: 'is-replica'; readonly vm: ObjectId; readonly job: string }
  | { readonly kind: 'permission'; readonly missing: readonly string[] };

export interface ReplicatePlan {
  readonly kind: 'replicate';
  readonly copyKind: CopyKind;
  readonly vm: ObjectId;
  readonly base: Base | null;
  /** The live replica, or null where this run makes it. */
  readonly replica: ObjectId | null;
  readonly spaceNeededBytes: number;
  readonly notes: readonly string[];
  /** Older recovery points that stay, with the reason. */
  readonly kept: readonly KeptPoint[];
  readonly steps: readonly Step[];
  /** What follows the comparison of the disks where none of them changed; null where that cannot be made use of. */
  readonly whenUnchanged: readonly Step[] | null;
}

export interface KeptPoint {
  readonly point: ObjectId;
  readonly because: string;
}

/** A disk whose chain has no room for another layer. */
export interface DeepChain {
  readonly side: 'source' | 'target';
  readonly device: string;
  readonly disk: ObjectId;
  readonly sr: ObjectId;
  readonly layers: number;
  readonly layersMax: number;
  /** Layers that the storage is going to merge by itself. */
  readonly mergesPending: number;
}

/**
 * Nothing is copied now, though nothing is wrong: chains are too deep for another layer. The steps take away what
 * nobody needs any more, so that the storage can make them shorter; a later run goes on.
 */
export interface DeferredPlan {
  readonly kind: 'deferred';
  readonly vm: ObjectId;
  readonly replica: ObjectId | null;
  readonly chains: readonly DeepChain[];
  readonly steps: readonly Step[];
}

/** Finishes what an earlier run left half done; afterwards the attempt observes and plans again. */
export interface RepairPlan {
  readonly kind: 'repair';
  readonly vm: ObjectId;
  readonly because: string;
  readonly replica: ObjectId;
  /** The announced exchange of disks, null where it was closed. */
  readonly swap: SwapRecord | null;
  /** The commit that stands on the target already, null where the interrupted run did not come so far. */
  readonly commit: TargetCommit | null;
  readonly steps: readonly Step[];
}

/** Takes over a chain that another tool made: compares it, then commits it; afterwards the attempt plans again. */
export interface AdoptPlan {
  readonly kind: 'adopt';
  readonly vm: ObjectId;
  readonly because: string;
  readonly replica: ObjectId;
  readonly notes: readonly string[];
  readonly steps: readonly Step[];
}

export interface BlockedPlan {
  readonly kind: 'blocked';
  readonly vm: ObjectId;
  readonly conflicts: readonly Conflict[];
}

export type Plan = ReplicatePlan | RepairPlan | AdoptPlan | DeferredPlan | BlockedPlan;

/** Settings that a run gives to a replica which it creates. */
export interface NewReplica {
  readonly settings: VmSettings;
  readonly cards: readonly PlannedCard[];
}
