import { buildFooter, buildHeader, geometry, parseFooter, parseHeader, sizeBytesMax } from '../../lib/vhd';
import { golden } from './golden';
import { faultOf } from './restore';

const uniqueId = '22222222-2222-4222-8222-222222222222';

describe('geometry', () => {
  it.each([
    ['nothing', 0, 0, 4, 17],
    ['16 MiB, as XAPI writes it', 16 * 2 ** 20, 481, 4, 17],
    ['6 MiB, as its library writes it', 6 * 2 ** 20, 180, 4, 17],
    ['a disk with more heads', 100 * 2 ** 20, 1003, 12, 17],
    ['1024 cylinders with 5 heads, which are one too many', 5 * 1024 * 17 * 512, 175, 16, 31],
    ['the last size with tracks of 63 sectors', (65_535 * 16 * 63 - 1) * 512, 65_534, 16, 63],
    ['the first size with tracks of 255 sectors', 65_535 * 16 * 63 * 512, 16_191, 16, 255],
    ['tracks of 31 sectors', 200 * 2 ** 20, 825, 16, 31],
    ['tracks of 63 sectors', 40 * 2 ** 30 - 2 ** 35, 16_644, 16, 63],
    ['tracks of 255 sectors', 40 * 2 ** 30, 20_560, 16, 255],
    ['the largest that it can express', sizeBytesMax, 65_535, 16, 255],
  ])('of %s', (_what, sizeBytes, cylinders, heads, sectorsPerTrack) => {
    expect(geometry(sizeBytes)).toEqual({ cylinders, heads, sectorsPerTrack });
  });
});

describe('footer', () => {
  it.each(['base.vhd', 'odd_created.vhd', 'http_full.vhd', 'child.vhd', 'http_delta_empty.vhd'])(
    'of %s is built byte for byte from what is read in it',
    (name) => {
      const bytes = golden(name).subarray(0, 512);

      expect(Buffer.from(buildFooter(parseFooter(bytes)))).toEqual(Buffer.from(bytes));
    },
  );

  it('of a fixed disk has no header', () => {
    const bytes = buildFooter({ diskType: 'fixed', sizeBytes: 512, uniqueId, headerOffsetBytes: null });

    expect(Buffer.from(bytes.subarray(16, 24)).toString('hex')).toBe('ffffffffffffffff');
    expect(parseFooter(bytes)).toMatchObject({ diskType: 'fixed', headerOffsetBytes: null, creator: 'xrpl' });
  });

  it.each([
    ['a size within a sector', { sizeBytes: 513 }, 'bad-size'],
    ['more than 2040 GiB', { sizeBytes: sizeBytesMax + 512 }, 'bad-size'],
    ['no number', { sizeBytes: Number.NaN }, 'bad-size'],
    ['an id that is no uuid', { uniqueId: 'x' }, 'bad-input'],
    ['a creator of five characters', { creator: 'xenre' }, 'bad-input'],
  ])('is not built for %s', (_what, wrong, code) => {
    const good = { diskType: 'dynamic', sizeBytes: 512, uniqueId, headerOffsetBytes: 512 } as const;

    expect(faultOf(() => buildFooter({ ...good, ...wrong })).code).toBe(code);
  });
});

describe('header', () => {
  it('of a full export is built byte for byte', () => {
    const bytes = golden('http_full.vhd').subarray(512, 1536);
    const { tableOffsetBytes, tableEntries, blockSizeBytes } = parseHeader(bytes);
    const built = buildHeader({ tableOffsetBytes, tableEntries, blockSizeBytes, parent: null });

    expect(Buffer.from(built)).toEqual(Buffer.from(bytes));
  });

  it('of a differencing image tells its parent', () => {
    expect(parseHeader(golden('child.vhd').subarray(512, 1536))).toEqual({
      tableOffsetBytes: 2048,
      tableEntries: 8,
      blockSizeBytes: 2 * 2 ** 20,
      parentUniqueId: '11111111-1111-4111-8111-111111111111',
      parentTimeStampSeconds: 0x32957fcd,
      parentName: '/run/sr-mount/xxxxx/base.vhd',
      parentLocators: [{ platform: 'MacX', offsetBytes: 1536, lengthBytes: 'file://base.vhd'.length }],
    });
  });

  it('does not take a name that does not fit', () => {
    const parent = { uniqueId, name: 'x'.repeat(257), timeStampSeconds: 0, locator: null };
    const fault = faultOf(() =>
      buildHeader({ tableOffsetBytes: 2048, tableEntries: 1, blockSizeBytes: 4096, parent }),
    );

    expect(fault.code).toBe('bad-input');
  });
});
