import { blackoutAt } from './blackouts';
import type { JobLimits } from './job';

/** How many bytes a second a run may move at that instant; null: as many as it can. The first window that holds counts. */
export function bandwidthAt({ bytesPerSecond, windows }: JobLimits, atMs: number): number | null {
  const window = windows.find((one) => blackoutAt([one], atMs) !== null);
  return window === undefined ? bytesPerSecond : window.bytesPerSecond;
}
