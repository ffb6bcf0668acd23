import { bytes, duration, instant, rate } from '../../../lib/cli/output/quantities';

const kib = 1024;
const mib = 1024 * kib;

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [512, '512 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1.5 * mib, '1.5 MiB'],
    [1023.9 * mib, '1023.9 MiB'],
    [8 * 1024 * mib, '8.0 GiB'],
    [2 ** 51, '2.0 PiB'],
    [5 * 2 ** 60, '5120.0 PiB'],
  ])('%d is %s', (count, text) => expect(bytes(count)).toBe(text));

  it('goes to the next unit rather than print 1024.0 of one', () => {
    expect(bytes(mib - 1)).toBe('1.0 MiB');
    expect(bytes(1024 * mib - 1)).toBe('1.0 GiB');
  });
});

test('a rate is bytes per second', () => expect(rate(85.3 * mib)).toBe('85.3 MiB/s'));

describe('duration', () => {
  it.each([
    [0, '0.0 s'],
    [-5, '0.0 s'],
    [400, '0.4 s'],
    [9_949, '9.9 s'],
    [9_950, '10 s'],
    [59_499, '59 s'],
    [59_500, '1 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 min'],
    [100 * 3_600_000, '4 d 4 h'],
  ])('%d ms is %s', (ms, text) => expect(duration(ms)).toBe(text));
});

test('an instant is UTC and says so', () => {
  expect(instant(Date.UTC(2025, 10, 23, 17, 41, 5, 999))).toBe('2025-11-23 17:41:05Z');
});
