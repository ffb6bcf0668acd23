import fc from 'fast-check';
import { formatXapiDate, parseXapiDate } from '../../lib/xapi';

describe('dates as XAPI writes them', () => {
  it.each([
    ['20240131T13:20:11Z', Date.UTC(2024, 0, 31, 13, 20, 11)],
    ['19700101T00:00:00Z', 0],
    ['20240131T13:20:11', Date.UTC(2024, 0, 31, 13, 20, 11)],
    ['2024-01-31T13:20:11Z', Date.UTC(2024, 0, 31, 13, 20, 11)],
    ['20240131T13:20:11.250Z', Date.UTC(2024, 0, 31, 13, 20, 11, 250)],
  ])('%s', (text, ms) => {
    expect(parseXapiDate(text)).toBe(ms);
  });

  it.each(['', 'never', '2024', '20241331T00:00:00Z', '20240131T13:20:11+02:00'])('"%s" is none', (text) => {
    expect(() => parseXapiDate(text)).toThrow(RangeError);
  });

  it('come back as they were written, to the second', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (seconds) => {
        expect(parseXapiDate(formatXapiDate(seconds * 1000 + 999))).toBe(seconds * 1000);
      }),
    );
  });
});
