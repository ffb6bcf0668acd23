/**
 * When a job starts next, and why not now. Pure: asked with what is known, it answers; it keeps nothing. That a pause is
 * made up for by one run follows from its form: what is due is the first occurrence after the last activity, and one run
 * is activity after all that were missed.
 */
import { blackoutAt } from './blackouts';
import type { Stretch } from './blackouts';
import type { JobDefinition } from './job';
import { lastActivityMs } from './job-activity';
import type { VmActivity } from './job-activity';
import { takenAtMs } from './rpo';

/** First time after the given one at which a schedule wants a run; null where there is none. */
export type NextOccurrence = (afterMs: number) => number | null;

/** Runs that failed one after another, as the asking agent saw them. */
export interface FailureStreak {
  readonly count: number;
  readonly atMs: number;
  readonly code: string;
  /** `never`: somebody has to change something first, so that trying again soon is of no use. */
  readonly retry: 'now' | 'later' | 'never';
  /** VMs without a new recovery point; none means all. */
  readonly vmUuids: readonly string[];
}

export interface StartQuestion {
  readonly job: JobDefinition;
  /** By the target pool's clock, as every time here. */
  readonly nowMs: number;
  readonly vms: readonly VmActivity[];
  readonly nextOccurrence: NextOccurrence;
  /** From when on occurrences of a job count that nobody ever ran. */
  readonly knownSinceMs: number;
  /** The asking agent's own last run of it. */
  readonly lastStartMs: number | null;
  readonly lastEndMs: number | null;
  readonly failure: FailureStreak | null;
  /** How long a run takes, by experience; 0 without any. */
  readonly expectedRunMs: number;
  /** A source pool that does not answer is not asked again before this. */
  readonly sourceDown: { readonly untilMs: number; readonly why: string } | null;
}

export type StartCause = 'schedule' | 'catch-up' | 'rpo' | 'retry' | 'take-over';
export type SkipReason = 'locked' | 'blackout' | 'backing-off' | 'source-down';

export interface PutOff {
  readonly reason: SkipReason;
  readonly text: string;
}

export type StartDecision =
  | { readonly kind: 'none'; readonly why: 'disabled' | 'manual' | 'no-occurrence' | 'unreadable' }
  | {
      readonly kind: 'start';
      readonly atMs: number;
      /** When it would start if nothing stood in the way. */
      readonly wantedAtMs: number;
      readonly cause: StartCause;
      /** Null: all VMs of the job. */
      readonly onlyVms: readonly string[] | null;
      readonly putOff: PutOff | null;
    };

type Wanted = Pick<Extract<StartDecision, { kind: 'start' }>, 'cause' | 'onlyVms'> & {
  readonly atMs: number;
};

/** A start this much after its time makes up for a pause. */
const lateMs = 60_000;
/** Between two runs that follow each other because the RPO is shorter than they take. */
const breathMs = 1_000;

export function decideStart(question: StartQuestion): StartDecision {
  const { job } = question;
  if (!job.enabled) return { kind: 'none', why: 'disabled' };
  if (job.schedule.kind === 'manual') return { kind: 'none', why: 'manual' };
  const onTime = scheduled(question);
  const wishes = [retry(question), onTime, early(question)];
  const earliest =
    takeOver(question) ??
    wishes
      .filter((wish): wish is Wanted => wish !== null)
      .reduce<Wanted | null>((best, wish) => (best === null || wish.atMs < best.atMs ? wish : best), null);
  if (earliest === null) return { kind: 'none', why: 'no-occurrence' };
  return putOff(question, wholeWhereTimeIsShort(question, earliest, onTime));
}

/** A retry of some VMs that would last into the time of all must not make all of them miss it. */
function wholeWhereTimeIsShort(question: StartQuestion, wanted: Wanted, onTime: Wanted | null): Wanted {
  const endsAtMs = Math.max(wanted.atMs, question.nowMs) + question.expectedRunMs;
  return onTime !== null && onTime.atMs <= endsAtMs ? { ...wanted, onlyVms: null } : wanted;
}

/** Of a run whose holder died: nobody else will go on with it. */
function takeOver({ vms, lastStartMs }: StartQuestion): Wanted | null {
  // Once is enough: the run of a VM that the job has let go of stays interrupted for ever.
  const ends = vms.flatMap(({ lastRun }) =>
    lastRun.kind === 'interrupted' && (lastStartMs ?? -Infinity) < lastRun.untilMs ? [lastRun.untilMs] : [],
  );
  return ends.length === 0 ? null : { atMs: Math.min(...ends), cause: 'take-over', onlyVms: null };
}

function retry(question: StartQuestion): Wanted | null {
  const { failure, vms } = question;
  if (failure !== null) {
    if (failure.retry === 'never') return null;
    const onlyVms = failure.vmUuids.length === 0 ? null : failure.vmUuids;
    return { atMs: failure.atMs + backOffMs(failure.count), cause: 'retry', onlyVms };
  }
  // Another agent's failed or stopped run: it may be gone, so somebody else tries once.
  const starts = vms.flatMap(({ lastRun }) => (lastRun.kind === 'unfinished' ? [lastRun.startedAtMs] : []));
  const ended = question.lastEndMs ?? -Infinity;
  const latest = Math.max(...starts);
  if (starts.length === 0 || ended >= latest) return null;
  return { atMs: latest + backOffMs(1), cause: 'retry', onlyVms: null };
}

