import { bandwidthAt, bandwidthByMinute } from '../../lib/planner/bandwidth';
import { jobDefaults } from '../../lib/planner/job';
import type { JobLimits } from '../../lib/planner/job';

const office = {
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  from: '08:00',
  to: '18:00',
  timeZone: 'Europe/Berlin',
} as const;
const night = { days: [], from: '22:00', to: '06:00', timeZone: 'Europe/Berlin' } as const;

const limits: JobLimits = {
  ...jobDefaults.limits,
  bytesPerSecond: 50_000,
  windows: [
    { ...office, bytesPerSecond: 1_000 },
    { ...night, bytesPerSecond: null },
  ],
};

test.each([
  ['a Monday at ten in Berlin', '2026-03-02T09:00:00Z', 1_000],
  ['a Monday evening', '2026-03-02T18:00:00Z', 50_000],
  ['the end of the window belongs to it no more', '2026-03-02T17:00:00Z', 50_000],
  ['a Sunday at ten', '2026-03-01T09:00:00Z', 50_000],
  ['over midnight there is no limit', '2026-03-02T23:30:00Z', null],
  ['in the early morning that belongs to the evening before', '2026-03-03T04:59:00Z', null],
  ['ten o’clock in summer, by the clock on the wall', '2026-07-06T08:00:00Z', 1_000],
])('%s', (_when, at, expected) => {
  expect(bandwidthAt(limits, Date.parse(at))).toBe(expected);
});

test('the first window that holds counts', () => {
  const both = { ...limits, windows: [{ ...night, bytesPerSecond: 7 }, ...limits.windows] };
  expect(bandwidthAt(both, Date.parse('2026-03-02T23:30:00Z'))).toBe(7);
});

describe('for who asks for every piece', () => {
  test('it is the same at every moment, also right where a window begins or ends', () => {
    const byMinute = bandwidthByMinute(limits);
    const startMs = Date.parse('2026-03-27T00:00:00Z');
    // Over the night in which the clocks go forward.
    for (let atMs = startMs; atMs < startMs + 3 * 86_400_000; atMs += 7 * 60_000 + 1) {
      expect(byMinute(atMs)).toBe(bandwidthAt(limits, atMs));
    }
    for (const edge of ['2026-03-27T07:00:00Z', '2026-03-27T17:00:00Z']) {
      for (const atMs of [-1, 0, 1, 59_999].map((ms) => Date.parse(edge) + ms)) {
        expect(byMinute(atMs)).toBe(bandwidthAt(limits, atMs));
      }
    }
  });

  test('calendars are read once a minute, and for no day but the one', () => {
    let looks = 0;
    const always = { days: [], from: '00:00', to: '24:00', bytesPerSecond: 5 } as const;
    const counted = {
      ...always,
      get timeZone(): string {
        looks += 1;
        return 'Europe/Paris';
      },
    };
    const byMinute = bandwidthByMinute({ bytesPerSecond: null, windows: [counted] });
    const atMs = Date.parse('2026-03-02T09:00:00Z');
    for (let piece = 0; piece < 1_000; piece += 1) expect(byMinute(atMs + piece)).toBe(5);
    expect(looks).toBeLessThan(10);
  });
});
