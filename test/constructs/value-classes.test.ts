import { TerraformStack, TerraformVariable, Token } from 'cdktf';
import { DataRate, Duration, Retention, Schedule, TimeWindow } from '../../constructs';
import { temporaryApp } from './temporary-app';

/** A number that only Terraform will know. */
function unknownNumber(): number {
  const stack = new TerraformStack(temporaryApp(), 'stack');
  return new TerraformVariable(stack, 'minutes', { type: 'number' }).numberValue;
}

describe('Duration', () => {
  test.each([
    [Duration.seconds(5), '5s', 5],
    [Duration.minutes(15), '15m', 900],
    [Duration.hours(2), '2h', 7_200],
    [Duration.days(1), '1d', 86_400],
    [Duration.minutes(1), '1m', 60],
    [Duration.days(365), '365d', 31_536_000],
  ])('%s', (duration, text, seconds) => {
    expect(duration.toString()).toBe(text);
    expect(duration.toSeconds()).toBe(seconds);
  });

  test.each([
    ['seconds', 31_536_001, 31_536_000],
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
        'no time at all is said by leaving it out, and a year is the longest an agent waits',
    );
  });

  test('a number that only Terraform knows is passed on, and has no length here', () => {
    const duration = Duration.minutes(unknownNumber());
    expect(duration.toString()).toMatch(/^\$\{TfToken\[.*\]\}m$/);
    expect(() => duration.toSeconds()).toThrow('has no length before Terraform runs');
  });
});

describe('Schedule', () => {
  test('.every says its interval', () => {
    expect(Schedule.every(Duration.minutes(15)).toAttributes()).toEqual({ every: '15m' });
  });

  test('.every refuses less than a minute, with the reason', () => {
    expect(() => Schedule.every(Duration.seconds(30))).toThrow(
      'Schedule.every must be a minute or more, not 30s: the agent looks at its schedules once a minute',
    );
    expect(Schedule.every(Duration.seconds(60)).toAttributes()).toEqual({ every: '60s' });
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

  test('tiers are added one by one, and what they are added to stays as it is', () => {
    const latest = Retention.latest(4, { sourceLatest: 2 });
    expect(
      latest.hourly(6).daily(7).weekly(4).monthly(12).inTimeZone('Europe/Berlin').toAttributes(),
    ).toEqual({
      latest: 4,
      hourly: 6,
      daily: 7,
      weekly: 4,
      monthly: 12,
      timeZone: 'Europe/Berlin',
      sourceLatest: 2,
    });
    expect(latest.toAttributes()).toEqual({ latest: 4, sourceLatest: 2 });
  });

  test('tiers and zone are refused with range and reason', () => {
    expect(() => Retention.latest(1).daily(-1)).toThrow(
      'Retention.daily must be an integer from 0 to 100, not -1: each point adds a layer',
    );
    expect(() => Retention.latest(1).inTimeZone('Berlin')).toThrow(
      'timeZone of Retention must be an IANA time zone such as "Europe/Berlin" or "UTC", not "Berlin"',
    );
  });
});

describe('TimeWindow', () => {
  test('says its days, its times and where they are read', () => {
    expect(TimeWindow.daily('22:00', '06:00').toAttributes()).toEqual({
      from: '22:00',
      to: '06:00',
      timeZone: 'UTC',
    });
    expect(TimeWindow.weekdays('08:00', '18:30', { timeZone: 'Europe/Berlin' }).toAttributes()).toEqual({
      days: ['mon', 'tue', 'wed', 'thu', 'fri'],
      from: '08:00',
      to: '18:30',
      timeZone: 'Europe/Berlin',
    });
    expect(TimeWindow.on(['sun'], '00:00', '24:00').toAttributes()).toMatchObject({ days: ['sun'] });
  });

  test.each<[string, () => TimeWindow, string]>([
    ['one digit', () => TimeWindow.daily('8:00', '18:00'), 'like "06:30", not "8:00"'],
    ['no such hour', () => TimeWindow.daily('08:00', '25:00'), 'to of TimeWindow must be a time of day'],
    ['from the end', () => TimeWindow.daily('24:00', '06:00'), 'begins at "00:00"'],
    ['never or always', () => TimeWindow.daily('08:00', '08:00'), 'which may mean never or always'],
    ['no day', () => TimeWindow.on([], '08:00', '18:00'), 'a window on every day is TimeWindow.daily'],
    ['a strange day', () => TimeWindow.on(['so' as 'sun'], '08:00', '18:00'), 'not "so"'],
    ['a day twice', () => TimeWindow.on(['sun', 'sun'], '08:00', '18:00'), 'each day once'],
    [
      'a strange zone',
      () => TimeWindow.daily('08:00', '18:00', { timeZone: 'CET/MEZ' }),
      'timeZone of TimeWindow must be an IANA time zone',
    ],
  ])('%s is refused', (_name, make, message) => {
    expect(make).toThrow(message);
  });
});

describe('DataRate', () => {
  test.each([
    [DataRate.mebibytesPerSecond(50), 52_428_800],
    [DataRate.megabitsPerSecond(100), 12_500_000],
    [DataRate.megabitsPerSecond(0.5), 62_500],
    [DataRate.bytesPerSecond(1), 1],
  ])('%#', (rate, bytes) => {
    expect(rate.toBytesPerSecond()).toBe(bytes);
  });

  test.each([0, -1, Number.NaN, 2 ** 41])('%p is refused with the reason', (amount) => {
    expect(() => DataRate.bytesPerSecond(amount)).toThrow(
      `DataRate.bytesPerSecond must give between one byte and 1 TiB per second, not ${amount}: ` +
        'leave the limit out for none; to stop a job, disable it',
    );
  });

  test('a number that only Terraform knows is multiplied by Terraform', () => {
    const rate = DataRate.mebibytesPerSecond(unknownNumber()).toBytesPerSecond();
    expect(Token.isUnresolved(rate)).toBe(true);
  });
});
