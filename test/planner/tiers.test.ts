import fc from 'fast-check';
import type { JobRetention } from '../../lib/planner/job';
import { keepLatest } from '../../lib/planner/job';
import { endOfHourMs, isTimeZone, judge } from '../../lib/planner/tiers';
import type { Dated } from '../../lib/planner/tiers';

function keep(changes: Partial<JobRetention>): JobRetention {
  return { ...keepLatest(1), ...changes };
}

/** Points named after the time they were taken, the newest first, whatever order they are given in. */
function points(...times: readonly string[]): readonly Dated[] {
  return times
    .map((time) => ({ id: time, takenAtMs: Date.parse(time) }))
    .sort((a, b) => b.takenAtMs - a.takenAtMs);
}

function kept(dated: readonly Dated[], retention: JobRetention): readonly string[] {
  const verdicts = judge(dated, retention);
  return dated.map(({ id }) => id).filter((id) => verdicts.get(id)?.stays === true);
}

describe('each tier keeps the newest point of each of its last periods in which there is one', () => {
  const everyHalfHour = points(
    ...['21T23:30', '22T00:00', '22T00:30', '23T09:30', '23T10:00', '23T10:30', '23T11:00'].map(
      (time) => `2026-11-${time}:00Z`,
    ),
  );
  test.each<[string, Partial<JobRetention>, readonly string[]]>([
    ['the newest three', { latest: 3 }, ['23T11:00', '23T10:30', '23T10:00']],
    ['two hours', { hourly: 2 }, ['23T11:00', '23T10:30']],
    ['hours without a point do not count', { hourly: 4 }, ['23T11:00', '23T10:30', '23T09:30', '22T00:30']],
    ['two days', { daily: 2 }, ['23T11:00', '22T00:30']],
    ['more days than there are', { daily: 30 }, ['23T11:00', '22T00:30', '21T23:30']],
    ['two weeks: Monday is the 23rd', { weekly: 2 }, ['23T11:00', '22T00:30']],
    ['one month', { monthly: 1 }, ['23T11:00']],
    [
      'tiers together keep what any of them keeps',
      { latest: 2, daily: 3 },
      ['23T11:00', '23T10:30', '22T00:30', '21T23:30'],
    ],
  ])('%s', (_, retention, expected) => {
    expect(kept(everyHalfHour, keep(retention))).toEqual(expected.map((time) => `2026-11-${time}:00Z`));
  });
});

describe('periods are those of the clock on the wall', () => {
  test('a day ends at midnight in the zone', () => {
    const both = points('2026-11-22T22:59:00Z', '2026-11-22T23:01:00Z');
    expect(kept(both, keep({ daily: 9 }))).toHaveLength(1);
    expect(kept(both, keep({ daily: 9, timeZone: 'Europe/Berlin' }))).toHaveLength(2);
  });

  test('the hour that comes twice when the clock is set back is two hours; the day is one of 25', () => {
    const night = points(
      '2026-10-25T00:30:00Z',
      '2026-10-25T01:30:00Z',
      '2026-10-25T22:59:00Z',
      '2026-10-24T22:01:00Z',
    );
    expect(kept(night, keep({ hourly: 9, timeZone: 'Europe/Berlin' }))).toHaveLength(4);
    expect(kept(night, keep({ daily: 9, timeZone: 'Europe/Berlin' }))).toEqual(['2026-10-25T22:59:00Z']);
  });

  test('the hour that is left out makes a day of 23', () => {
    const night = points(
      '2026-03-28T23:01:00Z',
      '2026-03-29T00:59:00Z',
      '2026-03-29T01:01:00Z',
      '2026-03-29T22:01:00Z',
    );
    expect(kept(night, keep({ hourly: 9, timeZone: 'Europe/Berlin' }))).toHaveLength(4);
    expect(kept(night, keep({ daily: 9, timeZone: 'Europe/Berlin' }))).toHaveLength(2);
  });

  test('zones that differ from UTC by half an hour have their own hours', () => {
    const both = points('2026-11-23T10:29:00Z', '2026-11-23T10:31:00Z');
    expect(kept(both, keep({ hourly: 9 }))).toHaveLength(1);
    expect(kept(both, keep({ hourly: 9, timeZone: 'Asia/Kolkata' }))).toHaveLength(2);
    expect(endOfHourMs(Date.parse('2026-11-23T10:29:00Z'), 'Asia/Kolkata')).toBe(
      Date.parse('2026-11-23T10:30:00Z'),
    );
  });

  test.each([
    ['2025-12-28T12:00:00Z', '2025-W52'],
    ['2025-12-29T12:00:00Z', '2026-W01'],
    ['2026-01-04T12:00:00Z', '2026-W01'],
    ['2026-12-31T12:00:00Z', '2026-W53'],
    ['2027-01-03T12:00:00Z', '2026-W53'],
    ['2027-01-04T12:00:00Z', '2027-W01'],
  ])('%s is in ISO week %s', (time, week) => {
    const verdict = judge(points(time), keep({ weekly: 1 })).get(time);
    expect(verdict?.reasons).toContain(`the newest of week ${week}`);
  });

  test('what is no zone is known', () => {
    expect(['UTC', 'Europe/Berlin', 'Mars/Olympus'].map(isTimeZone)).toEqual([true, true, false]);
  });
});

