import fc from 'fast-check';
import { isOfTarget, parseTemporaryName, temporaryName } from '../../lib/planner/marks';

const word = fc.stringMatching(/^[\w-]{1,64}$/);
const name = fc.record({
  role: fc.constantFrom('snapshot' as const, 'staging' as const, 'point' as const, 'replica' as const),
  job: fc.stringMatching(/^[\w.-]{1,64}$/),
  sr: word,
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
  const mark = { role: 'staging', job: 'gold', sr: 'vault', sourceVm: 'vm-1', run: 'run-7' } as const;
  expect(temporaryName(mark, 'db1 root')).toBe('[xenrepl staging gold vault vm-1 run-7] db1 root');
});

test.each([
  'db1',
  '',
  '[xenrepl] db1',
  '[xenrepl staging gold vault vm-1] db1',
  '[xenrepl garbage gold vault vm-1 run-7] db1',
  'Copy of [xenrepl staging gold vault vm-1 run-7] db1',
  '[xenrepl staging go:ld vault vm-1 run-7] db1',
  '[Importing…] db1',
])('a name of anybody else is none: %s', (label) => {
  expect(parseTemporaryName(label)).toBeNull();
});

test.each([
  ['gold', 'vault', true],
  ['gold', 'VAULT', true],
  ['gold', 'annex', false],
  ['silver', 'vault', false],
])('what was made for job gold on SR vault is of job %s on SR %s: %s', (job, sr, expected) => {
  const name = { role: 'staging', job: 'gold', sr: 'vault', sourceVm: 'vm-1', run: 'run-7' } as const;
  expect(isOfTarget(name, job, sr)).toBe(expected);
});
