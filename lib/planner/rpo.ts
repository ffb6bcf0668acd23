/** The promise that the newest recovery point of a VM is never older than the job's RPO. */

/** The newest recovery point of a VM, as far as ages go. All times by the target pool's clock unless told otherwise. */
export interface NewestPoint {
  /** By the source pool's clock. */
  readonly takenAtMs: number;
  readonly committedAtMs: number;
}

export interface RpoState {
  /** Of what the newest recovery point holds; null where there is none. */
  readonly ageMs: number | null;
  /** By how much it is too old; 0 where it is not, null where nothing was promised or there is no point. */
  readonly lagMs: number | null;
  readonly violated: boolean;
}

/**
 * When the content of a point was taken, for promises. A point cannot be taken after it was committed: a source clock that
 * is ahead would otherwise hide a violation.
 */
export function takenAtMs({ takenAtMs: taken, committedAtMs }: NewestPoint): number {
  return Math.min(taken, committedAtMs);
}

/**
 * @param promisedSinceMs from when on the promise is held against a VM without any point, which needs its first copy;
 *   null: from the beginning
 */
export function rpoState(
  rpoMs: number | null,
  newest: NewestPoint | null,
  nowMs: number,
  promisedSinceMs: number | null,
): RpoState {
  if (newest === null) {
    const violated = rpoMs !== null && (promisedSinceMs === null || nowMs - promisedSinceMs > rpoMs);
    return { ageMs: null, lagMs: null, violated };
  }
  const ageMs = Math.max(0, nowMs - takenAtMs(newest));
  const lagMs = rpoMs === null ? null : Math.max(0, ageMs - rpoMs);
  return { ageMs, lagMs, violated: lagMs !== null && lagMs > 0 };
}
