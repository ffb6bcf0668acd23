/** When schedules want runs: intervals, calendars, summer time, jitter. */
import fc from 'fast-check';
import type { JobSchedule } from '../../lib/planner/job';
import { occurrencesOf } from '../../lib/schedule/occurrences';

const jobId = '11111111-1111-4111-8111-111111111111';

function next(schedule: JobSchedule, after: string, count = 1, jitterMs = 0): readonly string[] {
  const occurrence = occurrencesOf({ jobId, schedule, jitterMs });
  const found: string[] = [];
  for (let at = occurrence(Date.parse(after)); at !== null && found.length < count; at = occurrence(at)) {
    found.push(new Date(at).toISOString().replace('.000Z', 'Z'));
  }
  return found;
}

const cron = (expression: string, timeZone = 'UTC'): JobSchedule => ({ kind: 'cron', expression, timeZone });

test('an interval is kept on multiples of itself, so that every agent comes to the same times', () => {
  const everyQuarter: JobSchedule = { kind: 'every', intervalMs: 900_000 };
  expect(next(everyQuarter, '2026-05-01T10:07:30Z', 2)).toEqual([
    '2026-05-01T10:15:00Z',
    '2026-05-01T10:30:00Z',
  ]);
  expect(next(everyQuarter, '2026-05-01T10:15:00Z')).toEqual(['2026-05-01T10:30:00Z']);
});

test('a manual job has no times', () => expect(next({ kind: 'manual' }, '2026-05-01T10:07:30Z')).toEqual([]));

test('a time of day is that of the time zone, winter and summer', () => {
  expect(next(cron('30 2 * * *', 'Europe/Berlin'), '2026-01-10T12:00:00Z')).toEqual(['2026-01-11T01:30:00Z']);
  expect(next(cron('30 2 * * *', 'Europe/Berlin'), '2026-07-10T12:00:00Z')).toEqual(['2026-07-11T00:30:00Z']);
});

test('a time that the clock skips happens an hour later, once', () => {
  expect(next(cron('30 2 * * *', 'Europe/Berlin'), '2026-03-28T12:00:00Z', 2)).toEqual([
    '2026-03-29T01:30:00Z', // 03:30 on the day without 02:30
    '2026-03-30T00:30:00Z',
  ]);
});

test('a time that comes twice happens once, the first time', () => {
  expect(next(cron('30 2 * * *', 'Europe/Berlin'), '2026-10-24T12:00:00Z', 2)).toEqual([
    '2026-10-25T00:30:00Z',
    '2026-10-26T01:30:00Z',
  ]);
});

test('a rhythm goes on through both nights', () => {
  expect(next(cron('*/30 * * * *', 'Europe/Berlin'), '2026-10-24T23:40:00Z', 6)).toEqual([
    '2026-10-25T00:00:00Z',
    '2026-10-25T00:30:00Z',
    '2026-10-25T01:00:00Z',
    '2026-10-25T01:30:00Z',
    '2026-10-25T02:00:00Z',
    '2026-10-25T02:30:00Z',
  ]);
  expect(next(cron('*/30 * * * *', 'Europe/Berlin'), '2026-03-29T00:40:00Z', 3)).toEqual([
    '2026-03-29T01:00:00Z',
    '2026-03-29T01:30:00Z',
    '2026-03-29T02:00:00Z',
  ]);
});

test('every hour, anywhere, the year through: never a gap of more than an hour', () => {
  const zones = [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
    'Africa/Casablanca',
  ];
  const start = Date.parse('2026-01-01T00:00:00Z');
  fc.assert(
    fc.property(fc.constantFrom(...zones), fc.integer({ min: 0, max: 365 * 24 * 60 }), (zone, minutes) => {
      const afterMs = start + minutes * 60_000;
      const at = occurrencesOf({ jobId, schedule: cron('0 * * * *', zone), jitterMs: 0 })(afterMs) ?? 0;
      expect(at).toBeGreaterThan(afterMs);
      expect(at - afterMs).toBeLessThanOrEqual(3_600_000 * 1.5);
    }),
    { numRuns: 300 },
  );
});

test('a calendar without a day has no times', () =>
  expect(next(cron('0 0 30 2 *'), '2026-01-01T00:00:00Z')).toEqual([]));

test('jitter puts a job off by the same whole seconds each time', () => {
  const plain = next({ kind: 'every', intervalMs: 3_600_000 }, '2026-05-01T10:30:00Z', 3);
  const put = next({ kind: 'every', intervalMs: 3_600_000 }, '2026-05-01T10:30:00Z', 3, 600_000);
  const offsets = put.map((text, index) => Date.parse(text) - Date.parse(plain[index] ?? ''));
  expect(new Set(offsets).size).toBe(1);
  expect(offsets[0]).toBeGreaterThan(0);
  expect(offsets[0]).toBeLessThanOrEqual(600_000);
});

test('what cannot be read is named', () => {
  expect(() => next(cron('61 * * * *'), '2026-05-01T10:00:00Z')).toThrow(/"61 \* \* \* \*".*61/);
  expect(() => next(cron('0 * * * *', 'Mars/Base'), '2026-05-01T10:00:00Z')).toThrow(
    /"Mars\/Base" is not known/,
  );
});
