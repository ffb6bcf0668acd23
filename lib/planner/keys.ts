/**
 * Every key this project writes into `other_config` of what it replicates, encoded and decoded here and nowhere else: those
 * of a replica's chain in this file, those that seeds and verifications leave beside them in theirs.
 *
 * `other_config` is copied by clone, snapshot, revert and XVA export, so a record proves nothing by being
 * there: each names the object it stands on (`self`) and counts only where that is true.
 */

import { count, find, flag, listOf, one, oneOf, orAbsent, text, textOrNull } from './records';
import type { Found, StringMap } from './records';
import { decodeSeed, encodeSeed, seedKey } from './seed-keys';
import { decodeVerified, encodeVerified, verifiedKey } from './verified-keys';

export { own } from './records';
export type { Found } from './records';
export type { SeedDiskMark, SeedSnapshotMark, SeedVmMark } from './seed-keys';
export type { Verification, VerifiedMark } from './verified-keys';

export const keyPrefix = 'xenrepl:';
/** Xen Orchestra's keys; we write those of its layout that let it continue our chains. */
const xoPrefixes = ['xo:backup:', 'xo:copy_of', 'xo:base_delta', 'xo:import:'];

const commitKey = 'xenrepl:commit';
const replicaKey = 'xenrepl:replica';
const swapKey = 'xenrepl:swap';
const stagingKey = 'xenrepl:staging';
const progressKey = 'xenrepl:progress';
const runKey = 'xenrepl:run';
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

/** Stands on a live VM while it is down for its snapshot: whoever finds it there starts the VM again. */
export interface ShutdownMark {
  readonly v: 1;
  readonly self: string;
  readonly job: string;
  readonly run: string;
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
  shutdown: (record: ShutdownMark): StringMap => ({ [shutdownKey]: JSON.stringify(record) }),
  ...encodeSeed,
  ...encodeVerified,
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

const transferMethod = oneOf('export', 'nbd');
const copyKind = oneOf('full', 'delta');
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
    kept: orAbsent(flag),
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
  shutdown: { ...identity, run: text },
} as const;

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
  shutdown: (map: StringMap, selfUuid: string): Found<ShutdownMark> =>
    find(map, shutdownKey, selfUuid, shapes.shutdown),
  ...decodeSeed,
  ...decodeVerified,
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
