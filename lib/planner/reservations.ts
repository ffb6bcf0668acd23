/** Space on a target SR that other VMs are about to take, and how much of it the pool's figures know of already. */

export interface SpaceHolder {
  /** Null: the run that looks. */
  readonly job: { readonly id: string; readonly name: string } | null;
  readonly vm: { readonly uuid: string; readonly name: string };
}

export interface ReservedSpace extends SpaceHolder {
  readonly bytes: number;
}

/** What a VM is about to take at most, and what its target pool said when that was decided. */
export interface Reservation extends SpaceHolder {
  readonly jobId: string;
  readonly needBytes: number;
  /** Of the SR. */
  readonly freeBytesThen: number;
  /** In staging disks of this job and VM. */
  readonly heldBytesThen: number;
  /** Of all that hold or wait, who came first has the smallest. */
  readonly order: number;
}

/** A VM that waits until it fits. */
export interface SpaceWaiter extends SpaceHolder {
  readonly needBytes: number;
  readonly order: number;
}

/** What staging disks on the target SR hold, by the job and the VM that they are filled for. */
export interface StagedBytes {
  readonly jobId: string;
  readonly sourceVm: string;
  readonly bytes: number;
}

/** The storage as it says that it is. */
export interface StorageNow {
  readonly freeBytes: number;
  readonly staged: readonly StagedBytes[];
}

/**
 * What others will still take. What was written meanwhile is subtracted as far as both figures of the pool know of it: the
 * disks hold it, and the SR has so much less free than when it was promised. Figures of disks may be newer than those of
 * their SR; subtracted without the second, bytes would count as free that are gone.
 */
export function stillReserved(
  reservations: readonly Reservation[],
  { freeBytes, staged }: StorageNow,
): readonly ReservedSpace[] {
  // Once for all: the SR does not say whose bytes it has less free.
  let known = Math.max(0, ...reservations.map(({ freeBytesThen }) => freeBytesThen - freeBytes));
  return reservations.flatMap(({ job, vm, jobId, needBytes, freeBytesThen, heldBytesThen }) => {
    const written = heldBytes(staged, jobId, vm.uuid) - heldBytesThen;
    const taken = Math.max(0, Math.min(written, freeBytesThen - freeBytes, known, needBytes));
    known -= taken;
    return needBytes > taken ? [{ job, vm, bytes: needBytes - taken }] : [];
  });
}

/**
 * What those hold that came before, and what is kept for those that wait already. Space is kept for one of them once all that
 * was promised before it came would leave it room: then only later ones are in its way, and without end, where each finds room
 * for itself. Before, they keep it from nothing, and need not wait as long as it does.
 *
 * @param waiters in the order in which they came
 */
export function withThoseWaiting(
  reservations: readonly Reservation[],
  waiters: readonly SpaceWaiter[],
  now: StorageNow,
): readonly ReservedSpace[] {
  const kept: ReservedSpace[] = [];
  for (const { job, vm, needBytes, order } of waiters) {
    const before = stillReserved(
      reservations.filter((one) => one.order < order),
      now,
    );
    const free = now.freeBytes - reservedTotal(before) - reservedTotal(kept);
    if (needBytes <= free) kept.push({ job, vm, bytes: needBytes });
  }
  return [...stillReserved(reservations, now), ...kept];
}

/** What staging disks for that VM hold. */
export function heldBytes(staged: readonly StagedBytes[], jobId: string, vmUuid: string): number {
  return staged
    .filter((one) => one.jobId === jobId && one.sourceVm === vmUuid)
    .reduce((total, { bytes }) => total + bytes, 0);
}

export function reservedTotal(reserved: readonly ReservedSpace[]): number {
  return reserved.reduce((total, { bytes }) => total + bytes, 0);
}
