import { buildFooter, VhdDecoder, type VhdDecoderOptions, type VhdErrorCode } from '../../lib/vhd';
import { assemble, changed, firstFooter, header, resealed } from './assemble';
import { golden } from './golden';
import { cut, decodeAll, faultOf } from './restore';

const data = new Uint8Array(4096).fill(0x61);
const blocks = [
  { index: 0, data },
  { index: 1, data },
];
const image = assemble({ sizeBytes: 2 * 4096, blocks });
const faultIn = (bytes: Uint8Array, options: VhdDecoderOptions = {}) =>
  faultOf(() => decodeAll([bytes], options));

/** What XAPI appends to the body of an export that fails after its headers were sent. */
const errorPage = golden('http_200_error_in_body.bin');

describe('a stream that is cut short', () => {
  const places: [string, number][] = [
    ['before its first byte', 0],
    ['after one byte', 1],
    ['in the first footer', 511],
    ['after the first footer', 512],
    ['in the header', 1535],
    ['after the header', 1536],
    ['before the table', 2048],
    ['in the table', 2055],
    ['after the table', 2056],
    ['before the first block', 2560],
    ['in its bitmap', 2561],
    ['before its data', 3072],
    ['in its data', 3072 + 1000],
    ['between the blocks', 3072 + 4096],
    ['in the last block', image.length - 513],
    ['before the last footer', image.length - 512],
    ['one byte before its end', image.length - 1],
  ];

  it.each(places)('%s (byte %i) is refused with that position', (_where, at) => {
    const fault = faultOf(() => decodeAll(cut(image.subarray(0, at), 100)));

    expect([fault.code, fault.offsetBytes]).toEqual(['truncated', at]);
  });

  it('is refused at any byte whatever', () => {
    for (let at = 0; at < image.length; at += 1) {
      expect(faultIn(image.subarray(0, at))).toMatchObject({ code: 'truncated', offsetBytes: at });
    }
  });

  it('says where in the image it ended, and how long it should have been', () => {
    expect(faultIn(image.subarray(0, 4000)).message).toBe(
      `The VHD is cut short: the stream ended after 4000 of ${image.length} bytes, in the data of block 0`,
    );
  });

  it('is refused as soon as the table is read, when its length is given', () => {
    const decoder = new VhdDecoder({ streamLengthBytes: image.length - 512 });
    const fault = faultOf(() => decoder.push(image.subarray(0, 2056)));

    expect([fault.code, fault.offsetBytes]).toEqual(['truncated', image.length - 512]);
  });
});

describe('an error page of the server within the stream', () => {
  it.each([
    ['in a block', 3072 + 1000],
    ['at the start of a block', 2560],
    ['in the place of the last footer', image.length - 512],
    ['in the table', 2052],
  ])('%s (byte %i) is found, with what it says', (_where, at) => {
    const fault = faultOf(() => decodeAll(cut(Buffer.concat([image.subarray(0, at), errorPage]), 333)));

    expect(fault.offsetBytes).toBe(at);
    expect(fault.serverMessage).toBe('500 Internal Error');
    expect(fault.message).toContain('HTTP error of the server: 500 Internal Error');
  });

  it('after the last footer is trailing data', () => {
    const fault = faultIn(Buffer.concat([image, errorPage]));

    expect(fault).toMatchObject({
      code: 'trailing-data',
      offsetBytes: image.length,
      serverMessage: '500 Internal Error',
    });
  });

  it('is not seen in a good disk that holds such a page', () => {
    const page = new Uint8Array(4096);
    page.set(errorPage, 4096 - errorPage.length);
    const good = assemble({ sizeBytes: 4096, blocks: [{ index: 0, data: page }] });

    expect(decodeAll([good]).at(-1)).toEqual({ kind: 'end' });
    expect(faultIn(Buffer.concat([good, Uint8Array.of(0)]))).toMatchObject({
      code: 'trailing-data',
      offsetBytes: good.length,
      serverMessage: null,
    });
  });
});

describe('bytes after the last footer', () => {
  it.each([1, 512])('%i of them are refused', (count) => {
    const fault = faultIn(Buffer.concat([image, new Uint8Array(count)]));

    expect([fault.code, fault.offsetBytes]).toEqual(['trailing-data', image.length]);
  });
});

