/** How many bytes a line lets through, and when: by a clock that the test drives. */
import fc from 'fast-check';
import { Lane, Line } from '../../lib/simulator/line';
import { DrivenTime } from './driven-time';

/** 1 Gbit/s. */
const gigabit = 125_000_000;
const creditMs = 20;

let time: DrivenTime;
beforeEach(() => {
  time = new DrivenTime();
});

function lane(bytesPerSecond: number | null): Lane {
  const made = new Lane(time);
  made.setSpeed(bytesPerSecond);
  return made;
}

/** More pieces than any test gives time for: a line without a budget ends, and fails its test. */
const mostPieces = 100_000;

/** Sends on and on in pieces of one size; gives how much has passed. */
function stream(over: Lane, pieceBytes: number): () => number {
  let passed = 0;
  const run = async (): Promise<void> => {
    for (let piece = 0; piece < mostPieces; piece += 1) {
      await over.pass(pieceBytes);
      passed += pieceBytes;
    }
  };
  void run();
  return () => passed;
}

describe('the budget of a direction', () => {
  it('is what its speed gives, for one stream', async () => {
    const passed = stream(lane(gigabit), 65_536);
    await time.advance(10_000);
    expect(passed()).toBeLessThanOrEqual(10 * gigabit);
    expect(passed()).toBeGreaterThan(10 * gigabit - 2 * 65_536);
  });

  it('is shared by many streams, which get the same of it whatever the size of their pieces', async () => {
    const shared = lane(gigabit);
    const streams = Array.from({ length: 40 }, (_, index) =>
      stream(shared, index % 2 === 0 ? 65_536 : 300_000),
    );
    await time.advance(20_000);
    const each = streams.map((passed) => passed());
    const total = each.reduce((sum, bytes) => sum + bytes, 0);
    expect(total).toBeLessThanOrEqual(20 * gigabit);
    // What every stream has asked for and not got whole.
    expect(total).toBeGreaterThan(20 * gigabit - 40 * 300_000);
    // By turns: who asks for less at a time gets less, but nobody is left behind.
    expect(Math.min(...each)).toBeGreaterThan(total / 40 / 3);
  });

  it('holds for any streams, at any moment, with timers that fire late', async () => {
    const step = fc.record({
      ask: fc.integer({ min: 1, max: 400_000 }),
      ms: fc.integer({ min: 0, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50_000_000 }),
        fc.array(step, { minLength: 1, maxLength: 40 }),
        async (speed, steps) => {
          const driven = new DrivenTime();
          const one = new Lane(driven);
          one.setSpeed(speed);
          let passed = 0;
          for (const { ask, ms } of steps) {
            void one.pass(ask).then(() => (passed += ask));
            await driven.jump(ms);
            expect(passed).toBeLessThanOrEqual((speed * driven.nowMs()) / 1000 + 1e-6);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is not saved up: after a minute without use there is no more of it than after 20 ms', async () => {
    const idle = lane(gigabit);
    await time.advance(60_000);
    const passed = stream(idle, 1000);
    await time.settle();
    expect(passed()).toBe((creditMs * gigabit) / 1000);
  });

  it('makes up for a timer that fires late', async () => {
    const passed = stream(lane(gigabit), 65_536);
    for (let round = 0; round < 100; round += 1) await time.jump(15);
    expect(passed()).toBeGreaterThan(1.5 * gigabit - 3 * 65_536);
  });

  it('is none where no speed was stated', async () => {
    await lane(null).pass(1024 ** 4);
    expect(time.pending).toBe(0);
  });
});

describe('a line', () => {
  it('is full duplex', async () => {
    const line = new Line(time);
    line.setSpeed(gigabit);
    const [received, sent] = [stream(line.received, 65_536), stream(line.sent, 65_536)];
    await time.advance(1000);
    expect(received()).toBeGreaterThan(0.99 * gigabit);
    expect(sent()).toBeGreaterThan(0.99 * gigabit);
  });

  it('that gets thinner counts so from then on, for bytes that wait, too', async () => {
    const one = lane(1_000_000);
    const passed = stream(one, 10_000);
    await time.advance(1000);
    const before = passed();
    one.setSpeed(1000);
    await time.advance(60_000);
    expect(passed() - before).toBeLessThanOrEqual(60_000 + 10_000);
  });

  it('that is lifted lets everybody go', async () => {
    const one = lane(1);
    const all = Promise.all([one.pass(1_000_000), one.pass(1_000_000)]);
    await time.advance(1000);
    one.setSpeed(null);
    await all;
    expect(time.pending).toBe(0);
  });
});
