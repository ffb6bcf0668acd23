/** What a run needs of each SR before a byte is sent, told from what both pools say of their disks. */
import { gib, quoted } from './describe-storage';
import type { Leftover, Observation, ObservedDisk, SourceStorage } from './observation';
import type { Base, Conflict, DiskCopy, Plan } from './plan';
import { reservedTotal } from './reservations';
import type { Resume, ResumableDisk } from './resume';

const mib = 1024 ** 2;
/** LVM hands out space in extents of this size. */
const extentBytes = 4 * mib;
const blockBytes = 2 * mib;

export interface SpacePart {
  readonly device: string;
  readonly bytes: number;
}

export interface SpaceForecast {
  /** On the target SR, at the moment when most is needed. */
  readonly needBytes: number;
  /** The same by disk. */
  readonly parts: readonly SpacePart[];
}

/**
 * What the target SR must have free. What a staging disk comes to hold counts on any SR: the allocated part of the
 * source's disk in a full, the layers written since the base in a delta. On a thick SR its volume has the full virtual
 * size, and the snapshot that makes it a recovery point needs another one for what it holds by then. Besides, the clone
 * of a recovery point makes a volume for each of its disks, for a moment even for those that nobody wants any more.
 */
export function targetSpace(
  copies: readonly DiskCopy[],
  observation: Observation,
  base: Base | null,
  resume: Resume | null,
): SpaceForecast {
  const { target, leftovers } = observation;
  const resumed = new Map((resume?.disks ?? []).map((disk) => [disk.device, disk]));
  const parts = copies.map((copy): SpacePart => {
    const { device, sizeBytes } = copy;
    const holds = heldBytes(copy, observation);
    const staged = resumed.get(device);
    if (target.allocation === 'thin')
      return { device, bytes: Math.max(0, holds - heldAlready(holds, staged, leftovers)) };
    return { device, bytes: (staged === undefined ? thickBytes(sizeBytes) : 0) + snapshotBytes(holds) };
  });
  const all = { needBytes: sum(parts), parts };
  const isCloned = copies.some(({ kind, device }) => kind === 'delta' && !resumed.has(device));
  if (target.allocation === 'thin' || !isCloned) return all;
  const clones = cloneParts(base, observation);
  return sum(clones) > all.needBytes ? { needBytes: sum(clones), parts: clones } : all;
}

/** Leftovers go before the first byte is sent: what they hold must not keep the job from discarding them. */
export function targetSpaceConflicts(
  { target }: Observation,
  garbage: readonly Leftover[],
  { needBytes, parts }: SpaceForecast,
): readonly Conflict[] {
  const { sr, reserved } = target;
  const freeBytes = target.freeBytes + reclaimable(garbage, 'target');
  // What needs nothing stands in nobody's way.
  if (needBytes === 0 || needBytes <= freeBytes - reservedTotal(reserved)) return [];
  return [{ kind: 'no-space', side: 'target', sr, needBytes, freeBytes, reserved, parts }];
}

/**
 * Says where a VM fits alone and not beside those of its run that come before: it waits for them. How much they leave is not
 * known before; on thick SRs much of what a run needs is free again at its end.
 *
 * @param beforeBytes what the VMs before it need
 */
export function withSpaceNote(plan: Plan, target: Observation['target'], beforeBytes: number): Plan {
  if (plan.kind !== 'replicate' || plan.spaceNeededBytes === 0) return plan;
  const needBytes = beforeBytes + plan.spaceNeededBytes;
  if (needBytes <= target.freeBytes) return plan;
  const note =
    `with the VMs before it this run needs up to ${gib(needBytes)} on SR ${quoted(target.sr)}, which has ` +
    `${gib(target.freeBytes)} free: this VM waits for them, and is refused where they leave too little`;
  return { ...plan, notes: [...plan.notes, note] };
}

/** What a VM needs that has room once others are done, as far as can be told now; null where it does not wait for that. */
export function bytesWaitedFor(plan: Plan): number | null {
  if (plan.kind !== 'blocked') return null;
  const needs = plan.conflicts.map((conflict) =>
    conflict.kind === 'no-space' && conflict.needBytes <= conflict.freeBytes ? conflict.needBytes : null,
  );
  return needs.reduce((most, need) => (most === null || need === null ? null : Math.max(most, need)), 0);
}

/**
 * Source SRs that cannot take the snapshot. What it surely needs is little; what it may need on a thick SR, where nothing
 * says how full a disk's volume is, is up to the whole disk again: that is a note, for a snapshot that does not fit
 * fails at once and leaves nothing behind.
 */
