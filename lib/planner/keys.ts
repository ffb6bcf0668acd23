/**
 * Every key this project writes into `other_config`, encoded and decoded here and nowhere else.
 *
 * `other_config` is copied by clone, snapshot, revert and XVA export, so a record proves nothing by being
 * there: each names the object it stands on (`self`) and counts only where that is true.
 */

type StringMap = Readonly<Record<string, string>>;

export const keyPrefix = 'xenrepl:';
/** Xen Orchestra's keys; we write those of its layout that let it continue our chains. */
const xoPrefixes = ['xo:backup:', 'xo:copy_of', 'xo:base_delta', 'xo:import:'];

const commitKey = 'xenrepl:commit';
const replicaKey = 'xenrepl:replica';
const swapKey = 'xenrepl:swap';
const stagingKey = 'xenrepl:staging';
const progressKey = 'xenrepl:progress';
const runKey = 'xenrepl:run';
const seedKey = 'xenrepl:seed';
const verifiedKey = 'xenrepl:verified';
const shutdownKey = 'xenrepl:shutdown';

export type CopyKind = 'full' | 'delta';

/** A disk of a commit on the target: the recovery point's disk, and the source snapshot disk it equals. */
export interface CommittedDisk {
  readonly device: string;
  readonly vdi: string;
  readonly sourceVdi: string;
  readonly sizeBytes: number;
  /** `sha256:<hex>` over what this run wrote to the disk, grain by grain; null where nothing was copied (adopted). */
  readonly digest: string | null;
  /** Content id of the recovery point's disk: another one later means that somebody wrote to it. Unknown where absent. */
  readonly contentId?: string | null;
}

/** Stands on a recovery point; written after every byte was confirmed by its task. */
export interface TargetCommit {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly run: string;
  readonly sourceVm: string;
  readonly sourceSnapshot: string;
  readonly replica: string;
  readonly sr: string;
  readonly kind: CopyKind;
  /** When the source snapshot was taken, by the source pool's clock, epoch milliseconds. */
  readonly takenAtMs: number;
  /** When the commit was written, by the target pool's clock, epoch milliseconds. */
  readonly committedAtMs: number;
  readonly disks: readonly CommittedDisk[];
  /** The source snapshot that it is a delta to; null for a full, absent where it is not known. */
  readonly baseSnapshot?: string | null;
}

/** Stands on a source snapshot under a key per job and target SR; written last. */
export interface SourceCommit {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly run: string;
  readonly sr: string;
  readonly point: string;
  readonly replica: string;
  readonly committedAtMs: number;
  readonly disks: readonly { readonly device: string; readonly vdi: string; readonly pointVdi: string }[];
  /** A person took this snapshot and made a seed of it: it is theirs, and retention leaves it alone. */
  readonly kept?: boolean;
}

/** Stands on the live replica and makes it the replica of (job, VM, SR). */
export interface ReplicaMark {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly sourceVm: string;
  readonly sr: string;
}

export interface SwapDisk {
  readonly device: string;
  /** Disk that was attached before; null where the replica had none at this position. */
  readonly oldVdi: string | null;
  /** Content ids at the announcement: another one later means that somebody wrote to the disk since. */
  readonly oldContentId: string | null;
  readonly newVdi: string;
  readonly newContentId: string | null;
  readonly sourceVdi: string;
  readonly sizeBytes: number;
  readonly bootable: boolean;
  readonly digest: string;
}

/** Announced on the replica before its disks are exchanged, so that whoever finds it interrupted can finish it. */
export interface SwapRecord {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly run: string;
  readonly sourceVm: string;
  readonly sourceSnapshot: string;
  readonly sr: string;
  readonly kind: CopyKind;
  readonly takenAtMs: number;
  /** As in the commit that will follow. */
  readonly baseSnapshot?: string | null;
  readonly disks: readonly SwapDisk[];
  /** Disks of the replica that have no partner on the source any more. */
  readonly removed: readonly {
    readonly device: string;
    readonly oldVdi: string;
    readonly oldContentId: string | null;
  }[];
}

/** Stands on a disk that is being filled. Such a disk is garbage once no lock and no resumable run names it. */
export interface StagingMark {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly run: string;
  readonly sourceVm: string;
  readonly device: string;
}

