import { TerraformStack, TerraformVariable } from 'cdktf';
import { Duration, Retention, Schedule } from '../../constructs';
import { temporaryApp } from './temporary-app';

/** A number that only Terraform will know. */
function unknownNumber(): number {
  const stack = new TerraformStack(temporaryApp(), 'stack');
  return new TerraformVariable(stack, 'minutes', { type: 'number' }).numberValue;
}

describe('Duration', () => {
  test.each([
    [Duration.minutes(15), '15m', 15],
    [Duration.hours(2), '2h', 120],
    [Duration.days(1), '1d', 1440],
    [Duration.minutes(1), '1m', 1],
    [Duration.days(365), '365d', 525_600],
  ])('%s', (duration, text, minutes) => {
    expect(duration.toString()).toBe(text);
    expect(duration.toMinutes()).toBe(minutes);
  });

  test.each([
    ['minutes', 0, 525_600],
    ['minutes', 1.5, 525_600],
    ['minutes', -5, 525_600],
    ['minutes', Number.NaN, 525_600],
    ['minutes', 525_601, 525_600],
    ['hours', 8_761, 8_760],
    ['days', 366, 365],
  ] as const)('.%s(%p) is refused with range and reason', (unit, amount, max) => {
    expect(() => Duration[unit](amount)).toThrow(
      `Duration.${unit} must be an integer from 1 to ${max}, not ${amount}: ` +
        'the agent looks at its schedules once a minute, and a year is the longest it waits',
    );
  });

  test('a number that only Terraform knows is passed on, and has no length here', () => {
    const duration = Duration.minutes(unknownNumber());
    expect(duration.toString()).toMatch(/^\$\{TfToken\[.*\]\}m$/);
    expect(() => duration.toMinutes()).toThrow('has no length before Terraform runs');
  });
});

describe('Schedule', () => {
  test('.every says its interval', () => {
    expect(Schedule.every(Duration.minutes(15)).toAttributes()).toEqual({ every: '15m' });
  });

  test('.cron reads in UTC unless told otherwise', () => {
    expect(Schedule.cron('0 22 * * *').toAttributes()).toEqual({ cron: '0 22 * * *', timeZone: 'UTC' });
    expect(Schedule.cron('30 22 * * MON-FRI', { timeZone: 'Europe/Berlin' }).toAttributes()).toEqual({
      cron: '30 22 * * MON-FRI',
      timeZone: 'Europe/Berlin',
    });
  });

  test.each(['*/15 * * * *', '0 0 1,15 * *', '0 0 29 2 *', '5 4 * JAN SUN'])(
    '.cron takes "%s"',
    (expression) => {
      expect(Schedule.cron(expression).toAttributes().cron).toBe(expression);
    },
  );

  test.each([
    [
      '* * * * * *',
      'must have 5 fields (minute, hour, day of month, month, day of week), and "* * * * * *" has 6',
    ],
    ['@daily', 'must have 5 fields'],
    ['', 'must have 5 fields'],
    ['61 * * * *', 'Schedule.cron cannot read "61 * * * *"'],
    ['a * * * *', 'Schedule.cron cannot read "a * * * *"'],
    ['0 0 30 2 *', 'must name a time that comes, and "0 0 30 2 *" never does'],
  ])('.cron refuses "%s"', (expression, message) => {
    expect(() => Schedule.cron(expression)).toThrow(message);
  });

  test('.cron refuses a time zone that is none, with the reason', () => {
    expect(() => Schedule.cron('0 22 * * *', { timeZone: 'Berlin' })).toThrow(
      'timeZone of Schedule.cron must be an IANA time zone such as "Europe/Berlin" or "UTC", not "Berlin": ' +
        'the agent may run on a machine that is set to another zone',
    );
  });

  test('.cron passes on what only Terraform knows', () => {
    const stack = new TerraformStack(temporaryApp(), 'stack');
    const cron = new TerraformVariable(stack, 'cron', { type: 'string' }).stringValue;
    expect(Schedule.cron(cron).toAttributes()).toEqual({ cron, timeZone: 'UTC' });
  });
});

describe('Retention', () => {
  test('.latest says what it was given, and leaves the rest to the provider', () => {
    expect(Retention.latest(7).toAttributes()).toEqual({ latest: 7 });
    expect(Retention.latest(7, { sourceLatest: 2 }).toAttributes()).toEqual({ latest: 7, sourceLatest: 2 });
  });

  test.each([0, 101, 2.5])('.latest(%p) is refused with range and reason', (count) => {
    expect(() => Retention.latest(count)).toThrow(
      `Retention.latest must be an integer from 1 to 100, not ${count}: one point must stay to recover from`,
    );
  });

  test.each([0, 101])('sourceLatest %p is refused with range and reason', (sourceLatest) => {
    expect(() => Retention.latest(3, { sourceLatest })).toThrow(
      `sourceLatest of Retention.latest must be an integer from 1 to 100, not ${sourceLatest}: the next delta needs`,
    );
  });
});
