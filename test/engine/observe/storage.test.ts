import { storageFacts } from '../../../lib/engine/observe/storage';
import { SmallWorld } from './small-world';

const thinVhd = { allocation: 'thin', zeroedDisks: true, rawDisks: false };
const thickVhd = { allocation: 'thick', zeroedDisks: true, rawDisks: false };
const thickRaw = { allocation: 'thick', zeroedDisks: false, rawDisks: true };
/** Too little is known: every zero is sent and full sizes are counted, which is slower but never wrong. */
const careful = { allocation: 'thick', zeroedDisks: false, rawDisks: false };

test.each<[string, Record<string, string>, object]>([
  ['ext', {}, thinVhd],
  ['ext4', {}, thinVhd],
  ['nfs', {}, thinVhd],
  ['smb', {}, thinVhd],
  ['file', {}, thinVhd],
  ['xfs', {}, thinVhd],
  ['lvm', { use_vhd: 'true' }, thickVhd],
  ['lvmoiscsi', { use_vhd: 'true', allocation: 'thick' }, thickVhd],
  ['lvmohba', { use_vhd: 'true' }, thickVhd],
  ['lvmofcoe', { use_vhd: 'true' }, thickVhd],
  ['lvm', {}, thickRaw],
  ['lvm', { use_vhd: 'false' }, thickRaw],
  ['lvmoiscsi', {}, thickRaw],
  ['linstor', {}, careful],
  ['gfs2', {}, careful],
  ['zfs', {}, careful],
  ['something new', { use_vhd: 'true' }, careful],
])('%s %j', (type, config, expected) => {
  const sr = new SmallWorld('sr', { type, sm_config: config }).srRecord();
  expect(storageFacts(sr)).toEqual(expected);
});