/**
 * Stands on a staging disk beside its mark, once a part of it was confirmed: what a later run needs to go on from
 * there. Absent means that the disk is worth nothing to anybody.
 */
export interface StagingProgress {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly device: string;
  readonly sourceSnapshot: string;
  readonly sourceVdi: string;
  /** The recovery point's disk that this one was cloned from; null for a full. */
  readonly base: string | null;
  /** How the source was read: what a delta skips depends on it. */
  readonly method: 'export' | 'nbd';
  readonly sizeBytes: number;
  /** Everything below was confirmed by its task. */
  readonly confirmedBytes: number;
  /** Nothing at or above was ever offered to the server. */
  readonly offeredBytes: number;
  /** Digest of the content below `confirmedBytes`; of all of it where `complete`. */
  readonly digest: string;
  readonly complete: boolean;
  /** Of the disk when it was complete: another one later means that somebody wrote to it. Unknown where absent. */
  readonly contentId?: string | null;
}

/** Stands on a source snapshot from the moment it was taken until its commit replaces it. */
export interface RunMark {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly run: string;
  readonly sr: string;
}

/** Stands on a source snapshot that an export of a seed took by itself: it may go once a newer base is committed. */
export interface SeedSnapshotMark {
  readonly v: 1;
  readonly self: string;
  /** Names the export. */
  readonly files: string;
}

/** Stands on a VM that was made from the files of a seed, until it is attached to a job. */
export interface SeedVmMark {
  readonly v: 1;
  readonly self: string;
  /** Names the files: an import that is begun again goes on only with the same ones. */
  readonly files: string;
  /** False while its disks are being filled: such a VM cannot be attached. */
  readonly complete: boolean;
}

/** Stands on a disk that is being filled from a file; the checkpoint from which an interrupted import goes on. */
export interface SeedDiskMark {
  readonly v: 1;
  readonly self: string;
  readonly files: string;
  readonly device: string;
  /** Everything before this position was confirmed by the pool. */
  readonly confirmedBytes: number;
  /** Nothing was offered from this position on; what lies between the two may be anything. */
  readonly offeredBytes: number;
  /** Digest of the content before `confirmedBytes`. */
  readonly digest: string;
}

/** Stands on a live VM while it is down for its snapshot: whoever finds it there starts the VM again. */
export interface ShutdownMark {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly run: string;
}

/** Stands on a recovery point: what the last verification of it found. */
export interface VerifiedMark {
  readonly v: 1;
  readonly self: string;
  /** By the target pool's clock, epoch milliseconds. */
  readonly atMs: number;
  readonly mode: 'sampled' | 'full';
  /** False: the point is not what its source snapshot was. No delta is built on it, and nobody should recover from it. */
  readonly equal: boolean;
  readonly disks: readonly {
    readonly device: string;
    readonly against: 'source' | 'digest';
    readonly comparedBytes: number;
    /** Digest of the whole content, grains of zeros left out; null where not all of it was read and found equal. */
    readonly digest: string | null;
  }[];
}

/** What is found under a key: nothing, a record that speaks of another object (a copy), garbage, or the record. */
export type Found<T> =
  | { readonly kind: 'absent' }
  | { readonly kind: 'copied'; readonly record: T }
  | { readonly kind: 'unreadable'; readonly reason: string }
  | { readonly kind: 'own'; readonly record: T };

/** The record if it stands on the object that it names, else null. */
export function own<T>(found: Found<T>): T | null {
  return found.kind === 'own' ? found.record : null;
}

