import { exponent, isMet, median, roundsOf } from '../../bench/measure';
import type { Figure } from '../../bench/measure';
import { markdownTable, roundsText, textTable } from '../../bench/table';

test('the median of an even number of values lies between the middle two', () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test.each([
  [() => 7, 0],
  [(x: number) => 3 * x, 1],
  [(x: number) => x ** 2, 2],
  [(x: number) => Math.sqrt(x), 0.5],
])('the exponent of %s is %d', (f, slope) => {
  expect(exponent([1, 4, 16].map((x) => [x, f(x)] as const))).toBeCloseTo(slope);
});

describe('a figure', () => {
  const figure: Figure = {
    name: 'full | wall',
    unit: 's',
    ours: [3, 9, 4],
    peer: { what: 'curl', values: [2, 5, 8] },
    atMost: 0.9,
  };

  test('is judged by the ratio of medians where there is a peer, else by itself, or not at all', () => {
    expect(isMet(figure)).toBe(true);
    expect(isMet({ ...figure, atMost: 0.7 })).toBe(false);
    expect(isMet({ ...figure, peer: null })).toBe(false);
    expect(isMet({ ...figure, atMost: null })).toBeNull();
  });

  test('that was not measured is not met', () => {
    expect(isMet({ ...figure, ours: [NaN] })).toBe(false);
    expect(isMet({ ...figure, ours: [] })).toBe(false);
  });

  test('says of how many rounds it is, by what was measured least often, or by what it was made of', () => {
    expect(roundsOf(figure)).toBe(3);
    expect(roundsOf({ ...figure, peer: { what: 'curl', values: [2] } })).toBe(1);
    const made = { ...figure, ours: [1.2], peer: null, details: { small: [1, 2], large: [3, 4] } };
    expect(roundsOf(made)).toBe(2);
    expect(roundsText([figure, made, figure])).toBe('medians of 2, 3 rounds');
    expect(roundsText([{ ...figure, ours: [1] }])).toBe('1 round');
  });

  test('is a line of the table', () => {
    expect(textTable([figure]).split('\n')[1]).toBe('full | wall  4 s   5 s (curl)  0.80 x  ≤ 0.9 x  met  3');
    expect(markdownTable([{ ...figure, peer: null }]).split('\n')[2]).toBe(
      '| full \\| wall | 4 s | – | – | ≤ 0.90 s | MISSED | 3 |',
    );
  });
});
