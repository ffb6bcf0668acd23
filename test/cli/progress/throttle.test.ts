import { Throttle } from '../../../lib/cli/progress/throttle';

test('the first sight starts the pause, each pass starts it anew', () => {
  const throttle = new Throttle(() => 2000);
  const due = [0, 1999, 2000, 2001, 3999, 4000].map((atMs) => throttle.isDue('disk', atMs));
  expect(due).toEqual([false, false, true, false, false, true]);
});

test('things do not wait for each other, and one that is forgotten starts again', () => {
  const throttle = new Throttle(() => 2000);
  throttle.isDue('a', 0);
  throttle.isDue('b', 1000);
  expect(throttle.isDue('a', 2000)).toBe(true);
  expect(throttle.isDue('b', 2000)).toBe(false);
  throttle.forget('b');
  expect(throttle.isDue('b', 9000)).toBe(false);
});

test('the pause may grow with age', () => {
  const throttle = new Throttle((ageMs) => 1000 + ageMs);
  const due = [0, 1999, 2000, 4999, 5000, 10_999].map((atMs) => throttle.isDue('disk', atMs));
  expect(due).toEqual([false, false, false, false, false, false]);
  expect(new Throttle((ageMs) => ageMs / 2).isDue('disk', 0)).toBe(false);
});
