/**
 * The run lock: `xenrepl:lock:<job id>:<vm uuid>:<n>` in `pool.other_config` of the target pool.
 *
 * Adding a map entry fails where the key exists, which makes it a test-and-set. The highest n is the fencing
 * token and is never deleted, so numbers never start again; taking over adds n + 1. Time is always the target
 * coordinator's: two runners with different clocks must come to the same answer.
 */

type StringMap = Readonly<Record<string, string>>;

export interface LockHolder {
  /** Run id of the holder; a lock is released by its holder only. */
  readonly run: string;
  /** Who it is, for people: door, host and process. */
  readonly who: string;
  readonly takenAtMs: number;
  readonly leaseMs: number;
}

export type LockState =
  | { readonly kind: 'free'; readonly highest: number }
  | { readonly kind: 'held'; readonly highest: number; readonly holder: LockHolder; readonly untilMs: number }
  | {
      readonly kind: 'expired';
      readonly highest: number;
      readonly holder: LockHolder;
      readonly untilMs: number;
    };

export interface LockName {
  readonly jobId: string;
  readonly vmUuid: string;
}

const prefix = 'xenrepl:lock:';

export function lockKey(lock: LockName, n: number): string {
  return `${prefix}${lock.jobId}:${lock.vmUuid}:${String(n)}`;
}

/**
 * A renewal. The end of the lease stands in the key: a new key is added before older ones are removed, so no
 * reader ever meets a moment in which a living holder seems to have no lease.
 */
export function leaseKey(lock: LockName, n: number, untilMs: number): string {
  return `${lockKey(lock, n)}:lease:${String(untilMs)}`;
}

/** Renewals of number n that end before `untilMs`. */
export function olderLeaseKeys(
  otherConfig: StringMap,
  lock: LockName,
  n: number,
  untilMs: number,
): readonly string[] {
  const stem = `${lockKey(lock, n)}:lease:`;
  return Object.keys(otherConfig).filter(
    (key) => key.startsWith(stem) && Number(key.slice(stem.length)) < untilMs,
  );
}

export function releasedKey(lock: LockName, n: number): string {
  return `${lockKey(lock, n)}:released`;
}

export function encodeHolder(holder: LockHolder): string {
  return JSON.stringify(holder);
}

/**
 * What the map says of a lock. An unreadable holder counts as held for ever: better to ask a person than to
 * let two runs write to one replica.
 */
export function readLock(otherConfig: StringMap, lock: LockName, nowMs: number): LockState {
  const highest = Math.max(0, ...entries(otherConfig, lock).map(({ n }) => n));
  const value = otherConfig[lockKey(lock, highest)];
  if (highest === 0 || value === undefined) return { kind: 'free', highest };
  if (otherConfig[releasedKey(lock, highest)] !== undefined) return { kind: 'free', highest };
  const holder = parseHolder(value);
  const untilMs = Math.min(leaseUntil(otherConfig, lock, highest, holder), lastDateMs);
  return { kind: untilMs > nowMs ? 'held' : 'expired', highest, holder, untilMs };
}

/** Keys of numbers below the highest: nobody needs them once a higher one stands. */
export function obsoleteLockKeys(otherConfig: StringMap, lock: LockName, highest: number): readonly string[] {
  return (
    entries(otherConfig, lock)
      .filter(({ n }) => n < highest)
      .map(({ key }) => key)
      // A lock before the keys that end in more: removed half way, none is left that looks held.
      .sort()
  );
}

/** VMs for which a lock of this job is held now, with the run that holds it. */
export function heldLocks(
  otherConfig: StringMap,
  jobId: string,
  nowMs: number,
): ReadonlyMap<string, LockHolder> {
  const held = new Map<string, LockHolder>();
  const stem = `${prefix}${jobId}:`;
  const vms = Object.keys(otherConfig)
    .filter((key) => key.startsWith(stem))
    .map((key) => key.slice(stem.length).split(':')[0] ?? '');
  for (const vmUuid of new Set(vms)) {
    const state = readLock(otherConfig, { jobId, vmUuid }, nowMs);
    if (state.kind === 'held') held.set(vmUuid, state.holder);
  }
  return held;
}

/** The newest lock of a VM, with its holder also where it let go or died. */
export interface LastLock {
  readonly kind: 'held' | 'released' | 'expired';
  readonly holder: LockHolder;
  readonly untilMs: number;
}

/** Who last held the lock of each VM of this job: the highest number stays where it is, so this is known for good. */
export function lastLocks(
  otherConfig: StringMap,
  jobId: string,
  nowMs: number,
): ReadonlyMap<string, LastLock> {
  const found = new Map<string, LastLock>();
  const stem = `${prefix}${jobId}:`;
  const vms = Object.keys(otherConfig)
    .filter((key) => key.startsWith(stem))
    .map((key) => key.slice(stem.length).split(':')[0] ?? '');
  for (const vmUuid of new Set(vms)) {
    const state = readLock(otherConfig, { jobId, vmUuid }, nowMs);
    const value = otherConfig[lockKey({ jobId, vmUuid }, state.highest)];
    if (value === undefined) continue;
    const holder = parseHolder(value);
    if (state.kind === 'free') found.set(vmUuid, { kind: 'released', holder, untilMs: nowMs });
    else found.set(vmUuid, { kind: state.kind, holder, untilMs: state.untilMs });
  }
  return found;
}

/** Changes whenever a lock is taken or let go of, and not when it is renewed. */
export function locksTaken(otherConfig: StringMap): string {
  return Object.keys(otherConfig)
    .filter((key) => key.startsWith(prefix) && !key.includes(':lease:'))
    .sort()
    .join('\n');
}

/**
 * All keys of this lock with their number, releases and renewals included: where those of a number stand without
 * its holder, that number was given out and must not be given out again. Anything else is not ours to judge.
 */
function entries(
  otherConfig: StringMap,
  lock: LockName,
): readonly { readonly key: string; readonly n: number }[] {
  const stem = `${prefix}${lock.jobId}:${lock.vmUuid}:`;
  return Object.keys(otherConfig).flatMap((key) => {
    const [, digits] = key.startsWith(stem)
      ? (/^([1-9]\d{0,14})(?::released|:lease:\d{1,16})?$/.exec(key.slice(stem.length)) ?? [])
      : [];
    return digits === undefined ? [] : [{ key, n: Number(digits) }];
  });
}

function leaseUntil(otherConfig: StringMap, lock: LockName, n: number, holder: LockHolder): number {
  const stem = `${lockKey(lock, n)}:lease:`;
  const renewals = Object.keys(otherConfig)
    .filter((key) => key.startsWith(stem))
    .map((key) => Number(key.slice(stem.length)))
    .filter((untilMs) => Number.isSafeInteger(untilMs));
  return Math.max(holder.takenAtMs + holder.leaseMs, ...renewals);
}

/** The last moment that a date can hold: later ones cannot be printed. */
const lastDateMs = 8_640_000_000_000_000;

const unreadable: LockHolder = {
  run: '',
  who: 'a holder whose record cannot be read',
  takenAtMs: lastDateMs,
  leaseMs: 0,
};

function parseHolder(value: string): LockHolder {
  try {
    const parsed = JSON.parse(value) as Partial<Record<keyof LockHolder, unknown>> | null;
    const { run, who, takenAtMs, leaseMs } = parsed ?? {};
    if (typeof run !== 'string' || typeof who !== 'string') return unreadable;
    if (!isDuration(takenAtMs) || !isDuration(leaseMs)) return unreadable;
    return { run, who, takenAtMs, leaseMs };
  } catch {
    return unreadable;
  }
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
