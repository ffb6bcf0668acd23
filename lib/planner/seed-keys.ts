/** What carrying a first copy by hand leaves on snapshots, VMs and disks, under one key: no object is two of them. */
import { count, find, flag, one, text } from './records';
import type { Found, StringMap } from './records';

export const seedKey = 'xenrepl:seed';

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

export const encodeSeed = {
  seedSnapshot: (record: SeedSnapshotMark): StringMap => ({ [seedKey]: JSON.stringify(record) }),
  seedVm: (record: SeedVmMark): StringMap => ({ [seedKey]: JSON.stringify(record) }),
  seedDisk: (record: SeedDiskMark): StringMap => ({ [seedKey]: JSON.stringify(record) }),
} as const;

const shapes = {
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
} as const;

export const decodeSeed = {
  seedSnapshot: (map: StringMap, selfUuid: string): Found<SeedSnapshotMark> =>
    find(map, seedKey, selfUuid, shapes.seedSnapshot),
  seedVm: (map: StringMap, selfUuid: string): Found<SeedVmMark> =>
    find(map, seedKey, selfUuid, shapes.seedVm),
  seedDisk: (map: StringMap, selfUuid: string): Found<SeedDiskMark> =>
    find(map, seedKey, selfUuid, shapes.seedDisk),
} as const;
