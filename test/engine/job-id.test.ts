import fc from 'fast-check';
import { defaultJobId, defaultScheduleId } from '../../lib/engine/job-id';
import { isJobId } from '../../lib/planner/job-keys';

const pool = 'ea879403-13a3-465c-4725-1f09d00bd243';

test('a job keeps its id as long as it keeps target pool and name, in every release to come', () => {
  // Computed once with Python: uuid5(UUID('5d0c7b0e-6a0f-4f0b-9c53-6f2d1c6e8a41'), '<pool>/nightly')
  expect(defaultJobId(pool, 'nightly')).toBe('90361f2e-0ee0-50d8-8cc7-30cc968358cd');
  expect(defaultScheduleId('90361f2e-0ee0-50d8-8cc7-30cc968358cd')).toBe(
    '444a7257-2a0c-5bc6-934f-4cf812bdf287',
  );
});

test('the spelling of the pool’s uuid makes no difference, the name does', () => {
  expect(defaultJobId(pool.toUpperCase(), 'nightly')).toBe(defaultJobId(pool, 'nightly'));
  expect(defaultJobId(pool, 'Nightly')).not.toBe(defaultJobId(pool, 'nightly'));
});

test('it is a uuid of version 5, fit to stand in a key, whatever the name', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      const id = defaultJobId(pool, name);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(isJobId(id)).toBe(true);
    }),
  );
});
