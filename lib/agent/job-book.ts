/** What the agent knows of one job besides what the pools tell: how its runs went, what it was skipped for. */
import type { RunReport } from '../engine';
import type { FailureStreak, NextOccurrence, StartCause, StartDecision } from '../planner/agent-schedule';
import type { JobDefinition } from '../planner/job';
import { durationsKept, occurrencesOf } from '../schedule';
import type { RememberedJob, RememberedRun, RememberedSkip } from '../schedule';
import { outcomeOf } from './events';
import type { Failure, OfJob, RunOutcome } from './events';

export interface Activity {
  readonly runId: string;
  readonly cause: StartCause;
  readonly startedAtMs: number;
}

/** All times by the target pool's clock. */
export class JobBook {
  readonly poolName: string;
  readonly knownSinceMs: number;
  definition: JobDefinition;
  /** Null where the schedule cannot be read. */
  nextOccurrence: NextOccurrence | null = null;
  durationsMs: readonly number[] = [];
  failure: FailureStreak | null = null;
  lastRun: RememberedRun | null = null;
  lastSkip: RememberedSkip | null = null;
  nextStart: RememberedJob['nextStart'] = null;
  seenAtMs: number;
  /** From waiting for its turn until its end. */
  busy = false;
  running: Activity | null = null;
  readonly violated = new Set<string>();
  /** Names by uuid of the VMs that the last run of all of them found; null before there was one. */
  vms: ReadonlyMap<string, string> | null = null;
  #skippedFor = '';

  constructor(
    poolName: string,
    definition: JobDefinition,
    nowMs: number,
    remembered: RememberedJob | undefined,
  ) {
    this.poolName = poolName;
    this.definition = definition;
    this.knownSinceMs = remembered?.knownSinceMs ?? nowMs;
    this.seenAtMs = nowMs;
    if (remembered === undefined) return;
    this.durationsMs = remembered.durationsMs.slice(0, durationsKept);
    this.vms = remembered.vms === null ? null : new Map(remembered.vms);
    this.failure = remembered.failure;
    this.lastRun = remembered.lastRun;
    this.lastSkip = remembered.lastSkip;
  }

  /** @returns why the schedule cannot be read, or null */
  define(definition: JobDefinition): string | null {
    this.definition = definition;
    try {
      this.nextOccurrence = occurrencesOf(definition);
      return null;
    } catch (error) {
      this.nextOccurrence = null;
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** @returns whether this is news: one hindrance is told once, however often the job is looked at */
  skip(
    putOff: { readonly reason: string; readonly text: string },
    wantedAtMs: number,
    nowMs: number,
  ): boolean {
    const key = `${putOff.reason} ${String(wantedAtMs)}`;
    if (key === this.#skippedFor) return false;
    this.#skippedFor = key;
    this.lastSkip = { atMs: nowMs, reason: putOff.reason, text: putOff.text };
    return true;
  }

  planned(decision: StartDecision): void {
    this.nextStart = decision.kind === 'start' ? { atMs: decision.atMs, cause: decision.cause } : null;
  }

  /**
   * Learns from a run that came to a report.
   * @param whole whether all VMs of the job were meant
   */
  ended(report: RunReport, whole: boolean, startedAtMs: number, endedAtMs: number): RunOutcome {
    const outcome = outcomeOf(report);
    if (whole) this.vms = new Map(report.vms.map(({ vm }) => [vm.uuid.toLowerCase(), vm.name]));
    this.lastRun = { startedAtMs, endedAtMs, outcome };
    if (whole && outcome === 'replicated') this.#learnDuration(report, endedAtMs - startedAtMs);
    // Stopped by us, or done by somebody else: neither a success nor a failure of ours.
    if (outcome !== 'cancelled' && outcome !== 'locked') this.failure = this.#streakAfter(report, endedAtMs);
    return outcome;
  }

  /** Learns from one that did not. */
  failed({ code }: Failure, retry: FailureStreak['retry'], startedAtMs: number, endedAtMs: number): void {
    this.lastRun = { startedAtMs, endedAtMs, outcome: 'failed' };
    this.failure = { count: (this.failure?.count ?? 0) + 1, atMs: endedAtMs, code, retry, vmUuids: [] };
  }

  remembered(): RememberedJob {
    return {
      name: this.definition.name,
      knownSinceMs: this.knownSinceMs,
      seenAtMs: this.seenAtMs,
      durationsMs: this.durationsMs,
      vms: this.vms === null ? null : [...this.vms],
      failure: this.failure,
      lastRun: this.lastRun,
      lastSkip: this.lastSkip,
      nextStart: this.nextStart,
    };
  }

  #learnDuration(report: RunReport, durationMs: number): void {
    const full = report.vms.some(
      ({ outcome }) => outcome.kind === 'replicated' && outcome.copyKind === 'full',
    );
    if (full || report.vms.length === 0) return;
    this.durationsMs = [durationMs, ...this.durationsMs].slice(0, durationsKept);
  }

  #streakAfter({ vms }: RunReport, endedAtMs: number): FailureStreak | null {
    const failed = vms.flatMap(({ vm, outcome }) =>
      outcome.kind === 'failed' || outcome.kind === 'blocked' || outcome.kind === 'deferred'
        ? [{ vm, error: outcome.error }]
        : [],
    );
    const [first] = failed;
    if (first === undefined) return null;
    return {
      count: (this.failure?.count ?? 0) + 1,
      atMs: endedAtMs,
      code: first.error.code,
      retry: failed.every(({ error }) => error.retry === 'never') ? 'never' : 'later',
      vmUuids: failed.length === vms.length ? [] : failed.map(({ vm }) => vm.uuid),
    };
  }
}

export function ofJob({ poolName, definition }: JobBook): OfJob {
  return { pool: poolName, job: { id: definition.jobId, name: definition.name } };
}
