import { InvalidArgumentError } from 'commander';
import { collectUuid, nonEmpty, parseDuration, parseRate, rateOf, uuidOf } from '../../lib/cli/arguments';

const uuid = '6f7c1a52-0f43-4be6-9a5e-0d6f3cbb2d11';

describe('a duration', () => {
  it.each([
    ['0', 0],
    ['500ms', 500],
    ['90s', 90_000],
    ['15m', 900_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['24d', 24 * 86_400_000],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', '90', '-5s', '15 m', '1x', 's', '1h 30m', '1e3s', 'soon', '5sec'])('"%s" is refused', (text) =>
    expect(() => parseDuration(text)).toThrow(/with its unit, such as 90s/),
  );

  it('longer than a timer can wait is refused: it would fire at once', () => {
    expect(() => parseDuration('25d')).toThrow(/At most 24d/);
  });
});

describe('a VM', () => {
  it('is collected each time the option is given, in one spelling', () => {
    expect(collectUuid(uuid.toUpperCase(), undefined)).toEqual([uuid]);
    expect(collectUuid(uuid, ['first'])).toEqual(['first', uuid]);
    expect(() => uuidOf('db1', 'A recovery point has one.')).toThrow('A recovery point has one.');
  });

  it('is not named by its name, of which there may be several', () => {
    expect(() => collectUuid('db1', undefined)).toThrow(InvalidArgumentError);
  });
});

describe('a rate', () => {
  it.each([
    ['512KiB', 512 * 1024],
    ['20MiB', 20 * 1024 ** 2],
    ['20MiB/s', 20 * 1024 ** 2],
    ['1.5 GiB/s', 1.5 * 1024 ** 3],
  ])('%s is %d bytes a second', (text, rate) => expect(parseRate(text)).toBe(rate));

  it.each(['', '20', '0MiB', '20Mbit', '20MiB/min', '/s'])('"%s" is refused', (text) =>
    expect(() => parseRate(text)).toThrow(/for each second, such as 512KiB or 20MiB/),
  );

  it('takes the place of what the job says, or nothing does', () => {
    expect(rateOf({ limits: true })).toBe('as the job');
    expect(rateOf({ limits: false })).toBe('no limit');
    expect(rateOf({ limits: true, limit: 5 })).toEqual({ bytesPerSecond: 5 });
  });
});

test('an empty value, as of an unset variable, is refused', () => {
  expect(nonEmpty('lyon')).toBe('lyon');
  expect(() => nonEmpty(' ')).toThrow(/empty/);
});
