/** One attempt for one VM: what its steps share, and what they have produced so far. */
import type { CallOptions, Pool, Ref, VifRecord, VmRecord } from '../xapi';
import type { NbdReach } from '../nbd';
import type { TargetCommit, SwapRecord } from '../planner/keys';
import type { JobDefinition } from '../planner/job';
import type { TemporaryName, TemporaryRole } from '../planner/marks';
import type { NbdFailed, ObjectId, ObservedDisk, XoVerdict } from '../planner/observation';
import type { VerifyMode } from '../planner/verify';
import type { RunContext } from './context';
import type { ChangedBlocks } from './data/changed-blocks';
import type { CopyResult, ResumePoint } from './data/copy-disk';
import type { DiskReader } from './data/extent';
import type { GrainIndex } from './data/grain-index';
import type { SegmentLimits } from './data/write-segments';
import { StalePlan } from './errors';
import type { GrainCache } from './grain-cache';
import type { RunLock } from './lock';
import type { Queues } from './queues';
import type { BlockSet } from './seed/blocks';
import type { SnapshotGroup } from './snapshot-group';

export interface TakenDisk {
  readonly device: string;
  readonly vdi: ObjectId;
  readonly srRef: string;
  readonly sizeBytes: number;
  readonly bootable: boolean;
}

/** The source snapshot of this attempt, as it is after it was taken. */
export interface TakenSnapshot {
  readonly id: ObjectId;
  readonly takenAtMs: number;
  /** Of an earlier attempt or run, whose transfers may still be alive. */
  readonly resumed: boolean;
  readonly record: VmRecord;
  readonly disks: readonly TakenDisk[];
}

export interface StagedDisk {
  readonly vdi: ObjectId;
  readonly sizeBytes: number;
}

export interface Attempt {
  readonly job: JobDefinition;
  readonly vm: ObjectId;
  readonly source: Pool;
  readonly target: Pool;
  readonly targetSr: ObjectId;
  /** The source VM's disks as they were observed. */
  readonly sourceDisks: readonly ObservedDisk[];
  readonly context: RunContext;
  readonly lock: RunLock;
  readonly queues: Queues;
  /** The VMs that are snapshotted together; null where each is when its turn comes. */
  readonly group: SnapshotGroup | null;
  readonly limits: SegmentLimits;
  /** Null: nothing is remembered between runs. */
  readonly grainCache: GrainCache | null;
  /** When the newest recovery point was committed; commits are told apart and ordered by this. */
  readonly newestCommitMs: number;
  /** Disks that could not be read over NBD, by device: noted by this attempt, for the next one of this run. */
  readonly nbdFailures: Map<string, NbdFailed>;
  /** Which servers the VMs of this run could reach. */
  readonly nbdReach: NbdReach;
  readonly made: Produced;
}

/** What steps leave for later ones. A step that needs what is not there was planned wrongly: it says so. */
export class Produced {
  snapshot: TakenSnapshot | null = null;
  replica: ObjectId | null = null;
  swap: SwapRecord | null = null;
  commit: TargetCommit | null = null;
  point: ObjectId | null = null;
  /** What comparing recovery points showed; read by the plans that follow. */
  readonly verdicts: XoVerdict[] = [];
  /** What a delta starts from on the source; null for a full. */
  baseSnapshot: ObjectId | null = null;
  /** The replica's record, where a step has read it and nothing changed it since. */
  replicaRecord: VmRecord | null = null;
  /** All network cards of that record, likewise. */
  replicaCards: ReadonlyMap<Ref<'VIF'>, VifRecord> | null = null;
  readonly staged = new Map<string, StagedDisk>();
  readonly copied = new Map<string, CopyResult>();
  /** Found equal to the base by this attempt, by device. That nothing is left to be copied is not the same: an earlier run may have. */
  readonly unchanged = new Set<string>();
  /** What was read back of a copied disk and found equal, by device. */
  readonly verified = new Map<string, { readonly mode: VerifyMode; readonly comparedBytes: number }>();
  /** What each grain of a copied disk holds now, by device. */
  readonly grains = new Map<string, GrainIndex>();
  /** Which of a disk's changed blocks anything was sent of, by device; absent where an earlier run copied parts of it. */
  readonly sent = new Map<string, BlockSet | 'all'>();
  /** Listed since the base, by device: the pool lists nothing of a disk that was opened over NBD until some time after it was closed. */
  readonly changes = new Map<string, ChangedBlocks>();
  /** Opened to learn whether anything changed, by device; whoever copies the disk takes it over. */
  readonly opened = new Map<string, DiskReader>();
  /** Refs of the replica's live disks by uuid, where a step has looked them up. */
  readonly liveRefs = new Map<string, string>();
  /** Where the copy of a disk goes on; absent for one that starts at its beginning. */
  readonly resumes = new Map<string, ResumePoint>();

  need<K extends 'snapshot' | 'replica' | 'swap' | 'commit'>(what: K): NonNullable<Produced[K]> {
    const value = this[what];
    if (value === null) throw new StalePlan(`A step needs the ${what}, which no earlier step produced`);
    return value;
  }

  stagedAt(device: string): StagedDisk {
    const disk = this.staged.get(device);
    if (disk === undefined) throw new StalePlan(`No staging disk was made for device ${device}`);
    return disk;
  }
}

/** What the name of an object says that this attempt makes. */
export function workOf({ job, vm, context }: Attempt, role: TemporaryRole): TemporaryName {
  return { role, job: job.jobId, sr: job.target.srUuid, sourceVm: vm.uuid, run: context.runId };
}

/** Options for calls that may be stopped by the user. */
export function stoppable(attempt: Attempt): CallOptions {
  return { signal: attempt.context.signal };
}
