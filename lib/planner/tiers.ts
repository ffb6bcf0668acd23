/**
 * Which of several points in time stay: the newest few, and the newest one of each of the last hours, days, ISO weeks
 * and months in which there is one. A point that several tiers keep counts once in each of them.
 */
import type { JobRetention } from './job';

/** A point in time; null stands for one whose time is not known yet, in a period of its own. */
export interface Dated {
  readonly id: string;
  readonly takenAtMs: number | null;
}

/** Why a point stays, or why it does not: one text per tier that the retention has. */
export type Verdict =
  | { readonly stays: true; readonly reasons: readonly string[] }
  | { readonly stays: false; readonly reasons: readonly string[] };

/** What each tier counts, by the word that people use for it. */
const tiers = { hourly: 'hour', daily: 'day', weekly: 'week', monthly: 'month' } as const;

type Tier = keyof typeof tiers;
const tierNames = Object.keys(tiers) as readonly Tier[];

export function hasTiers(retention: JobRetention): boolean {
  return tierNames.some((tier) => retention[tier] > 0);
}

/** False for a zone that this program's tables do not have. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/**
 * The verdict on each point.
 *
 * @param newestFirst in the order in which they were committed; times may contradict it where a clock was set back
 * @throws RangeError where the retention names no time zone, see {@link isTimeZone}
 */
export function judge(newestFirst: readonly Dated[], retention: JobRetention): ReadonlyMap<string, Verdict> {
  const calendar = calendarOf(retention.timeZone);
  const kept = new Map(newestFirst.map(({ id }) => [id, [] as string[]]));
  const lost = new Map(newestFirst.map(({ id }) => [id, [] as string[]]));
  newestFirst.forEach(({ id }, index) => {
    const newest = index < retention.latest;
    const count = retention.latest === 1 ? 'the newest' : `among the newest ${String(retention.latest)}`;
    (newest ? kept : lost).get(id)?.push(newest ? count : `not ${count}`);
  });
  for (const tier of tierNames.filter((name) => retention[name] > 0)) {
    const seen = new Set<string>();
    for (const point of newestFirst) {
      const period = point.takenAtMs === null ? 'of this run' : calendar.period(tier, point.takenAtMs);
      const superseded = seen.has(period);
      const stays = !superseded && seen.size < retention[tier];
      seen.add(period);
      const name = `${tiers[tier]} ${period}`;
      if (stays) kept.get(point.id)?.push(`the newest of ${name}`);
      else if (superseded) lost.get(point.id)?.push(`${name} has a newer one`);
      else lost.get(point.id)?.push(`${name} is before the last ${String(retention[tier])} with a point`);
    }
  }
  return new Map(newestFirst.map(({ id }) => [id, verdict(kept.get(id) ?? [], lost.get(id) ?? [])]));
}

function verdict(kept: readonly string[], lost: readonly string[]): Verdict {
  return kept.length > 0 ? { stays: true, reasons: kept } : { stays: false, reasons: lost };
}

/** When the hour in which the instant lies ends: until then no period of it ends either. */
export function endOfHourMs(atMs: number, timeZone: string): number {
  const { minute, second } = calendarOf(timeZone).local(atMs);
  return Math.floor(atMs / 1000) * 1000 + (3600 - minute * 60 - second) * 1000;
}

interface LocalTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** Of the clock against UTC. The hour that comes twice when the clock is set back differs in nothing else. */
  readonly offsetMinutes: number;
}

const dayMs = 86_400_000;

/** The clock on the wall of a time zone. */
class Calendar {
  readonly #format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    const [numeric, two] = ['numeric', '2-digit'] as const;
    const fields = { year: numeric, month: two, day: two, hour: two, minute: two, second: two } as const;
    this.#format = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', ...fields });
  }

  local(atMs: number): LocalTime {
    const parts = new Map(this.#format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const of = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const [year, month, day] = [of('year'), of('month'), of('day')];
    const [hour, minute, second] = [of('hour'), of('minute'), of('second')];
    const asUtcMs = Date.UTC(year, month - 1, day, hour, minute, second);
    const offsetMinutes = Math.round((asUtcMs - Math.floor(atMs / 1000) * 1000) / 60_000);
    return { year, month, day, hour, minute, second, offsetMinutes };
  }

  /** `2026-11-23 14:00+01:00`, `2026-11-23`, `2026-W48` or `2026-11`. */
  period(tier: Tier, atMs: number): string {
    const { year, month, day, hour, offsetMinutes } = this.local(atMs);
    const [monthText, dayText] = [`${String(year)}-${two(month)}`, two(day)];
    switch (tier) {
      case 'hourly':
        return `${monthText}-${dayText} ${two(hour)}:00${offset(offsetMinutes)}`;
      case 'daily':
        return `${monthText}-${dayText}`;
      case 'weekly':
        return isoWeek(Date.UTC(year, month - 1, day));
      case 'monthly':
        return monthText;
    }
  }
}

/** Making one costs more than all that it is asked in a plan. */
const calendars = new Map<string, Calendar>();

function calendarOf(timeZone: string): Calendar {
  const calendar = calendars.get(timeZone) ?? new Calendar(timeZone);
  calendars.set(timeZone, calendar);
  return calendar;
}

/** ISO 8601: weeks begin on Monday and belong to the year in which their Thursday lies. */
function isoWeek(dateMs: number): string {
  const weekday = (new Date(dateMs).getUTCDay() + 6) % 7;
  const thursdayMs = dateMs + (3 - weekday) * dayMs;
  const year = new Date(thursdayMs).getUTCFullYear();
  const week = 1 + Math.floor((thursdayMs - Date.UTC(year, 0, 1)) / (7 * dayMs));
  return `${String(year)}-W${two(week)}`;
}

function offset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
