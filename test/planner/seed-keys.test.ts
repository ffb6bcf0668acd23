import { decode, encode } from '../../lib/planner/keys';
import type { SeedDiskMark, SeedSnapshotMark, SeedVmMark } from '../../lib/planner/keys';

const snapshot: SeedSnapshotMark = { v: 1, self: 'a', files: 'f' };
const vm: SeedVmMark = { v: 1, self: 'a', files: 'f', complete: false };
const disk: SeedDiskMark = {
  v: 1,
  self: 'a',
  files: 'f',
  device: '0',
  confirmedBytes: 2,
  offeredBytes: 4,
  digest: 'none',
};

test.each([
  ['snapshot', encode.seedSnapshot(snapshot), '{"v":1,"self":"a","files":"f"}'],
  ['VM', encode.seedVm(vm), '{"v":1,"self":"a","files":"f","complete":false}'],
  [
    'disk',
    encode.seedDisk(disk),
    '{"v":1,"self":"a","files":"f","device":"0","confirmedBytes":2,"offeredBytes":4,"digest":"none"}',
  ],
])('the mark of a %s stands on pools, byte for byte', (_what, written, value) => {
  expect(written).toEqual({ 'xenrepl:seed': value });
});

test('a mark is read on the object that it names, and tells a copy elsewhere', () => {
  expect(decode.seedSnapshot(encode.seedSnapshot(snapshot), 'a')).toEqual({ kind: 'own', record: snapshot });
  expect(decode.seedVm(encode.seedVm(vm), 'a')).toEqual({ kind: 'own', record: vm });
  expect(decode.seedDisk(encode.seedDisk(disk), 'a')).toEqual({ kind: 'own', record: disk });
  expect(decode.seedVm(encode.seedVm(vm), 'b').kind).toBe('copied');
});

test('the mark of something else under the same key is none', () => {
  expect(decode.seedVm(encode.seedDisk(disk), 'a')).toEqual({
    kind: 'unreadable',
    reason: 'xenrepl:seed: complete is missing or of the wrong type',
  });
  expect(decode.seedDisk({}, 'a').kind).toBe('absent');
});
