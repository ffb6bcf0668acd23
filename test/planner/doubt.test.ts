import { doubts } from '../../lib/planner/doubt';
import type { JudgedPoint } from '../../lib/planner/doubt';

type Verified = JudgedPoint['point']['verified'];

const never: Verified = { kind: 'absent' };

function found(equal: boolean, mode: 'full' | 'sampled', atMs: number, sinceMs = atMs): Verified {
  return { kind: 'own', record: { v: 1, self: '', atMs, sinceMs, mode, equal, disks: [] } };
}

/** `P1` is of `S1`, committed at its number; a delta is one to the point before it unless its base is named. */
function point(
  number: number,
  kind: 'full' | 'delta',
  verified: Verified,
  base: number | null = kind === 'full' ? null : number - 1,
): JudgedPoint {
  const baseSnapshot = base === null ? null : `S${String(base)}`;
  const self = `P${String(number)}`;
  return {
    point: { verified },
    commit: { self, kind, committedAtMs: number, sourceSnapshot: `S${String(number)}`, baseSnapshot },
  };
}

const differs = found(false, 'full', 100);
const doubtful = (points: readonly JudgedPoint[]): readonly string[] => [...doubts(points).keys()].sort();

test.each<readonly [string, readonly JudgedPoint[], readonly string[]]>([
  ['nobody looked', [point(2, 'delta', never), point(1, 'full', never)], []],
  ['all are equal', [point(2, 'delta', found(true, 'full', 100)), point(1, 'full', never)], []],
  ['it differs', [point(1, 'full', differs)], ['P1']],
  [
    'what it was made from is not looked at',
    [point(2, 'delta', differs), point(1, 'full', never)],
    ['P1', 'P2'],
  ],
  ['what was made of it', [point(2, 'delta', never), point(1, 'full', differs)], ['P1', 'P2']],
  [
    'a sample of the one before proves nothing',
    [point(2, 'delta', differs), point(1, 'full', found(true, 'sampled', 101))],
    ['P1', 'P2'],
  ],
  [
    'it was equal before the other was found to differ: what they share may have rotted meanwhile',
    [point(2, 'delta', differs), point(1, 'full', found(true, 'full', 99))],
    ['P1', 'P2'],
  ],
  [
    'compared as a whole since, and equal',
    [point(2, 'delta', differs), point(1, 'full', found(true, 'full', 101))],
    ['P2'],
  ],
  [
    'compared as a whole by the same verification, though before',
    [point(2, 'delta', found(true, 'full', 60, 50)), point(1, 'full', found(false, 'full', 100, 50))],
    ['P1'],
  ],
  [
    'a first copy after it takes nothing over',
    [point(3, 'delta', never), point(2, 'full', never), point(1, 'full', differs)],
    ['P1'],
  ],
  [
    'a first copy that differs took nothing over from before',
    [point(2, 'full', differs), point(1, 'full', never)],
    ['P2'],
  ],
  [
    'made after the finding, of one that was proved',
    [point(103, 'delta', never, 1), point(2, 'delta', differs), point(1, 'full', found(true, 'full', 101))],
    ['P2'],
  ],
  [
    'made of it by a run that was planned before the finding',
    [point(103, 'delta', never, 2), point(2, 'delta', differs), point(1, 'full', found(true, 'full', 101))],
    ['P103', 'P2'],
  ],
  [
    'made of a doubtful one by such a run',
    [point(103, 'delta', never, 3), point(3, 'delta', never), point(2, 'full', differs)],
    ['P103', 'P2', 'P3'],
  ],
  ['what was found cannot be read', [point(1, 'full', { kind: 'unreadable', reason: 'not JSON' })], ['P1']],
])('%s', (_, points, expected) => {
  expect(doubtful(points)).toEqual(expected);
  expect(doubtful([...points].reverse())).toEqual(expected);
});

test('says of which other one it takes its doubt', () => {
  expect(doubts([point(2, 'delta', differs), point(1, 'full', never)]).get('P1')).toBe(
    'recovery point P2 was found to differ from its source snapshot, and this one was not verified in full since',
  );
});
