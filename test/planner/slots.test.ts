import fc from 'fast-check';
import { mayBegin } from '../../lib/planner/slots';

const limits = (place: string): number => (place === 'pool' ? 3 : 1);

test('who comes first begins first, as far as there is room everywhere', () => {
  const waiting = [
    ['pool', 'a', 't'],
    ['pool', 'b', 't'],
    ['pool', 'b'],
    ['pool', 'c'],
    ['pool', 'd'],
  ];
  // The second has to wait for t, and holds nothing meanwhile: the third gets b. The fifth finds the pool full.
  expect(mayBegin(waiting, new Map(), limits)).toEqual([0, 2, 3]);
  expect(mayBegin(waiting, new Map([['t', 1]]), limits)).toEqual([2, 3, 4]);
});

test('a place that is named twice takes one slot: a copy within one SR', () => {
  expect(mayBegin([['pool', 'a', 'a']], new Map(), limits)).toEqual([0]);
});

test('no place ever holds more than it may, and nobody waits who fits', () => {
  const place = fc.constantFrom('pool', 'a', 'b', 'c', 't');
  const places = fc.array(place, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(places, { maxLength: 30 }), fc.integer({ min: 1, max: 4 }), (waiting, limit) => {
      const inUse = new Map<string, number>();
      const chosen = mayBegin(waiting, inUse, () => limit);
      for (const index of chosen) {
        for (const one of new Set(waiting[index])) inUse.set(one, (inUse.get(one) ?? 0) + 1);
      }
      for (const count of inUse.values()) expect(count).toBeLessThanOrEqual(limit);
      const others = waiting.filter((_one, index) => !chosen.includes(index));
      expect(mayBegin(others, inUse, () => limit)).toEqual([]);
    }),
  );
});
