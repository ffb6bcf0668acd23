import type { BlockedPlan } from '../planner/plan';

export type ReplicationErrorCode =
  | 'blocked'
  | 'locked'
  | 'lock-lost'
  | 'stale-plan'
  | 'job-exists'
  | 'job-changed'
  | 'job-missing'
  | 'vm-missing'
  | 'sr-missing'
  | 'bad-stream'
  | 'nbd-failed'
  | 'resume-mismatch'
  | 'disk-busy'
  | 'point-missing'
  | 'verify-differs'
  | 'group-incomplete'
  | 'group-skew'
  | 'source-down'
  | 'cancelled'
  | 'unreadable'
  | 'seed-refused'
  | 'seed-differs'
  | 'seed-missing'
  | 'seed-continued'
  | 'seed-file';

/** When it makes sense to try again: at once, after a while, or only after somebody changed something. */
export type Retry = 'now' | 'later' | 'never';

export interface ReplicationErrorDetails {
  readonly retry: Retry;
  /** What to do next, for people. */
  readonly hint: string;
  readonly cause?: unknown;
}

/** A failure of the engine itself; failures of a pool stay what lib/xapi made of them, as `cause` or as they are. */
export class ReplicationError extends Error {
  readonly code: ReplicationErrorCode;
  readonly retry: Retry;
  readonly hint: string;

  constructor(code: ReplicationErrorCode, message: string, details: ReplicationErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ReplicationError';
    this.code = code;
    this.retry = details.retry;
    this.hint = details.hint;
  }
}

/** The plan says that nothing may be done; carries the conflicts with their evidence. */
export class BlockedError extends ReplicationError {
  readonly plan: BlockedPlan;

  constructor(plan: BlockedPlan, message: string, hint: string) {
    super('blocked', message, { retry: 'never', hint });
    this.name = 'BlockedError';
    this.plan = plan;
  }
}

/**
 * The world is no longer as it was when the plan was made: observe and plan again. Never a reason to improvise.
 */
export class StalePlan extends ReplicationError {
  constructor(message: string, cause?: unknown) {
    super('stale-plan', message, {
      retry: 'now',
      hint: 'nothing to do: the run observes and plans again',
      cause,
    });
    this.name = 'StalePlan';
  }
}

interface Retryable {
  readonly retry: Retry;
  readonly hint: string;
}

/** Retry class and hint of anything thrown; what we do not know is never retried blindly. */
export function retryOf(error: unknown): Retryable {
  if (typeof error === 'object' && error !== null && 'retry' in error && 'hint' in error) {
    const { retry, hint } = error as Partial<Record<'retry' | 'hint', unknown>>;
    if ((retry === 'now' || retry === 'later' || retry === 'never') && typeof hint === 'string')
      return { retry, hint };
  }
  return { retry: 'never', hint: 'this looks like a defect: please report it with the run report' };
}

/** The XAPI error code of anything thrown, or null. */
export function codeOf(error: unknown): string | null {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return null;
}
