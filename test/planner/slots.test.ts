import fc from 'fast-check';
import { slotTurns } from '../../lib/planner/slots';
import type { PlaceUse, SlotWaiter } from '../../lib/planner/slots';

const none: ReadonlySet<string> = new Set();

/** `pool` takes three, anything else one. */
function waiter(run: string, ...places: readonly string[]): SlotWaiter {
  return { run, needs: places.map((place) => ({ place, most: place === 'pool' ? 3 : 1 })), short: none };
}

/** In every place so many of that run, with that limit. */
function atWork(
  run: string,
  counts: Readonly<Record<string, number>>,
  largest: number,
): ReadonlyMap<string, PlaceUse> {
  const places = Object.entries(counts);
  return new Map(places.map(([place, count]) => [place, { atWork: new Map([[run, count]]), largest }]));
}

/** Positions of those who begin. */
function beginning(
  waiting: readonly SlotWaiter[],
  uses: ReadonlyMap<string, PlaceUse> = new Map(),
): readonly number[] {
  return slotTurns(waiting, uses).flatMap(({ begins }, index) => (begins ? [index] : []));
}

test('in one run, who comes first begins first, as far as there is room everywhere', () => {
  const waiting = [
    ['pool', 'a', 't'],
    ['pool', 'b', 't'],
    ['pool', 'b'],
    ['pool', 'c'],
    ['pool', 'd'],
  ].map((places) => waiter('run', ...places));
  // The second has to wait for t, and holds nothing meanwhile: the third gets b. The fifth finds the pool full.
  expect(beginning(waiting)).toEqual([0, 2, 3]);
  expect(beginning(waiting, atWork('run', { t: 1 }, 1))).toEqual([2, 3, 4]);
});

describe('runs of several jobs', () => {
  const on = (run: string, place: string, most: number): SlotWaiter => ({
    run,
    needs: [{ place, most }],
    short: none,
  });

  test('each has as many at work as its own limit allows, all together as many as the largest', () => {
    const [few, many] = [on('few', 'sr', 2), on('many', 'sr', 4)];
    expect(beginning([few, few, few, many, many, many])).toEqual([0, 1, 3, 4]);
    expect(beginning([few, few, few], atWork('many', { sr: 3 }, 4))).toEqual([0]);
    expect(beginning([on('one', 'sr', 1), on('other', 'sr', 1)])).toEqual([0]);
  });

  test('one that allows one transfer has nobody wait until a long one of another has ended', () => {
    const [few, many] = [on('few', 'sr', 1), on('many', 'sr', 8)];
    expect(beginning([few, many, many], atWork('long', { sr: 1 }, 8))).toEqual([0, 1, 2]);
    // Its next one waits for its own, and keeps nothing meanwhile.
    expect(beginning([few, many], atWork('few', { sr: 1 }, 8))).toEqual([1]);
  });

  test('the next slot is for who came first, whatever its limit', () => {
    const all = [on('few', 'sr', 1), on('many', 'sr', 4)];
    expect(beginning(all, atWork('others', { sr: 4 }, 4))).toEqual([]);
    expect(beginning(all, atWork('others', { sr: 3 }, 4))).toEqual([0]);
  });

  test('who waits for one place keeps no other from anybody', () => {
    const waiting = [waiter('one', 'pool', 'a'), waiter('two', 'pool', 'b')];
    expect(beginning(waiting, atWork('long', { a: 1 }, 1))).toEqual([1]);
  });

  test('but one slot of a place that it was short of stays kept for it while it is short of another', () => {
    const first = { ...waiter('one', 'pool', 'b'), short: new Set(['pool']) };
    const uses = atWork('long', { b: 3, pool: 1 }, 3);
    const [own, other] = [waiter('one', 'pool'), waiter('two', 'pool')];
    expect(beginning([first, first, other, other], uses)).toEqual([2]);
    expect(beginning([first, first, own, own], uses)).toEqual([2, 3]);
    expect([...(slotTurns([first], uses)[0]?.short ?? [])]).toEqual(['pool', 'b']);
  });
});

const limits = { one: 1, two: 1, three: 2, four: 3 };
const place = fc.constantFrom('pool', 'a', 'b', 't');
const someone = fc
  .record({
    run: fc.constantFrom('one' as const, 'two' as const, 'three' as const, 'four' as const),
    places: fc.uniqueArray(place, { minLength: 1, maxLength: 3 }),
  })
  .map(({ run, places }): SlotWaiter => ({
    run,
    needs: places.map((one) => ({ place: one, most: limits[run] })),
    short: none,
  }));

