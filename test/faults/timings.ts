import { TASK_TIMINGS } from '../../lib/xapi/task';
import { TRANSFER_TIMINGS } from '../../lib/xapi/transfers';

const shortTransfers = {
  idleTimeoutMs: 1_500,
  exportHeadTimeoutMs: 4_000,
  importHeadTimeoutMs: 1_000,
  outcomeTimeoutMs: 5_000,
};

/** Plays something that only the bounds of transfers can end: with bounds of seconds instead of minutes. */
export function withShortTimings<T>(play: () => Promise<T>): Promise<T> {
  return changed(TRANSFER_TIMINGS, shortTransfers, play);
}

/** Plays an outage that lasts: a run that waits for a task then asks in vain for minutes, as it should. */
export function withShortOutages<T>(play: () => Promise<T>): Promise<T> {
  return changed(TASK_TIMINGS, { unreachableMs: 2_000 }, play);
}

async function changed<V extends object, T>(
  timings: V,
  meanwhile: Partial<V>,
  play: () => Promise<T>,
): Promise<T> {
  const usual = { ...timings };
  Object.assign(timings, meanwhile);
  try {
    return await play();
  } finally {
    Object.assign(timings, usual);
  }
}
