import fc from 'fast-check';
import { parseTemporaryName, temporaryName } from '../../lib/planner/marks';

const word = fc.stringMatching(/^[\w-]{1,64}$/);
const name = fc.record({
  role: fc.constantFrom('snapshot' as const, 'staging' as const, 'point' as const, 'replica' as const),
  job: fc.stringMatching(/^[\w.-]{1,64}$/),
  sourceVm: word,
  run: word,
});

test('a temporary name says whose work it is, whatever label follows', () => {
  fc.assert(
    fc.property(name, fc.string(), (mark, label) => {
      expect(parseTemporaryName(temporaryName(mark, label))).toEqual(mark);
    }),
  );
});

test('it reads like this', () => {
  const mark = { role: 'staging', job: 'gold', sourceVm: 'vm-1', run: 'run-7' } as const;
  expect(temporaryName(mark, 'db1 root')).toBe('[xenrepl staging gold vm-1 run-7] db1 root');
});

test.each([
  'db1',
  '',
  '[xenrepl] db1',
  '[xenrepl staging gold vm-1] db1',
  '[xenrepl garbage gold vm-1 run-7] db1',
  'Copy of [xenrepl staging gold vm-1 run-7] db1',
  '[xenrepl staging go:ld vm-1 run-7] db1',
  '[Importing…] db1',
])('a name of anybody else is none: %s', (label) => {
  expect(parseTemporaryName(label)).toBeNull();
});
