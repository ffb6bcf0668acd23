import fc from 'fast-check';
import type { Clock } from '../../../lib/engine';
import type { DiskReader } from '../../../lib/engine/data/extent';
import { Pace, paced } from '../../../lib/engine/data/pace';

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

test('small pieces reach the limit, though timers are late and the bytes are worked on in between', async () => {
  const clock = new SleptClock();
  // As timers are: whole milliseconds, and one more.
  jest.spyOn(clock, 'sleep').mockImplementation((ms) => {
    clock.now += Math.ceil(ms) + 1;
    return Promise.resolve();
  });
  const pace = new Pace(() => 50_000_000, clock);
  for (let moved = 0; moved < 50_000_000; moved += 65_536) {
    await pace.take(65_536, never);
    clock.now += 0.5;
  }
  expect(clock.now).toBeGreaterThan(990);
  expect(clock.now).toBeLessThan(1010);
});

test('after a pause there is no burst of more than a quarter of a second', async () => {
  const clock = new SleptClock();
  const pace = new Pace(() => 1000, clock);
  await pace.take(1000, never);
  clock.now += 3_600_000;
  const before = clock.now;
  await pace.take(1000, never);
  expect(clock.now - before).toBeCloseTo(750);
});

test('whatever comes when, no stretch of time sees more than the limit and that quarter', async () => {
  const step = fc.record({ pauseMs: fc.nat(3000), bytes: fc.integer({ min: 1, max: 5000 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      const clock = new SleptClock();
      const pace = new Pace(() => 1000, clock);
      // A byte is a millisecond's worth.
      const moved: { readonly beganMs: number; readonly bytes: number }[] = [];
      for (const { pauseMs, bytes } of steps) {
        clock.now += pauseMs;
        moved.push({ beganMs: clock.now, bytes });
        await pace.take(bytes, never);
        let sum = 0;
        for (const one of moved.toReversed()) {
          sum += one.bytes;
          expect(sum).toBeLessThanOrEqual(clock.now - one.beganMs + 250 + 2);
        }
      }
    }),
  );
});

test('a disk that is read at a pace is the same disk', async () => {
  const clock = new SleptClock();
  const pieces = [
    { offsetBytes: 0, data: Buffer.alloc(1000) },
    { offsetBytes: 4096, data: Buffer.alloc(500) },
  ];
  const done: string[] = [];
  const reader: DiskReader = {
    sizeBytes: 8192,
    changedBytes: 1500,
    bytesRead: 1500,
    async *extents() {
      yield* await Promise.resolve(pieces);
    },
    finish: () => Promise.resolve(void done.push('finish')),
    abort: () => Promise.resolve(void done.push('abort')),
  };
  const own = paced(reader, new Pace(() => 1000, clock), never);
  const read: unknown[] = [];
  for await (const piece of own.extents()) read.push(piece);
  await own.finish();
  await own.abort();
  expect([own.sizeBytes, own.changedBytes, own.bytesRead]).toEqual([8192, 1500, 1500]);
  expect(read).toEqual(pieces);
  expect(done).toEqual(['finish', 'abort']);
  expect(clock.now).toBeCloseTo(1500);
});
