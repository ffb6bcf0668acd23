import { Meter } from '../../../lib/cli/progress/meter';
import { mib } from './events';

test('knows no rate before there are two points in time', () => {
  const meter = new Meter();
  expect(meter.read(1000, 5 * mib, 100 * mib)).toEqual({ bytesPerSecond: null, remainingMs: null });
  expect(meter.read(1000, 6 * mib, 100 * mib)).toEqual({ bytesPerSecond: null, remainingMs: null });
});

test('tells rate and time left', () => {
  const meter = new Meter();
  meter.read(0, 0, 100 * mib);
  expect(meter.read(1000, 10 * mib, 100 * mib)).toEqual({ bytesPerSecond: 10 * mib, remainingMs: 9000 });
});

test('follows a line that got slow: what was long ago no longer counts', () => {
  const meter = new Meter();
  for (let second = 0; second <= 60; second += 1) meter.read(second * 1000, second * 10 * mib, 1000 * mib);
  let last = meter.read(60_000, 600 * mib, 1000 * mib);
  expect(last.bytesPerSecond).toBeCloseTo(10 * mib, -4);
  for (let second = 61; second <= 80; second += 1) {
    last = meter.read(second * 1000, (600 + (second - 60)) * mib, 1000 * mib);
  }
  expect(last.bytesPerSecond).toBeCloseTo(mib, -4);
});

test('a transfer that stands still has no end in sight', () => {
  const meter = new Meter();
  for (let second = 0; second <= 15; second += 1) meter.read(second * 1000, 10, 100);
  expect(meter.read(16_000, 10, 100)).toEqual({ bytesPerSecond: 0, remainingMs: null });
});

test('a stream that carries more than it announced has nothing left, not less', () => {
  const meter = new Meter();
  meter.read(0, 0, 100);
  expect(meter.read(1000, 105, 100).remainingMs).toBe(0);
});
