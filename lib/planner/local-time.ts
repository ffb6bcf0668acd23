/** Clocks on walls: what a time zone's clock shows at an instant, and which instants a shown time means. */

/** A time as a wall clock shows it, as the milliseconds of the same figures in UTC. */
export type WallMs = number;

const dayMs = 86_400_000;

export function wallClockAt(instantMs: number, timeZone: string): WallMs {
  return instantMs + offsetMs(instantMs, timeZone);
}

/**
 * The instants at which the clock shows this time, earlier first: one on most days, two in the hour that is repeated when
 * summer time ends. A time that the clock skips when summer time begins means the same stretch later, so that nothing
 * that was to happen then is left out.
 */
export function instantsOf(wall: WallMs, timeZone: string): readonly [number, ...number[]] {
  const before = offsetMs(wall - dayMs, timeZone);
  const after = offsetMs(wall + dayMs, timeZone);
  const shown = [...new Set([wall - before, wall - after])]
    .filter((instant) => wallClockAt(instant, timeZone) === wall)
    .sort((a, b) => a - b);
  const [first, ...rest] = shown;
  return first === undefined ? [wall - before] : [first, ...rest];
}

function offsetMs(instantMs: number, timeZone: string): number {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(instantMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const of = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
  const shown = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return shown - Math.floor(instantMs / 1000) * 1000;
}

/** Making a format takes a hundred times as long as using it. As many as there are zones at most. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timeZone, made);
  return made;
}