function scheduled({
  vms,
  nextOccurrence,
  knownSinceMs,
  lastEndMs,
  nowMs,
  job,
}: StartQuestion): Wanted | null {
  const last = Math.max(lastActivityMs(vms) ?? -Infinity, lastEndMs ?? -Infinity);
  // An interval promises a point every so often, so the first is due at once; a timetable names times.
  if (last === -Infinity && job.schedule.kind === 'every')
    return { atMs: knownSinceMs, cause: 'schedule', onlyVms: null };
  const atMs = nextOccurrence(last === -Infinity ? knownSinceMs : last);
  if (atMs === null) return null;
  return { atMs, cause: nowMs - atMs > lateMs ? 'catch-up' : 'schedule', onlyVms: null };
}

/** So early that the run ends before the oldest of the newest points is too old. */
function early(question: StartQuestion): Wanted | null {
  const { job, expectedRunMs, nowMs, lastEndMs } = question;
  const vms = question.vms.filter(({ protectedNow }) => protectedNow);
  if (job.rpoMs === null || vms.length === 0) return null;
  const taken = vms.flatMap(({ newest }) => (newest === null ? [] : [takenAtMs(newest)]));
  // A run that leaves a VM without a point has failed, which has its own pauses, or waits for a seed.
  if (taken.length < vms.length && lastEndMs === null) return { atMs: nowMs, cause: 'rpo', onlyVms: null };
  if (taken.length === 0) return null;
  const oldestMs = Math.min(...taken);
  const ahead = aheadMs(expectedRunMs);
  const atMs = oldestMs + job.rpoMs - ahead;
  const before = blackoutAt(job.blackouts, atMs);
  return {
    atMs: before === null ? atMs : beforeBlackout(before, atMs, oldestMs, ahead),
    cause: 'rpo',
    onlyVms: null,
  };
}

/** A run before the blackout keeps the point young through it; a second one right after that would not. */
function beforeBlackout({ startMs }: Stretch, atMs: number, oldestMs: number, ahead: number): number {
  const lastStartMs = startMs - ahead;
  return oldestMs < lastStartMs ? lastStartMs : atMs;
}

/** How long before the limit a run is started: as long as it takes, and a quarter more, at least 2 s. */
export function aheadMs(expectedRunMs: number): number {
  return expectedRunMs + Math.max(2_000, expectedRunMs / 4);
}

/** Half a minute, doubled with each failure, half an hour at most. */
export function backOffMs(failures: number): number {
  return Math.min(30_000 * 2 ** Math.min(Math.max(failures, 1) - 1, 10), 1_800_000);
}

interface Hindrance extends PutOff {
  readonly untilMs: number;
}

function putOff(question: StartQuestion, wanted: Wanted): StartDecision {
  const { nowMs, job, lastEndMs } = question;
  const { cause, onlyVms } = wanted;
  const hindrances = [backingOff(question), heldByOthers(question), sourceDown(question)]
    .filter((one): one is Hindrance => one !== null)
    .sort((a, b) => a.untilMs - b.untilMs);
  let atMs = Math.max(wanted.atMs, (lastEndMs ?? -Infinity) + breathMs);
  let reason: PutOff | null = null;
  for (const { untilMs, ...hindrance } of hindrances) {
    if (untilMs <= atMs) continue;
    atMs = untilMs;
    reason = hindrance;
  }
  // What is past starts now: it is now that must not be in a blackout.
  const blackout = blackoutAt(job.blackouts, Math.max(atMs, nowMs));
  if (blackout !== null) {
    atMs = blackout.endMs;
    reason = { reason: 'blackout', text: `blackout until ${instant(blackout.endMs)}` };
  }
  return { kind: 'start', atMs, wantedAtMs: wanted.atMs, cause, onlyVms, putOff: reason };
}

function backingOff({ failure }: StartQuestion): Hindrance | null {
  if (failure === null) return null;
  const { count, code } = failure;
  const untilMs = failure.atMs + backOffMs(count);
  const runs = count === 1 ? 'run' : `${String(count)} runs`;
  return {
    reason: 'backing-off',
    text: `the last ${runs} failed (${code}); tried again at ${instant(untilMs)}`,
    untilMs,
  };
}

/** Their lock goes away when they end, or runs out when they died: it is looked at again long before that. */
function heldByOthers({ vms }: StartQuestion): Hindrance | null {
  const held = vms.flatMap(({ lastRun }) => (lastRun.kind === 'held' ? [lastRun] : []));
  const last = held.sort((a, b) => a.untilMs - b.untilMs).at(-1);
  if (last === undefined) return null;
  const text = `${last.who} runs it, with a lease until ${instant(last.untilMs)}`;
  return { reason: 'locked', text, untilMs: last.untilMs };
}

function sourceDown({ sourceDown: down }: StartQuestion): Hindrance | null {
  return down === null ? null : { reason: 'source-down', text: down.why, untilMs: down.untilMs };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