/** What is at work after these have begun. */
function usesOf(working: readonly SlotWaiter[], largest: ReadonlyMap<string, number>): Map<string, PlaceUse> {
  const counts = new Map<string, Map<string, number>>();
  for (const { run, needs } of working)
    for (const { place: one } of needs) {
      const at = counts.get(one) ?? new Map<string, number>();
      counts.set(one, at.set(run, (at.get(run) ?? 0) + 1));
    }
  return new Map(
    [...largest].map(([one, most]) => [one, { atWork: counts.get(one) ?? new Map(), largest: most }]),
  );
}

function largestOf(all: readonly SlotWaiter[]): Map<string, number> {
  const largest = new Map<string, number>();
  for (const { place: one, most } of all.flatMap(({ needs }) => needs))
    largest.set(one, Math.max(largest.get(one) ?? 0, most));
  return largest;
}

test('nobody begins beyond its limit or the largest, and nobody waits for more than one slot kept for each other run', () => {
  fc.assert(
    fc.property(fc.array(someone, { maxLength: 30 }), (waiting) => {
      const largest = largestOf(waiting);
      const working: SlotWaiter[] = [];
      const waits = new Set<string>();
      slotTurns(waiting, new Map()).forEach(({ begins }, index) => {
        const one = waiting[index];
        if (one === undefined) throw new Error('a turn for nobody');
        const uses = usesOf(working, largest);
        const others = [...waits].filter((run) => run !== one.run).length;
        const full = (kept: number): boolean =>
          one.needs.some(({ place: at, most }) => {
            const counts = uses.get(at)?.atWork ?? new Map<string, number>();
            const taken = [...counts.values()].reduce((sum, count) => sum + count, 0);
            return (counts.get(one.run) ?? 0) >= most || taken + kept >= (largest.get(at) ?? 0);
          });
        if (begins) expect(full(0)).toBe(false);
        else expect(full(others)).toBe(true);
        if (begins) working.push(one);
        else waits.add(one.run);
      });
    }),
  );
});

/**
 * How often all that was at work had to end before that one began: one after another ends, and each of the others comes
 * again as soon as it has begun.
 *
 * @param ends which of those at work ends next; the one that began first where that is not said
 */
function roundsUntilBegun(
  one: SlotWaiter,
  before: readonly SlotWaiter[],
  others: readonly SlotWaiter[],
  ends: readonly number[],
): number {
  const largest = largestOf([one, ...before, ...others]);
  const isOne = ({ needs }: SlotWaiter): boolean => needs === one.needs;
  let line: readonly SlotWaiter[] = [...before, one, ...others];
  let working: readonly SlotWaiter[] = [];
  let ofRound: readonly SlotWaiter[] = [];
  for (let [step, rounds] = [0, 0]; ; step += 1) {
    const turns = slotTurns(line, usesOf(working, largest));
    const begun = line.filter((_waiter, index) => turns[index]?.begins === true);
    if (begun.some(isOne) || rounds > 60) return rounds;
    line = line.flatMap((waiter, index) =>
      begun.includes(waiter) ? [] : [{ ...waiter, short: turns[index]?.short ?? none }],
    );
    working = [...working, ...begun];
    if (!ofRound.some((waiter) => working.includes(waiter))) {
      rounds += 1;
      ofRound = working;
    }
    const ended = working[(ends[step] ?? 0) % working.length];
    working = working.filter((waiter) => waiter !== ended);
    line = [...line, ...others.filter(({ needs }) => line.every((waiter) => waiter.needs !== needs))];
  }
}

test('who waits begins once those before it are done, however many come after it and in whatever order they end', () => {
  const queue = fc.array(someone, { maxLength: 8 });
  fc.assert(
    fc.property(someone, queue, fc.array(someone), fc.array(fc.nat(1000)), (one, before, after, ends) => {
      const others = after.filter(({ run }) => run !== one.run);
      // Each of those in front, and it, waits for each of its places once at most.
      const roundsMax = (before.length + 1) * (one.needs.length + 1);
      expect(roundsUntilBegun(one, before, others, ends)).toBeLessThanOrEqual(roundsMax);
    }),
    { numRuns: 300 },
  );
});
