import { TRANSFER_TIMINGS } from '../../lib/xapi/transfers';

const short = {
  idleTimeoutMs: 700,
  exportHeadTimeoutMs: 2_000,
  importHeadTimeoutMs: 500,
  outcomeTimeoutMs: 3_000,
};

/** Plays something that only the bounds of transfers can end: with bounds of seconds instead of minutes. */
export async function withShortTimings<T>(play: () => Promise<T>): Promise<T> {
  const usual = { ...TRANSFER_TIMINGS };
  Object.assign(TRANSFER_TIMINGS, short);
  try {
    return await play();
  } finally {
    Object.assign(TRANSFER_TIMINGS, usual);
  }
}
