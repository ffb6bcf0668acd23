import { blackoutAt } from './blackouts';
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

/** How many bytes a second may be moved at that instant; null: as many as it can. The first window that holds counts. */
export function bandwidthAt(
  { bytesPerSecond, windows }: Pick<RateLimits, 'bytesPerSecond' | 'windows'>,
  atMs: number,
): number | null {
  const window = windows.find((one) => blackoutAt([one], atMs) !== null);
  return window === undefined ? bytesPerSecond : window.bytesPerSecond;
}
