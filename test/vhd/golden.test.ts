import fc from 'fast-check';
import { content, contentDigests, diskBytes, golden, type GoldenFile, goldenFiles } from './golden';
import { cut, decodeAll, faultOf, restore, sha256 } from './restore';

/** The disk that a sample applies on. */
function before(file: GoldenFile): Uint8Array {
  return file.appliedOn === null ? new Uint8Array(file.sizeBytes) : content(file.appliedOn);
}

const images = goldenFiles.filter((file) => file.contentSha256 !== null);

describe('samples made by XAPI and its library', () => {
  it('are all listed with what they hold', () => {
    expect(goldenFiles).toHaveLength(16);
    expect(images).toHaveLength(14);
  });

  it.each([...contentDigests])('content %s is what its program writes', (name, digest) => {
    expect(sha256(content(name))).toBe(digest);
  });

  it.each(images)('$name decodes to its stated content', (file) => {
    const bytes = golden(file.name);
    const { disk, header } = restore(cut(bytes, 65_536), before(file));

    expect(sha256(bytes)).toBe(file.sha256);
    expect(sha256(disk)).toBe(file.contentSha256);
    expect(header.sizeBytes).toBe(file.sizeBytes);
    expect(header.lengthBytes).toBe(file.lengthBytes);
  });

  it('an export has each of its blocks once, ascending; a delta names the base’s file as its parent', () => {
    const { header, blocks } = restore([golden('s3_child_rel_base.vhd')], content('base'));

    expect(blocks).toEqual([0, 2, 3, 5]);
    expect(header).toEqual({
      kind: 'header',
      diskType: 'differencing',
      sizeBytes: diskBytes,
      blockSizeBytes: 2 * 2 ** 20,
      blocksPresent: 4,
      lengthBytes: 8_393_728,
      uniqueId: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) as string,
      parentUniqueId: '11111111-1111-4111-8111-111111111111',
    });
  });

  it('an empty delta is 3072 bytes and changes nothing', () => {
    const parts = decodeAll([golden('http_delta_empty.vhd')]);

    expect(parts.map((part) => part.kind)).toEqual(['header', 'end']);
    expect(parts[0]).toMatchObject({ lengthBytes: 3072, blocksPresent: 0 });
  });

  it('a full export has no parent', () => {
    expect(restore([golden('http_full.vhd')], new Uint8Array(diskBytes)).header.parentUniqueId).toBeNull();
  });

  it('only sectors whose bit is set are yielded', () => {
    const parts = decodeAll([golden('child.vhd')]);
    const sectors = parts
      .filter((part) => part.kind === 'data')
      .map((part) => [part.offsetBytes / 512, part.data.length / 512]);

    expect(sectors).toEqual([
      [3, 5],
      [8200, 1],
      [12288, 64],
      [20483, 3],
    ]);
  });

  it('an image that its maker could not end is refused where it was cut', () => {
    const fault = faultOf(() => decodeAll([golden('bad_odd_raw_to_vhd_truncated.vhd')]));

    expect(fault.code).toBe('truncated');
    expect(fault.offsetBytes).toBe(5_248_512);
  });

  it('an error page in the place of an image is refused with what the server said', () => {
    const fault = faultOf(() => decodeAll([golden('http_200_error_in_body.bin')]));

    expect(fault.code).toBe('bad-cookie');
    expect(fault.offsetBytes).toBe(0);
    expect(fault.serverMessage).toBe('500 Internal Error');
  });
});

describe('chunk borders', () => {
  it('may fall anywhere in headers, table and footer', () => {
    const bytes = golden('http_delta_empty.vhd');
    const whole = decodeAll([bytes]);

    for (let at = 1; at < bytes.length; at += 1) {
      expect(decodeAll(cut(bytes, at))).toEqual(whole);
    }
  });

  it('may follow every single byte', () => {
    const bytes = golden('http_delta_empty.vhd');

    expect(decodeAll(cut(bytes, 1))).toEqual(decodeAll([bytes]));
  });

  it('may follow every single byte of bitmaps and of the sectors around them', () => {
    const bytes = golden('child.vhd');
    const strideBytes = 512 + 2 * 2 ** 20;
    const chunks = [...cut(bytes, 3072)].slice(0, 1).flatMap((head) => [...cut(head, 1)]);
    for (let block = 3072; block < bytes.length; block += strideBytes) {
      chunks.push(...cut(bytes.subarray(block, block + 6000), 1));
      chunks.push(...cut(bytes.subarray(block + 6000, block + strideBytes), 509));
    }

    expect(sha256(restore(chunks, content('base')).disk)).toBe(contentDigests.get('child'));
  });

  it('change nothing, wherever they fall', () => {
    const bytes = golden('grand.vhd');
    const on = content('child');
    const lengths = fc.array(
      fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 500_000 })),
      {
        minLength: 1,
        maxLength: 50,
      },
    );

    fc.assert(
      fc.property(lengths, (some) => {
        const { disk } = restore(cut(bytes, ...some, 100_003), on);
        expect(sha256(disk)).toBe(contentDigests.get('grand'));
      }),
      { seed: 20_261_122, numRuns: 25 },
    );
  });

  it('cost no copy: data are views of the chunk, but for a sector that two chunks share', () => {
    const chunks = [...cut(golden('http_full.vhd'), 100_000)];
    const buffers = new Set(chunks.map((chunk) => chunk.buffer));
    const data = decodeAll(chunks).filter((part) => part.kind === 'data');
    const copied = data.filter((part) => !buffers.has(part.data.buffer));

    expect(copied.every((part) => part.data.length === 512)).toBe(true);
    expect(copied.length).toBeLessThan(chunks.length);
    expect(data.every((part) => part.offsetBytes % 512 === 0 && part.data.length % 512 === 0)).toBe(true);
  });
});
