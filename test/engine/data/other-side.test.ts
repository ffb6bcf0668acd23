import { otherSideReceivedBy } from '../../../lib/engine/data/other-side';

const mib = 1024 ** 2;

test.each([
  [2, 4096 * mib, 'own-thread'],
  [2, 256 * mib, 'own-thread'],
  [2, 254 * mib, 'this-thread'],
  [1, 4096 * mib, 'this-thread'],
])('on %d cores, of a disk of %d bytes: %s', (cores, sizeBytes, expected) => {
  expect(otherSideReceivedBy(sizeBytes, cores)).toBe(expected);
});