test('a point has one reason for each tier that keeps it, a destroyed one for each that does not', () => {
  const retention = keep({ latest: 1, hourly: 1, daily: 1, timeZone: 'Europe/Berlin' });
  const verdicts = judge(
    points('2026-11-22T10:00:00Z', '2026-11-23T10:00:00Z', '2026-11-23T10:30:00Z'),
    retention,
  );
  expect([...verdicts.values()]).toEqual([
    {
      stays: true,
      reasons: ['the newest', 'the newest of hour 2026-11-23 11:00+01:00', 'the newest of day 2026-11-23'],
    },
    {
      stays: false,
      reasons: [
        'not the newest',
        'hour 2026-11-23 11:00+01:00 has a newer one',
        'day 2026-11-23 has a newer one',
      ],
    },
    {
      stays: false,
      reasons: [
        'not the newest',
        'hour 2026-11-22 11:00+01:00 is before the last 1 with a point',
        'day 2026-11-22 is before the last 1 with a point',
      ],
    },
  ]);
});

describe('whatever the points and the retention', () => {
  const count = fc.integer({ min: 0, max: 5 });
  const retentions = fc
    .record({
      latest: fc.integer({ min: 1, max: 5 }),
      hourly: count,
      daily: count,
      weekly: count,
      monthly: count,
    })
    .chain((counts) =>
      fc
        .constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia')
        .map((timeZone) => keep({ ...counts, timeZone })),
    );
  const dates = fc
    .uniqueArray(fc.integer({ min: 0, max: 400 * 24 * 4 }), { maxLength: 30 })
    .map((quarters) =>
      points(...quarters.map((quarter) => new Date(Date.UTC(2026, 0, 1) + quarter * 900_000).toISOString())),
    );

  function everywhere(holds: (dated: readonly Dated[], retention: JobRetention) => void): void {
    fc.assert(fc.property(dates, retentions, holds), { numRuns: 100 });
  }

  test('the newest stays, and every point has a reason', () => {
    everywhere((dated, retention) => {
      expect(kept(dated, retention)[0]).toBe(dated[0]?.id);
      for (const verdict of judge(dated, retention).values()) expect(verdict.reasons).not.toEqual([]);
    });
  });

  test('no more stay than all tiers together count', () => {
    everywhere((dated, retention) => {
      const { latest, hourly, daily, weekly, monthly } = retention;
      expect(kept(dated, retention).length).toBeLessThanOrEqual(latest + hourly + daily + weekly + monthly);
    });
  });

  test('judged again, what stayed stays', () => {
    everywhere((dated, retention) => {
      const once = kept(dated, retention);
      const left = dated.filter(({ id }) => once.includes(id));
      expect(kept(left, retention)).toEqual(once);
    });
  });

  test('a retention that keeps more in any tier loses nothing', () => {
    everywhere((dated, retention) => {
      const less = kept(dated, retention);
      for (const tier of ['latest', 'hourly', 'daily', 'weekly', 'monthly'] as const) {
        const more = kept(dated, { ...retention, [tier]: retention[tier] + 1 });
        expect(less.filter((id) => !more.includes(id))).toEqual([]);
      }
    });
  });

  test('what is destroyed today would be destroyed tomorrow: a newer point brings nothing back', () => {
    everywhere((dated, retention) => {
      const [newest, ...older] = dated;
      if (newest === undefined) return;
      const before = kept(older, retention);
      const after = kept(dated, retention).filter((id) => id !== newest.id);
      expect(after.filter((id) => !before.includes(id))).toEqual([]);
    });
  });
});
