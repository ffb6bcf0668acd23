import { InvalidArgumentError } from 'commander';
import { collectUuid, nonEmpty, parseDuration } from '../../lib/cli/arguments';

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
  });

  it('is not named by its name, of which there may be several', () => {
    expect(() => collectUuid('db1', undefined)).toThrow(InvalidArgumentError);
  });
});

test('an empty value, as of an unset variable, is refused', () => {
  expect(nonEmpty('lyon')).toBe('lyon');
  expect(() => nonEmpty(' ')).toThrow(/empty/);
});