export function sourceSpace(
  { source }: Observation,
  garbage: readonly Leftover[],
): { readonly conflicts: readonly Conflict[]; readonly notes: readonly string[] } {
  const conflicts: Conflict[] = [];
  const notes: string[] = [];
  for (const storage of source.storages) {
    const disks = source.disks.filter(({ sr }) => sr.uuid === storage.sr.uuid);
    const freeBytes = storage.freeBytes + reclaimable(garbage, 'source');
    const parts = disks.map((disk) => ({ device: disk.device, bytes: snapshotAtLeast(disk, storage) }));
    const needBytes = sum(parts);
    const mayNeedBytes = disks.reduce((total, disk) => total + thickBytes(disk.sizeBytes), 0);
    if (needBytes > freeBytes) {
      const { sr } = storage;
      conflicts.push({ kind: 'no-space', side: 'source', sr, needBytes, freeBytes, reserved: [], parts });
    } else if (storage.allocation === 'thick' && mayNeedBytes > freeBytes) {
      notes.push(
        `source SR "${storage.sr.name}" (${storage.sr.uuid}) has ${gib(freeBytes)} free: its snapshot may need up ` +
          `to ${gib(mayNeedBytes)}, as much as the guest wrote since the one before`,
      );
    }
  }
  return { conflicts, notes };
}

/** A volume that holds a whole VHD of this size: each block has a bitmap and an entry in the table. */
function thickBytes(sizeBytes: number): number {
  return roundUp(sizeBytes + blocksOf(sizeBytes) * (512 + 4) + 4096, extentBytes);
}

/** On thick SRs: what the disk holds by then stays in a volume of its own, and the snapshot gets the smallest one. */
function snapshotBytes(holdsBytes: number): number {
  return roundUp(holdsBytes, extentBytes) + extentBytes;
}

function snapshotAtLeast({ sizeBytes }: ObservedDisk, { allocation }: SourceStorage): number {
  return allocation === 'thick' ? 2 * extentBytes : 2 * (blocksOf(sizeBytes) * 4 + 4096);
}

function heldBytes(copy: DiskCopy, { source }: Observation): number {
  const live = source.disks.find(({ device }) => device === copy.device);
  if (copy.kind === 'full') return live?.allocatedBytes ?? copy.sizeBytes;
  const base = source.snapshots
    .flatMap(({ disks }) => disks)
    .find(({ vdi }) => vdi.uuid === copy.base.sourceVdi.uuid);
  if (live === undefined || base === undefined) return 0;
  const thick = source.storages.some(
    ({ sr, allocation }) => sr.uuid === live.sr.uuid && allocation === 'thick',
  );
  const before = new Set(base.chain.map(({ uuid }) => uuid));
  // The volume of a live disk on a thick SR has its full size, however little was written: it tells nothing.
  const written = live.chain.filter(({ uuid }, index) => !before.has(uuid) && !(thick && index === 0));
  return Math.min(
    copy.sizeBytes,
    written.reduce((total, { physicalBytes }) => total + physicalBytes, 0),
  );
}

function cloneParts(base: Base | null, { target }: Observation): readonly SpacePart[] {
  const point = target.replica?.points.find(({ id }) => id.uuid === base?.point.uuid);
  return (point?.disks ?? []).map(({ device, sizeBytes }) => ({ device, bytes: thickBytes(sizeBytes) }));
}

/** What a disk that is gone on with holds: as its SR says, or, where that is not known yet, its share by position. */
function heldAlready(
  holdsBytes: number,
  staged: ResumableDisk | undefined,
  leftovers: readonly Leftover[],
): number {
  if (staged === undefined) return 0;
  const { sizeBytes, confirmedBytes, complete } = staged.progress;
  if (complete) return holdsBytes;
  const known = leftovers.find(({ id }) => id.uuid === staged.vdi.uuid)?.reclaimableBytes ?? 0;
  return Math.max(known, Math.floor((holdsBytes * confirmedBytes) / sizeBytes));
}

function reclaimable(leftovers: readonly Leftover[], side: Leftover['side']): number {
  return leftovers
    .filter((leftover) => leftover.side === side)
    .reduce((total, { reclaimableBytes }) => total + reclaimableBytes, 0);
}

function sum(parts: readonly SpacePart[]): number {
  return parts.reduce((total, { bytes }) => total + bytes, 0);
}

function blocksOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes);
}

function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}
