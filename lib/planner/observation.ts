/** What the planner knows: plain data, read from both pools before the first decision. */
import type {
  Found,
  ReplicaMark,
  RunMark,
  ShutdownMark,
  SourceCommit,
  StagingProgress,
  SwapRecord,
  TargetCommit,
  VerifiedMark,
} from './keys';
import type { ReservedSpace, StagedBytes } from './reservations';
import type { VmSettings } from './settings';
import type { XoKeys } from './xo-keys';

/** An object of a pool. `ref` is what calls take, `uuid` and `name` are what people and keys use. */
export interface ObjectId {
  readonly ref: string;
  readonly uuid: string;
  readonly name: string;
}

/** One file or volume of a disk's chain. */
export interface ChainLayer {
  readonly uuid: string;
  /** What it takes by itself; on a thick SR the whole volume, however little it holds. 0 until the SR was scanned. */
  readonly physicalBytes: number;
  /** True where nothing but the next layer builds upon it: the storage is going to merge the two. */
  readonly mergePending: boolean;
}

export interface ObservedDisk {
  readonly device: string;
  readonly vdi: ObjectId;
  readonly sizeBytes: number;
  readonly bootable: boolean;
  /** False for a disk that a snapshot VM merely shares: XAPI does not snapshot what is attached read-only. */
  readonly isSnapshot: boolean;
  /** uuid of the disk this one is a snapshot of; null where it is none or that disk is gone. */
  readonly snapshotOf: string | null;
  readonly contentId: string | null;
  /** Xen Orchestra's content key: only the newest recovery point may bear it. */
  readonly contentKey: string | null;
  readonly sr: ObjectId;
  /** True for a raw volume or any other image that is no VHD: it cannot be exported as a delta. */
  readonly raw: boolean;
  /** Changed-block tracking; `only`: nothing but the list of changed blocks is left of this snapshot. */
  readonly tracking: 'off' | 'on' | 'only';
  /** Bytes allocated in the disk's whole chain: an upper bound of what a full copy of it carries. */
  readonly allocatedBytes: number;
  /** From the disk itself to its oldest parent: as many layers as its chain is deep. */
  readonly chain: readonly ChainLayer[];
}

/** An SR on which the source VM has disks. */
export interface SourceStorage {
  readonly sr: ObjectId;
  readonly allocation: 'thin' | 'thick';
  readonly freeBytes: number;
}

export interface ObservedCard {
  readonly device: string;
  readonly network: ObjectId;
  readonly mac: string;
  readonly mtu: number;
}

export interface SourceSnapshot {
  readonly id: ObjectId;
  readonly takenAtMs: number;
  readonly disks: readonly ObservedDisk[];
  readonly commit: Found<SourceCommit>;
  readonly runMark: Found<RunMark>;
  /** Keys of commits for other jobs or targets that still need this snapshot. */
  readonly otherCommits: readonly string[];
}

/** Whether the source pool can list changed blocks and serve disks over NBD. */
export interface NbdFacts {
  /** The release knows both: XenServer 7.3, API 2.8. */
  readonly known: boolean;
  /** The licence lets changed-block tracking be turned on. */
  readonly licensed: boolean;
  /** Purposes of the pool's networks. */
  readonly purposes: readonly string[];
  /** For the SRs of the VM's disks. */
  readonly storages: readonly {
    readonly srUuid: string;
    readonly tracksChanges: boolean;
    /** `address:port` of the hosts that serve its disks. */
    readonly servers: readonly string[];
    /** Why the pool did not say who serves them; null where it did. */
    readonly refusal: string | null;
  }[];
  /** Permissions for changed-block tracking and NBD that the account on the source lacks, in lower case. */
  readonly denied: readonly string[];
  /** What this run has tried in vain already, by device. */
  readonly failed: Readonly<Record<string, NbdFailed>>;
  /** Why this run could not reach a server, for whichever disk of whichever VM, by `address:port`. */
  readonly unreached: Readonly<Record<string, string>>;
}

export interface NbdFailed {
  readonly reason: string;
  /** The pool cannot tell what changed, and will not be able to later; else it may have been a broken line. */
  readonly lasting: boolean;
}

export interface SourceObservation {
  readonly poolName: string;
  readonly vm: ObjectId;
  readonly powerState: string;
  /** What the pool says the VM may be asked for now. */
  readonly operations: readonly string[];
  /** Own where a run shut the VM down for its snapshot and did not live to start it again. */
  readonly shutDown: Found<ShutdownMark>;
  /** Without those that their name excludes. */
  readonly disks: readonly ObservedDisk[];
  readonly excluded: readonly ObservedDisk[];
  readonly cards: readonly ObservedCard[];
  readonly snapshots: readonly SourceSnapshot[];
  /** All networks of the pool: a name says which one is meant only where no other bears it. */
  readonly networks: readonly ObjectId[];
  /** Set where the VM is itself a replica of this job: a job must not replicate its own replicas. */
  readonly replicaOf: string | null;
  readonly storages: readonly SourceStorage[];
  /** The pool's clock; null where nothing that the job wants depends on it. */
  readonly nowMs: number | null;
  /** Null where the job reads by export in any case. */
  readonly nbd: NbdFacts | null;
}

