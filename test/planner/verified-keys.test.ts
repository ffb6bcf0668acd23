import { decode, encode } from '../../lib/planner/keys';
import type { VerifiedMark } from '../../lib/planner/keys';

const disk = { device: '0', against: 'source', comparedBytes: 7, digest: null } as const;
const mark: VerifiedMark = { v: 1, self: 'a', atMs: 5, mode: 'full', equal: true, disks: [disk] };

test('the mark stands on pools, byte for byte, and is read on the point that it names', () => {
  const written = encode.verified(mark);
  expect(written).toEqual({
    'xenrepl:verified':
      '{"v":1,"self":"a","atMs":5,"mode":"full","equal":true,' +
      '"disks":[{"device":"0","against":"source","comparedBytes":7,"digest":null}]}',
  });
  expect(decode.verified(written, 'a')).toEqual({ kind: 'own', record: mark });
  expect(decode.verified(written, 'b').kind).toBe('copied');
});

test.each([
  ['mode', { mode: 'half' }],
  ['disks', { disks: [{ ...disk, against: 'hope' }] }],
  ['equal', { equal: 'yes' }],
])('a wrong %s makes it unreadable, never equal', (member, wrong) => {
  const written = { 'xenrepl:verified': JSON.stringify({ ...mark, ...wrong }) };
  expect(decode.verified(written, 'a')).toEqual({
    kind: 'unreadable',
    reason: `xenrepl:verified: ${member} is missing or of the wrong type`,
  });
});