/** People write uuids in any case; a job whose target SR is spelled anew is still the same job. */
export function sameUuid(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

export function sourceCommitKey(jobId: string, srUuid: string): string {
  return `${commitKey}:${jobId}:${srUuid.toLowerCase()}`;
}

export const encode = {
  targetCommit: (record: TargetCommit): StringMap => ({ [commitKey]: JSON.stringify(record) }),
  sourceCommit: (record: SourceCommit): StringMap => ({
    [sourceCommitKey(record.job, record.sr)]: JSON.stringify(record),
  }),
  replica: (record: ReplicaMark): StringMap => ({ [replicaKey]: JSON.stringify(record) }),
  swap: (record: SwapRecord): StringMap => ({ [swapKey]: JSON.stringify(record) }),
  staging: (record: StagingMark): StringMap => ({ [stagingKey]: JSON.stringify(record) }),
  progress: (record: StagingProgress): StringMap => ({ [progressKey]: JSON.stringify(record) }),
  run: (record: RunMark): StringMap => ({ [runKey]: JSON.stringify(record) }),
  seedSnapshot: (record: SeedSnapshotMark): StringMap => ({ [seedKey]: JSON.stringify(record) }),
  seedVm: (record: SeedVmMark): StringMap => ({ [seedKey]: JSON.stringify(record) }),
  seedDisk: (record: SeedDiskMark): StringMap => ({ [seedKey]: JSON.stringify(record) }),
  shutdown: (record: ShutdownMark): StringMap => ({ [shutdownKey]: JSON.stringify(record) }),
  verified: (record: VerifiedMark): StringMap => ({ [verifiedKey]: JSON.stringify(record) }),
} as const;

export const keys = {
  commit: commitKey,
  replica: replicaKey,
  swap: swapKey,
  staging: stagingKey,
  progress: progressKey,
  run: runKey,
  seed: seedKey,
  verified: verifiedKey,
  shutdown: shutdownKey,
};

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string' && value !== '';
const textOrNull: Check = (value) => value === null || text(value);
const count: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const flag: Check = (value) => typeof value === 'boolean';
const flagOrAbsent: Check = (value) => value === undefined || flag(value);
/** Members that records of the first versions do not have. */
const orAbsent =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const one: Check = (value) => value === 1;
const verifyMode: Check = (value) => value === 'sampled' || value === 'full';
const yardstick: Check = (value) => value === 'source' || value === 'digest';
const transferMethod: Check = (value) => value === 'export' || value === 'nbd';
const copyKind: Check = (value) => value === 'full' || value === 'delta';
const listOf =
  (shape: Readonly<Record<string, Check>>): Check =>
  (value) =>
    Array.isArray(value) && value.every((item) => mismatch(item, shape) === null);

/** Name of the first member that is missing or of the wrong type, or null where the value fits. */
function mismatch(value: unknown, shape: Readonly<Record<string, Check>>): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the whole value';
  const members = value as Readonly<Record<string, unknown>>;
  return Object.keys(shape).find((name) => shape[name]?.(members[name]) !== true) ?? null;
}

const identity = { v: one, self: text, job: text };

const shapes = {
  targetCommit: {
    ...identity,
    run: text,
    sourceVm: text,
    sourceSnapshot: text,
    replica: text,
    sr: text,
    kind: copyKind,
    takenAtMs: count,
    committedAtMs: count,
    disks: listOf({
      device: text,
      vdi: text,
      sourceVdi: text,
      sizeBytes: count,
      digest: textOrNull,
      contentId: orAbsent(textOrNull),
    }),
    baseSnapshot: orAbsent(textOrNull),
  },
  sourceCommit: {
    ...identity,
    run: text,
    sr: text,
    point: text,
    replica: text,
    committedAtMs: count,
    disks: listOf({ device: text, vdi: text, pointVdi: text }),
    kept: flagOrAbsent,
  },
  replica: { ...identity, sourceVm: text, sr: text },
  swap: {
    ...identity,
    run: text,
    sourceVm: text,
    sourceSnapshot: text,
    sr: text,
    kind: copyKind,
    takenAtMs: count,
    baseSnapshot: orAbsent(textOrNull),
    disks: listOf({
      device: text,
      oldVdi: textOrNull,
      oldContentId: textOrNull,
      newVdi: text,
      newContentId: textOrNull,
      sourceVdi: text,
      sizeBytes: count,
      bootable: flag,
      digest: text,
    }),
    removed: listOf({ device: text, oldVdi: text, oldContentId: textOrNull }),
  },
  staging: { ...identity, run: text, sourceVm: text, device: text },
  progress: {
    ...identity,
    device: text,
    sourceSnapshot: text,
    sourceVdi: text,
    base: textOrNull,
    method: transferMethod,
    sizeBytes: count,
    confirmedBytes: count,
    offeredBytes: count,
    digest: text,
    complete: flag,
    contentId: orAbsent(textOrNull),
  },
  run: { ...identity, run: text, sr: text },
  seedSnapshot: { v: one, self: text, files: text },
  seedVm: { v: one, self: text, files: text, complete: flag },
  seedDisk: {
    v: one,
    self: text,
    files: text,
    device: text,
    confirmedBytes: count,
    offeredBytes: count,
    digest: text,
  },
  shutdown: { ...identity, run: text },
  verified: {
    v: one,
    self: text,
    atMs: count,
    mode: verifyMode,
    equal: flag,
    disks: listOf({ device: text, against: yardstick, comparedBytes: count, digest: textOrNull }),
  },
} as const;

