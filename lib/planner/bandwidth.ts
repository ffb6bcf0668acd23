import { isInWindow } from './blackouts';
import type { JobLimits } from './job';

export type RateLimits = Pick<JobLimits, 'bytesPerSecond' | 'windows' | 'nice'>;

/** What is asked of somebody who reads for a job without being a run of it. */
export type RateWish =
  | 'as the job'
  | 'no limit'
  /** In place of the job's rate and windows. */
  | { readonly bytesPerSecond: number };

/** That and nothing else; null: no limit. */
export function atMost(bytesPerSecond: number | null): RateLimits {
  return { bytesPerSecond, windows: [], nice: false };
}

/** A rate that is given says nothing of busy hosts: a job that gives way to them still does. */
export function rateLimits(limits: RateLimits, wish: RateWish): RateLimits {
  if (wish === 'as the job') return limits;
  return wish === 'no limit' ? atMost(null) : { ...atMost(wish.bytesPerSecond), nice: limits.nice };
}

/**
 * As `bandwidthAt`, which reads calendars of time zones, for who asks for every piece. Windows begin and end with a minute,
 * in any zone: within one the answer is the same.
 */
export function bandwidthByMinute(
  limits: Pick<RateLimits, 'bytesPerSecond' | 'windows'>,
): (atMs: number) => number | null {
  let known: { readonly minute: number; readonly bytesPerSecond: number | null } | null = null;
  return (atMs) => {
    const minute = Math.floor(atMs / 60_000);
    if (known?.minute !== minute) known = { minute, bytesPerSecond: bandwidthAt(limits, minute * 60_000) };
    return known.bytesPerSecond;
  };
}

/** How many bytes a second may be moved at that instant; null: as many as it can. The first window that holds counts. */
export function bandwidthAt(
  { bytesPerSecond, windows }: Pick<RateLimits, 'bytesPerSecond' | 'windows'>,
  atMs: number,
): number | null {
  const window = windows.find((one) => isInWindow([one], atMs));
  return window === undefined ? bytesPerSecond : window.bytesPerSecond;
}
