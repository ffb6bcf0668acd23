/**
 * What the target pool tells of a job's past: who ran it when, what came of it, how long it took. Nothing else needs to
 * survive for a schedule to be kept: whoever reads this knows what is due, on whatever machine.
 */
import { lastLocks } from './lock-keys';
import type { LastLock } from './lock-keys';
import type { CopyKind } from './keys';
import { takenAtMs } from './rpo';
import type { NewestPoint } from './rpo';
import type { ReplicaVerification } from './verify';

type StringMap = Readonly<Record<string, string>>;

/** A committed recovery point; newest first wherever there are several. */
export interface ActivityPoint extends NewestPoint {
  readonly kind: CopyKind;
  readonly runId: string;
}

export interface ReplicaPoints {
  readonly sourceVmUuid: string;
  readonly name: string;
  readonly points: readonly ActivityPoint[];
  /** Of all its recovery points, also of those that are not told here. */
  readonly verification: ReplicaVerification | null;
}

/**
 * The last run of a VM, whoever ran it. `interrupted`: its holder died; `unfinished`: it let go without a recovery point,
 * because it failed or was stopped.
 */
export type LastRun =
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; readonly startedAtMs: number; readonly who: string; readonly untilMs: number }
  | { readonly kind: 'interrupted'; readonly startedAtMs: number; readonly untilMs: number }
  | { readonly kind: 'unfinished' | 'done'; readonly startedAtMs: number };

export interface VmActivity {
  readonly vmUuid: string;
  readonly name: string | null;
  /** Whether the job protects it today, as far as is known: a replica may be left of one that it has let go of. */
  readonly protectedNow: boolean;
  readonly newest: ActivityPoint | null;
  readonly verification: ReplicaVerification | null;
  readonly lastRun: LastRun;
}

export interface JobPast {
  readonly jobId: string;
  readonly namedVms: readonly string[];
  /** In lower case, those that the last run found by name and tag; null where nobody knows. */
  readonly selectedVms: ReadonlySet<string> | null;
  readonly replicas: readonly ReplicaPoints[];
  readonly otherConfig: StringMap;
}

/** Of every VM that is named, has a replica, or was ever locked for a run of this job. */
export function jobActivity(past: JobPast, nowMs: number): readonly VmActivity[] {
  const { jobId, namedVms, selectedVms, replicas, otherConfig } = past;
  const byVm = new Map(replicas.map((replica) => [replica.sourceVmUuid.toLowerCase(), replica]));
  const locks = new Map(
    [...lastLocks(otherConfig, jobId, nowMs)].map(([vmUuid, lock]) => [vmUuid.toLowerCase(), lock]),
  );
  const named = namedVms.map((uuid) => uuid.toLowerCase());
  const all = new Set([...named, ...(selectedVms ?? []), ...byVm.keys(), ...locks.keys()]);
  return [...all].map((vmUuid) => {
    const replica = byVm.get(vmUuid);
    const points = replica?.points ?? [];
    const lock = locks.get(vmUuid);
    return {
      vmUuid,
      name: replica?.name ?? null,
      protectedNow: named.includes(vmUuid) || (selectedVms?.has(vmUuid) ?? replica !== undefined),
      newest: newestOf(points, lock),
      verification: replica?.verification ?? null,
      lastRun: lock === undefined ? { kind: 'none' } : lastRunOf(lock, points),
    };
  });
}

/** Nothing is taken before its run began: a source clock that is behind would otherwise make every point look old. */
function newestOf(points: readonly ActivityPoint[], lock: LastLock | undefined): ActivityPoint | null {
  const [newest] = points;
  if (newest === undefined) return null;
  if (lock?.holder.run !== newest.runId) return newest;
  return { ...newest, takenAtMs: Math.max(newest.takenAtMs, lock.holder.takenAtMs) };
}

function lastRunOf(lock: LastLock, points: readonly ActivityPoint[]): LastRun {
  const { run, who, takenAtMs: startedAtMs } = lock.holder;
  if (lock.kind === 'held') return { kind: 'held', startedAtMs, who, untilMs: lock.untilMs };
  // A run that finishes another's exchange of disks commits under the other's id.
  const committed = points.some(({ runId, committedAtMs }) => runId === run || committedAtMs >= startedAtMs);
  if (committed) return { kind: 'done', startedAtMs };
  return lock.kind === 'expired'
    ? { kind: 'interrupted', startedAtMs, untilMs: lock.untilMs }
    : { kind: 'unfinished', startedAtMs };
}

/** When anything last happened for the job, by whomever; null where nothing ever did. */
export function lastActivityMs(vms: readonly VmActivity[]): number | null {
  const instants = vms.flatMap(({ lastRun, newest }) => [
    ...(lastRun.kind === 'none' ? [] : [lastRun.startedAtMs]),
    ...(newest === null ? [] : [newest.committedAtMs]),
  ]);
  return instants.length === 0 ? null : Math.max(...instants);
}

/** Longer than this no run takes: whoever finds more has met a clock that was set. */
const durationMaxMs = 30 * 86_400_000;
const runsLookedAt = 5;

/**
 * How long the last runs took, read from the recovery points they left; newest first. First copies are left out: they say
 * nothing of how long the next run takes. For an agent that has no history of its own.
 */
export function runDurationsMs(replicas: readonly ReplicaPoints[]): readonly number[] {
  const runs = new Map<string, { startMs: number; endMs: number; full: boolean }>();
  for (const point of replicas.flatMap(({ points }) => points)) {
    const known = runs.get(point.runId);
    runs.set(point.runId, {
      startMs: Math.min(known?.startMs ?? Infinity, takenAtMs(point)),
      endMs: Math.max(known?.endMs ?? 0, point.committedAtMs),
      full: (known?.full ?? false) || point.kind === 'full',
    });
  }
  return [...runs.values()]
    .filter(({ startMs, endMs, full }) => !full && endMs - startMs <= durationMaxMs)
    .sort((a, b) => b.endMs - a.endMs)
    .slice(0, runsLookedAt)
    .map(({ startMs, endMs }) => endMs - startMs);
}
