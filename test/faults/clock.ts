import { systemClock } from '../../lib/engine';
import type { Clock } from '../../lib/engine';

/** How much faster the engine's waits go by than on a wall: 15 s before a retry become 150 ms. */
const factor = 100;

/** The engine waits by this clock; pools have their own, which stays real unless a point moves it. */
export const quickClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now() * factor,
  sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
};