describe('a damaged structure', () => {
  const footerAt = image.length - 512;
  const rows: [string, Uint8Array, VhdErrorCode, number][] = [
    ['cookie of the first footer', changed(image, 0, 0x78), 'bad-cookie', 0],
    ['any bit of the first footer', changed(image, 500, 1), 'bad-checksum', 0],
    ['cookie of the header', changed(image, 512, 0x78), 'bad-cookie', 512],
    ['any bit of the header', changed(image, 1500, 1), 'bad-checksum', 512],
    ['cookie of the last footer', changed(image, footerAt, 0x78), 'bad-cookie', footerAt],
    ['any bit of the last footer', changed(image, footerAt + 100, 1), 'bad-checksum', footerAt],
    ['version of the footer', resealed(image, firstFooter, 12, 0x20000), 'bad-version', 0],
    ['version of the header', resealed(image, header, 24, 0x20000), 'bad-version', 512],
    ['disk type', resealed(image, firstFooter, 60, 6), 'unsupported', 0],
    ['fixed disk that nobody asked for', resealed(image, firstFooter, 60, 2), 'unsupported', 0],
    ['size beyond 2040 GiB', resealed(image, firstFooter, 48, 510), 'bad-size', 0],
    ['size beyond all numbers', resealed(image, firstFooter, 48, 0xffff_ffff), 'bad-size', 0],
    ['size within a sector', resealed(image, firstFooter, 52, 8193), 'bad-size', 0],
    ['header over the footer', resealed(image, firstFooter, 20, 0), 'bad-header', 512],
    ['header within a sector', resealed(image, firstFooter, 20, 700), 'bad-header', 512],
    ['header beyond any file', resealed(image, firstFooter, 16, 0x7fff_ffff), 'bad-header', 512],
    ['table over the header', resealed(image, header, 20, 1024), 'bad-header', 1536],
    ['block size 0', resealed(image, header, 32, 0), 'bad-header', 512],
    ['block size of no power of two', resealed(image, header, 32, 3 * 2 ** 20), 'bad-header', 512],
    ['block size of half a sector', resealed(image, header, 32, 256), 'bad-header', 512],
    ['block size of 2 GiB', resealed(image, header, 32, 2 ** 31), 'bad-header', 512],
    ['table shorter than the disk', resealed(image, header, 28, 1), 'bad-table', 512],
    ['table longer than any', resealed(image, header, 28, 0xffff_fffe), 'bad-table', 512],
  ];

  it.each(rows)('%s', (_what, bytes, code, offsetBytes) => {
    const fault = faultIn(bytes);

    expect([fault.code, fault.offsetBytes]).toEqual([code, offsetBytes]);
  });

  it('takes no more memory than the bound allows', () => {
    const fault = faultIn(assemble({ sizeBytes: 4096, tableEntries: 11 }), { maxTableEntries: 10 });

    expect(fault.code).toBe('bad-table');
    expect(fault.message).toContain('table of 11 entries');
  });

  it('leaves a decoder that goes on refusing', () => {
    const decoder = new VhdDecoder();
    const fault = faultOf(() => decoder.push(changed(image, 500, 1)));

    expect(faultOf(() => decoder.push(image))).toBe(fault);
    expect(faultOf(() => decoder.end())).toBe(fault);
  });
});

describe('a block table that cannot be', () => {
  const entry = (index: number, sector: number): Uint8Array =>
    changed(
      image,
      2048 + 4 * index,
      sector >>> 24,
      (sector >>> 16) & 255,
      (sector >>> 8) & 255,
      sector & 255,
    );

  it.each([
    ['blocks over each other', entry(1, 5 + 8), 1],
    ['two blocks in one place', entry(1, 5), 1],
    ['a block over the table', entry(0, 4), 0],
    ['a block over the header', entry(1, 1), 1],
    ['a block at the very start', entry(1, 0), 1],
  ])('%s', (_what, bytes, index) => {
    const fault = faultIn(bytes);

    expect([fault.code, fault.offsetBytes]).toEqual(['bad-table', 2048 + 4 * index]);
  });

  it('a block past the disk’s end', () => {
    const past = assemble({ sizeBytes: 4096, tableEntries: 4, blocks: [{ index: 2, data }] });

    expect(faultIn(past)).toMatchObject({ code: 'bad-table', offsetBytes: 2048 + 8 });
    expect(faultIn(past).message).toContain('a disk of 4096 bytes has 1 blocks');
  });

  it('a block so far away that the stream ends before it', () => {
    expect(faultIn(entry(1, 0xffff_fffe)).code).toBe('truncated');
  });
});

