/** When the agent starts nothing. */
import type { TimeWindow, Weekday } from './job';
import { instantsOf, wallClockAt } from './local-time';

export interface Stretch {
  readonly startMs: number;
  /** Not in it any more. */
  readonly endMs: number;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
const weekdays: readonly Weekday[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
/** Windows that follow each other without a gap count as one; of those that never end, a year is looked at. */
const joinedMax = 400;

/** The blackout in force at that instant, windows that touch taken as one; null where there is none. */
export function blackoutAt(windows: readonly TimeWindow[], atMs: number): Stretch | null {
  const first = windowAt(windows, atMs);
  if (first === null) return null;
  let { endMs } = first;
  for (let joined = 0; joined < joinedMax; joined += 1) {
    const next = windowAt(windows, endMs);
    if (next === null) break;
    ({ endMs } = next);
  }
  return { startMs: first.startMs, endMs };
}

/** Whether any of the windows holds. Cheaper than `blackoutAt`, which looks up to a year ahead for the end of one that has none. */
export function isInWindow(windows: readonly TimeWindow[], atMs: number): boolean {
  return windowAt(windows, atMs) !== null;
}

function windowAt(windows: readonly TimeWindow[], atMs: number): Stretch | null {
  const holding = windows
    .flatMap((window) => occurrencesAround(window, atMs))
    .filter(({ startMs, endMs }) => startMs <= atMs && atMs < endMs);
  if (holding.length === 0) return null;
  return {
    startMs: Math.min(...holding.map(({ startMs }) => startMs)),
    endMs: Math.max(...holding.map(({ endMs }) => endMs)),
  };
}

/** Of yesterday, which may go on over midnight, and of today, by the window's own clock. */
function occurrencesAround(window: TimeWindow, atMs: number): readonly Stretch[] {
  const today = Math.floor(wallClockAt(atMs, window.timeZone) / dayMs) * dayMs;
  const from = timeOfDayMs(window.from);
  const to = timeOfDayMs(window.to);
  const lengthMs = to > from ? to - from : to - from + dayMs;
  return [today - dayMs, today].flatMap((day) => {
    const weekday = weekdays[new Date(day).getUTCDay()];
    if (window.days.length > 0 && (weekday === undefined || !window.days.includes(weekday))) return [];
    const [startMs] = instantsOf(day + from, window.timeZone);
    // The end of the repeated hour is its second one: what is forbidden stays so through both.
    const endMs = Math.max(...instantsOf(day + from + lengthMs, window.timeZone));
    return [{ startMs, endMs }];
  });
}

function timeOfDayMs(text: string): number {
  const [hours, minutes] = text.split(':');
  return (Number(hours) * 60 + Number(minutes)) * minuteMs;
}
