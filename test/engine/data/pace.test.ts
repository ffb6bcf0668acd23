import type { Clock } from '../../../lib/engine';
import { Pace } from '../../../lib/engine/data/pace';

/** Time passes only while somebody sleeps. */
class SleptClock implements Clock {
  now = 0;

  nowMs(): number {
    return this.now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.now += ms;
    return Promise.resolve();
  }
}

const never = new AbortController().signal;

test('bytes take the time that the limit gives them', async () => {
  const clock = new SleptClock();
  const pace = new Pace(() => 1000, clock);
  await pace.take(2500, never);
  expect(clock.now).toBeCloseTo(2500);
});

test('all that share it stay below the limit together', async () => {
  const clock = new SleptClock();
  const pace = new Pace(() => 1000, clock);
  await Promise.all([pace.take(1000, never), pace.take(1000, never), pace.take(1000, never)]);
  expect(clock.now).toBeCloseTo(3000);
});

test('without a limit nobody waits', async () => {
  const clock = new SleptClock();
  await new Pace(() => null, clock).take(10 ** 12, never);
  expect(clock.now).toBe(0);
});

test('a limit that changes counts within a second, for bytes that wait already too', async () => {
  const clock = new SleptClock();
  const pace = new Pace((nowMs) => (nowMs < 5000 ? 10 : null), clock);
  await pace.take(1_000_000, never);
  expect(clock.now).toBeLessThanOrEqual(6000);
});

test('a limit of nothing holds everything back until it ends', async () => {
  const clock = new SleptClock();
  const pace = new Pace((nowMs) => (nowMs < 60_000 ? 0 : null), clock);
  await pace.take(1, never);
  expect(clock.now).toBe(60_000);
});

test('who gives up does not hold up the others', async () => {
  const clock = new SleptClock();
  const pace = new Pace(() => 1000, clock);
  const gone = new AbortController();
  gone.abort(new Error('no more'));
  const given = pace.take(1000, gone.signal);
  const other = pace.take(1000, never);
  await expect(given).rejects.toThrow('no more');
  await other;
  expect(clock.now).toBeCloseTo(1000);
});