describe('an image that is not the expected one', () => {
  it('of another size', () => {
    expect(faultIn(image, { expectSizeBytes: 16_384 })).toMatchObject({
      code: 'size-mismatch',
      offsetBytes: 0,
    });
  });

  it('with the last footer of another image', () => {
    const other = buildFooter({
      diskType: 'dynamic',
      sizeBytes: 2 * 4096,
      uniqueId: '0d15ea5e-0000-4000-8000-000000000009',
      headerOffsetBytes: 512,
    });
    const joined = Buffer.concat([image.subarray(0, -512), other]);

    expect(faultIn(joined)).toMatchObject({ code: 'footer-mismatch', offsetBytes: image.length - 512 });
  });

  it('a footer where data were expected is not looked for: a gap must be announced by the length', () => {
    const withGap = assemble({ sizeBytes: 4096, gapBeforeFooterBytes: 512 });

    expect(faultIn(withGap).code).toBe('bad-cookie');
  });
});

describe('a fixed disk', () => {
  const fixed = Buffer.concat([
    data,
    buildFooter({
      diskType: 'fixed',
      sizeBytes: data.length,
      uniqueId: '0d15ea5e-0000-4000-8000-000000000009',
      headerOffsetBytes: null,
    }),
  ]);
  const acceptFixed = true;

  it('is refused where nobody asked for it', () => {
    expect(faultIn(fixed).code).toBe('bad-cookie');
  });

  it.each([
    ['without its footer', fixed.subarray(0, 4096), 'bad-cookie', 4096 - 512],
    ['with half a footer', fixed.subarray(0, 4096 + 256), 'truncated', 4096 + 256],
    ['with a footer of 511 bytes', fixed.subarray(0, 4096 + 511), 'old-footer', 4096],
    ['that lacks a sector', fixed.subarray(512), 'size-mismatch', 4096 - 512],
    ['of less than a sector', fixed.subarray(0, 100), 'truncated', 100],
    [
      'with the footer of a dynamic one',
      Buffer.concat([data, image.subarray(-512)]),
      'footer-mismatch',
      4096,
    ],
  ])('%s is refused', (_what, bytes, code, offsetBytes) => {
    expect(faultIn(bytes, { acceptFixed })).toMatchObject({ code, offsetBytes });
  });

  it.each([
    [4096 + 511, 'old-footer'],
    [4096 + 256, 'truncated'],
  ])('whose length is given as %i is refused before any data', (streamLengthBytes, code) => {
    const decoder = new VhdDecoder({ acceptFixed, streamLengthBytes });

    expect(faultOf(() => decoder.push(fixed.subarray(0, 512))).code).toBe(code);
  });

  it('goes on after its footer: refused', () => {
    expect(
      faultIn(Buffer.concat([fixed, data]), { acceptFixed, streamLengthBytes: fixed.length }),
    ).toMatchObject({ code: 'trailing-data', offsetBytes: fixed.length });
  });

  it('of another size than expected is refused', () => {
    expect(faultIn(fixed, { acceptFixed, expectSizeBytes: 512 }).code).toBe('size-mismatch');
  });
});

describe('settings that no stream could meet', () => {
  it.each([
    [{ expectSizeBytes: 513 }, 'bad-size'],
    [{ expectSizeBytes: -512 }, 'bad-size'],
    [{ maxTableEntries: 0 }, 'bad-input'],
    [{ maxTableEntries: 2 ** 30 }, 'bad-input'],
  ])('%j', (options, code) => {
    expect(faultOf(() => new VhdDecoder(options)).code).toBe(code);
  });
});