function find<T extends { readonly self: string }>(
  otherConfig: StringMap,
  key: string,
  selfUuid: string,
  shape: Readonly<Record<string, Check>>,
): Found<T> {
  const value = otherConfig[key];
  if (value === undefined) return { kind: 'absent' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    return { kind: 'unreadable', reason: `the value of ${key} is not JSON` };
  }
  const wrong = mismatch(parsed, shape);
  if (wrong !== null)
    return { kind: 'unreadable', reason: `${key}: ${wrong} is missing or of the wrong type` };
  const record = parsed as T;
  return record.self === selfUuid ? { kind: 'own', record } : { kind: 'copied', record };
}

export const decode = {
  targetCommit: (map: StringMap, selfUuid: string): Found<TargetCommit> =>
    find(map, commitKey, selfUuid, shapes.targetCommit),
  sourceCommit: (map: StringMap, selfUuid: string, jobId: string, srUuid: string): Found<SourceCommit> =>
    find(map, sourceCommitKey(jobId, srUuid), selfUuid, shapes.sourceCommit),
  replica: (map: StringMap, selfUuid: string): Found<ReplicaMark> =>
    find(map, replicaKey, selfUuid, shapes.replica),
  swap: (map: StringMap, selfUuid: string): Found<SwapRecord> => find(map, swapKey, selfUuid, shapes.swap),
  staging: (map: StringMap, selfUuid: string): Found<StagingMark> =>
    find(map, stagingKey, selfUuid, shapes.staging),
  progress: (map: StringMap, selfUuid: string): Found<StagingProgress> =>
    find(map, progressKey, selfUuid, shapes.progress),
  run: (map: StringMap, selfUuid: string): Found<RunMark> => find(map, runKey, selfUuid, shapes.run),
  seedSnapshot: (map: StringMap, selfUuid: string): Found<SeedSnapshotMark> =>
    find(map, seedKey, selfUuid, shapes.seedSnapshot),
  seedVm: (map: StringMap, selfUuid: string): Found<SeedVmMark> =>
    find(map, seedKey, selfUuid, shapes.seedVm),
  seedDisk: (map: StringMap, selfUuid: string): Found<SeedDiskMark> =>
    find(map, seedKey, selfUuid, shapes.seedDisk),
  shutdown: (map: StringMap, selfUuid: string): Found<ShutdownMark> =>
    find(map, shutdownKey, selfUuid, shapes.shutdown),
  verified: (map: StringMap, selfUuid: string): Found<VerifiedMark> =>
    find(map, verifiedKey, selfUuid, shapes.verified),
} as const;

/** True for keys of ours and of Xen Orchestra's backup layout: the ones a clone must lose. */
export function isReplicationKey(key: string): boolean {
  return key.startsWith(keyPrefix) || xoPrefixes.some((prefix) => key.startsWith(prefix));
}

/** The map without any key of ours or of Xen Orchestra's: what a copy of an object is allowed to inherit. */
export function withoutReplicationKeys(otherConfig: StringMap): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(otherConfig).filter(([key]) => !isReplicationKey(key)));
}

/**
 * Keys of other jobs' and targets' commits that stand on this snapshot: it must not be destroyed. A copied commit
 * holds nothing back; one that cannot be read does, since it may be a newer version's.
 */
export function otherSourceCommits(
  otherConfig: StringMap,
  selfUuid: string,
  jobId: string,
  srUuid: string,
): readonly string[] {
  const mine = sourceCommitKey(jobId, srUuid);
  return Object.keys(otherConfig).filter(
    (key) =>
      key.startsWith(`${commitKey}:`) &&
      key !== mine &&
      find(otherConfig, key, selfUuid, shapes.sourceCommit).kind !== 'copied',
  );
}
