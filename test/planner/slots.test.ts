import fc from 'fast-check';
import { slotTurns } from '../../lib/planner/slots';
import type { SlotWaiter } from '../../lib/planner/slots';

const none: ReadonlySet<string> = new Set();

/** `pool` takes three, anything else one. */
function waiter(run: string, ...places: readonly string[]): SlotWaiter {
  return { run, needs: places.map((place) => ({ place, most: place === 'pool' ? 3 : 1 })), short: none };
}

/** Positions of those who begin. */
function beginning(
  waiting: readonly SlotWaiter[],
  taken: ReadonlyMap<string, number> = new Map(),
): readonly number[] {
  return slotTurns(waiting, taken).flatMap(({ begins }, index) => (begins ? [index] : []));
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
  expect(beginning(waiting, new Map([['t', 1]]))).toEqual([2, 3, 4]);
});

describe('runs of several jobs', () => {
  const on = (run: string, place: string, most: number): SlotWaiter => ({
    run,
    needs: [{ place, most }],
    short: none,
  });

  test('each begins where fewer are at work than its own job allows, whosever they are', () => {
    const taken = new Map([['sr', 2]]);
    expect(beginning([on('few', 'sr', 2)], taken)).toEqual([]);
    expect(beginning([on('many', 'sr', 4), on('many', 'sr', 4), on('many', 'sr', 4)], taken)).toEqual([0, 1]);
  });

  test('one that allows few is not passed by by others for as long as they have work', () => {
    const later = on('many', 'sr', 4);
    expect(beginning([on('few', 'sr', 1), later], new Map([['sr', 1]]))).toEqual([]);
    expect(beginning([on('few', 'sr', 1), later, later], new Map())).toEqual([0, 1, 2]);
  });

  test('who waits for one place keeps no other from anybody', () => {
    const waiting = [waiter('one', 'pool', 'a'), waiter('two', 'pool', 'b')];
    expect(beginning(waiting, new Map([['a', 1]]))).toEqual([1]);
  });

  test('but a place that it was short of stays kept for it while it is short of another', () => {
    const first = { ...waiter('one', 'a', 'b'), short: new Set(['a']) };
    expect(beginning([first, waiter('one', 'a')], new Map([['b', 1]]))).toEqual([1]);
    const turns = slotTurns([first, waiter('two', 'a')], new Map([['b', 1]]));
    expect(turns.map(({ begins }) => begins)).toEqual([false, false]);
    expect([...(turns[0]?.short ?? [])]).toEqual(['a', 'b']);
  });
});

const place = fc.constantFrom('pool', 'a', 'b', 'c', 't');
const someone = fc
  .record({
    run: fc.constantFrom('one', 'two', 'three'),
    places: fc.uniqueArray(place, { minLength: 1, maxLength: 4 }),
    most: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ run, places, most }): SlotWaiter => ({
    run,
    needs: places.map((one) => ({ place: one, most })),
    short: none,
  }));

test('nobody begins beyond its own limit, and whoever is first begins as soon as there is room', () => {
  fc.assert(
    fc.property(fc.array(someone, { maxLength: 30 }), (waiting) => {
      const inUse = new Map<string, number>();
      slotTurns(waiting, inUse).forEach(({ begins }, index) => {
        const needs = waiting[index]?.needs ?? [];
        const fits = needs.every(({ place: one, most }) => (inUse.get(one) ?? 0) < most);
        if (index === 0) expect(begins).toBe(fits);
        if (!begins) return;
        expect(fits).toBe(true);
        for (const { place: one } of needs) inUse.set(one, (inUse.get(one) ?? 0) + 1);
      });
    }),
  );
});

test('who waits begins once those that were before it are done, however many come after it', () => {
  fc.assert(
    fc.property(someone, fc.array(someone, { maxLength: 10 }), fc.array(someone), (one, before, after) => {
      const others = after.filter(({ run }) => run !== one.run);
      let line: readonly SlotWaiter[] = [...before, one, ...others];
      // In each round all that is at work ends, and as many as ever come in behind.
      for (let round = 0; line.includes(one); round += 1) {
        expect(round).toBeLessThanOrEqual(before.length + 1);
        const turns = slotTurns(line, new Map());
        line = [...line.filter((_one, index) => turns[index]?.begins !== true), ...others];
      }
    }),
  );
});
