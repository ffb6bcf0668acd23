/** When a schedule wants a run. Calendars are read elsewhere: here is what comes of them in a time zone. */
import type { NextOccurrence } from './agent-schedule';
import { instantsOf, wallClockAt } from './local-time';
import type { WallMs } from './local-time';

/** The next time after this one that a calendar names, as wall clocks show it; null where there is none. */
export type Calendar = (after: WallMs) => WallMs | null;

const hourMs = 3_600_000;

/** On the hour, quarter past, half past…: multiples of the interval since 1970, so that agents agree without asking. */
export function everyInterval(intervalMs: number): NextOccurrence {
  return (afterMs) => (Math.floor(afterMs / intervalMs) + 1) * intervalMs;
}

/**
 * A calendar read by a zone's clock. A time that the clock skips happens as much later; of the hour that comes twice the
 * first one counts, and both where the calendar names every hour, since its runs are a rhythm.
 */
export function inTimeZone(calendar: Calendar, timeZone: string, everyHour: boolean): NextOccurrence {
  return (afterMs) => {
    const setMs = clockChangeMs(afterMs, timeZone);
    // From as much earlier as the clock is set, so that the hour that comes twice is seen from before it.
    let wall: WallMs | null = wallClockAt(afterMs, timeZone) - setMs;
    let best: number | null = null;
    for (;;) {
      wall = calendar(wall);
      if (wall === null) return best;
      const instants = instantsOf(wall, timeZone);
      if (best !== null && instants[0] > best + setMs) return best;
      const counting = everyHour ? instants : instants.slice(0, 1);
      best = Math.min(best ?? Infinity, ...counting.filter((instant) => instant > afterMs));
      if (best === Infinity) best = null;
      if (best !== null && setMs === 0) return best;
    }
  };
}

/** By how much the zone's clock is set within the hours around; 0 on nearly every day. */
function clockChangeMs(atMs: number, timeZone: string): number {
  const [before, after] = [atMs - 3 * hourMs, atMs + 3 * hourMs];
  return Math.abs(wallClockAt(after, timeZone) - after - (wallClockAt(before, timeZone) - before));
}

/** Puts starts off by up to `jitterMs`, for one job always by the same whole seconds. */
export function withJitter(next: NextOccurrence, jobId: string, jitterMs: number): NextOccurrence {
  const offsetMs = (hashOf(jobId) % (Math.floor(jitterMs / 1000) + 1)) * 1000;
  return (afterMs) => {
    const occurrence = next(afterMs - offsetMs);
    return occurrence === null ? null : occurrence + offsetMs;
  };
}

/** FNV-1a: spreads ids that differ in one letter. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}