export interface RecoveryPoint {
  readonly id: ObjectId;
  readonly takenAtMs: number;
  readonly disks: readonly ObservedDisk[];
  readonly commit: Found<TargetCommit>;
  /** What its last verification found; absent where there was none. */
  readonly verified: Found<VerifiedMark>;
}

/** A disk of the live replica; `changed` says whether it differs from every recovery point. */
export interface ReplicaDisk extends ObservedDisk {
  readonly changed: 'no' | 'yes' | 'unknown';
}

/** A disk that an announced exchange brings in, as it is now; null where it is gone. */
export interface AnnouncedDisk {
  readonly device: string;
  readonly uuid: string;
  readonly found: {
    readonly contentId: string | null;
    /** VMs other than the replica that have it attached; control domains do not count. */
    readonly usedBy: readonly ObjectId[];
  } | null;
}

export interface ObservedReplica {
  readonly id: ObjectId;
  readonly mark: ReplicaMark;
  readonly powerState: string;
  readonly blockedOperations: Readonly<Record<string, string>>;
  readonly disks: readonly ReplicaDisk[];
  readonly points: readonly RecoveryPoint[];
  readonly swap: Found<SwapRecord>;
  /** The new disks of an announced exchange; empty where none is announced. */
  readonly announced: readonly AnnouncedDisk[];
  readonly settings: VmSettings;
  readonly cards: readonly ObservedCard[];
  /** Of its network cards, so that they can be read again together with what else is read. */
  readonly cardRefs: readonly string[];
  /** Name of the tool and mark, where another program is writing to this replica right now. */
  readonly foreignTransfer: string | null;
}

/** Something that a run of ours made and did not live to finish. */
export interface Leftover {
  /** A task is that of a transfer whose run died: XAPI keeps it until somebody destroys it, or for a day. */
  readonly kind: 'vm' | 'disk' | 'task';
  readonly side: 'source' | 'target';
  readonly id: ObjectId;
  readonly run: string;
  /** For a VM: its own disks, which go with it. Never a CD's, never one that another VM uses. */
  readonly disks: readonly ObjectId[];
  /** What its disks hold by themselves: free again once it is discarded. */
  readonly reclaimableBytes: number;
  /** For a disk that a run filled in part: how far it is known to be right. */
  readonly progress?: StagingProgress;
  /** Beside `progress`. */
  readonly contentId?: string | null;
}

export interface TargetObservation {
  readonly poolName: string;
  readonly poolUuid: string;
  readonly sr: ObjectId;
  readonly srType: string;
  readonly allocation: 'thin' | 'thick';
  /** True where a new disk is known to read as zeros: only then may zeros be left out of a first copy. */
  readonly zeroedDisks: boolean;
  readonly rawDisks: boolean;
  readonly freeBytes: number;
  /** What staging disks on it hold, of all jobs. */
  readonly staged: readonly StagedBytes[];
  /** What other VMs are about to take of it, as far as this process runs them. */
  readonly reserved: readonly ReservedSpace[];
  readonly replica: ObservedReplica | null;
  /** Others that claim to be the replica of this (job, VM, SR); more than one means somebody meddled. */
  readonly rivals: readonly ObjectId[];
  readonly networks: readonly ObjectId[];
}

/** A snapshot with Xen Orchestra's keys, and without a commit of ours. */
export interface XoSnapshot {
  readonly id: ObjectId;
  readonly takenAtMs: number;
  readonly keys: XoKeys;
  readonly disks: readonly (ObservedDisk & { readonly keys: XoKeys })[];
}

/** A VM on the target whose keys say that Xen Orchestra copied the source VM to it, under the job's id. */
export interface XoReplica {
  readonly id: ObjectId;
  readonly powerState: string;
  readonly disks: readonly ObservedDisk[];
  readonly points: readonly XoSnapshot[];
  /** Its mark of a transfer that has not ended; null where there is none. */
  readonly transfer: string | null;
}

/** What comparing a recovery point of Xen Orchestra with its source snapshot showed, earlier in this run. */
export interface XoVerdict {
  readonly point: string;
  /** Null: equal as far as was read. */
  readonly difference: string | null;
}

export interface XoChains {
  /** Snapshots of the source VM. */
  readonly snapshots: readonly XoSnapshot[];
  readonly replicas: readonly XoReplica[];
  readonly verdicts: readonly XoVerdict[];
}

export interface Observation {
  readonly run: string;
  readonly xo: XoChains;
  readonly source: SourceObservation;
  readonly target: TargetObservation;
  readonly leftovers: readonly Leftover[];
  /** What the account may not do that a run needs, one text each; empty where all is allowed. */
  readonly missingPermissions: readonly string[];
}
