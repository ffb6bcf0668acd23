import fc from 'fast-check';
import { buildFooter, VhdDecoder } from '../../lib/vhd';
import { type AssembledBlock, assemble, parentUniqueId, uniqueId } from './assemble';
import { blocksOf, cut, decodeAll, headerOf, restore } from './restore';

const block = (index: number, fill: number, more: Partial<AssembledBlock> = {}): AssembledBlock => ({
  index,
  data: new Uint8Array(4096).fill(fill),
  ...more,
});

/** The disk as one letter per sector: `.` for what it held before. */
function sketch(disk: Uint8Array): string {
  let text = '';
  for (let at = 0; at < disk.length; at += 512) {
    const byte = disk[at] ?? 0;
    text += byte === 0 ? '.' : String.fromCharCode(byte);
  }
  return text;
}

const sketchOf = (image: Uint8Array, sizeBytes: number): string =>
  sketch(restore(cut(image, 700), new Uint8Array(sizeBytes)).disk);

const a = 0x61;
const b = 0x62;

describe('layouts that are read', () => {
  it('blocks in any physical order: that order decides', () => {
    const image = assemble({ sizeBytes: 3 * 4096, blocks: [block(2, b), block(0, a)] });

    expect(blocksOf(decodeAll([image]))).toEqual([2, 0]);
    expect(sketchOf(image, 3 * 4096)).toBe('aaaaaaaa........bbbbbbbb');
  });

  it('gaps before and between blocks', () => {
    const image = assemble({
      sizeBytes: 2 * 4096,
      blocks: [block(0, a, { gapBeforeBytes: 1024 }), block(1, b, { gapBeforeBytes: 512 * 77 })],
    });

    expect(sketchOf(image, 2 * 4096)).toBe('aaaaaaaabbbbbbbb');
  });

  it.each([
    ['directly after the header, as qemu has it', 512, 1536],
    ['after one sector, as XAPI has it', 512, 2048],
    ['somewhere later', 512, 65_536],
    ['after a header that stands later', 4096, 8192],
  ])('the table %s', (_where, headerOffsetBytes, tableOffsetBytes) => {
    const image = assemble({ sizeBytes: 4096, headerOffsetBytes, tableOffsetBytes, blocks: [block(0, a)] });

    expect(sketchOf(image, 4096)).toBe('aaaaaaaa');
  });

  it('partial bitmaps: the first sector is the highest bit', () => {
    const bitmap = new Uint8Array(512).fill(0b1010_0011, 0, 1);
    const image = assemble({ sizeBytes: 4096, blocks: [block(0, a, { bitmap })] });

    expect(sketchOf(image, 4096)).toBe('a.a...aa');
  });

  it('a block without any sector', () => {
    const image = assemble({ sizeBytes: 4096, blocks: [block(0, a, { bitmap: new Uint8Array(512) })] });

    expect(decodeAll([image]).map((part) => part.kind)).toEqual(['header', 'block', 'end']);
  });

  it.each([4096, 524_288, 4 * 2 ** 20])(
    'blocks of %i bytes, whose bitmap takes whole sectors',
    (blockSizeBytes) => {
      const data = new Uint8Array(blockSizeBytes).fill(a);
      const image = assemble({ sizeBytes: 2 * blockSizeBytes, blockSizeBytes, blocks: [{ index: 1, data }] });
      const parts = decodeAll([image]);

      expect(headerOf(parts)).toMatchObject({ blockSizeBytes, lengthBytes: image.length });
      const [only, ...others] = parts.filter((part) => part.kind === 'data');
      expect([only?.offsetBytes, only?.data.length, others.length]).toEqual([
        blockSizeBytes,
        blockSizeBytes,
        0,
      ]);
      expect(only?.data.every((byte) => byte === a)).toBe(true);
    },
  );

  it('a table that is longer than the disk needs', () => {
    expect(sketchOf(assemble({ sizeBytes: 4096, tableEntries: 300, blocks: [block(0, a)] }), 4096)).toBe(
      'aaaaaaaa',
    );
  });

  it('a disk of no size', () => {
    expect(decodeAll([assemble({ sizeBytes: 0 })]).map((part) => part.kind)).toEqual(['header', 'end']);
  });

  it('the id of image and parent', () => {
    const parts = decodeAll([assemble({ sizeBytes: 4096, diskType: 'differencing' })]);

    expect(headerOf(parts)).toMatchObject({ diskType: 'differencing', uniqueId, parentUniqueId });
  });
});

describe('the end of the disk within the last block', () => {
  it('bounds what is yielded, although the stream holds the whole block', () => {
    const image = assemble({ sizeBytes: 4096 + 1536, blocks: [block(0, a), block(1, b)] });

    expect(sketchOf(image, 4096 + 1536)).toBe('aaaaaaaabbb');
  });

  it('is where the expected size says, when the image was rounded up to 2 MiB', () => {
    const expectSizeBytes = 2 * 2 ** 20 - 4096 - 512;
    const image = assemble({ sizeBytes: 2 * 2 ** 20, blocks: [block(510, a), block(511, b)] });
    const { header, disk } = restore(cut(image, 1000), new Uint8Array(expectSizeBytes), { expectSizeBytes });

    expect(header.sizeBytes).toBe(expectSizeBytes);
    expect(sketch(disk.subarray(510 * 4096))).toBe('aaaaaaa');
  });
});

describe('the length of the stream', () => {
  it('is known from the table on', () => {
    const image = assemble({ sizeBytes: 2 * 4096, blocks: [block(1, b)] });
    const decoder = new VhdDecoder();

    decoder.push(image.subarray(0, 2048 + 7));
    expect(decoder.lengthBytes).toBeNull();
    decoder.push(image.subarray(2048 + 7, 2048 + 8));
    expect(decoder.lengthBytes).toBe(image.length);
  });

  it('may be given, and then leaves room for a gap before the last footer', () => {
    const image = assemble({ sizeBytes: 4096, blocks: [block(0, a)], gapBeforeFooterBytes: 2560 });
    const parts = decodeAll(cut(image, 333), { streamLengthBytes: image.length });

    expect(headerOf(parts).lengthBytes).toBe(image.length);
    expect(parts.at(-1)).toEqual({ kind: 'end' });
  });
});

describe('fixed disks, when asked for', () => {
  const sizeBytes = 3 * 512;
  const content = Uint8Array.from({ length: sizeBytes }, (_, at) => (at * 7) % 251);
  const footer = buildFooter({ diskType: 'fixed', sizeBytes, uniqueId, headerOffsetBytes: null });
  const image = Uint8Array.from([...content, ...footer]);

  it('are read with their length unknown: the last 512 bytes are held back, wherever chunks end', () => {
    const borders = Array.from({ length: image.length }, (_, at) => at + 1).flatMap((first) =>
      [511, 512, 513, 5000].map((others) => [first, others]),
    );
    const wrong = borders.filter((lengths) => {
      const chunks = cut(image, ...lengths);
      const { disk, header } = restore(chunks, new Uint8Array(sizeBytes), { acceptFixed: true });
      return Buffer.compare(disk, content) !== 0 || header.lengthBytes !== image.length;
    });

    expect(wrong).toEqual([]);
    expect(restore(cut(image, 1), new Uint8Array(sizeBytes), { acceptFixed: true }).disk).toEqual(content);
  });

  it('are read with their length given: the end is seen without end()', () => {
    const decoder = new VhdDecoder({ acceptFixed: true, streamLengthBytes: image.length });
    const parts = [...cut(image, 100)].flatMap((chunk) => decoder.push(chunk));

    expect(parts.slice(-2)).toMatchObject([
      { kind: 'header', diskType: 'fixed', sizeBytes },
      { kind: 'end' },
    ]);
    expect(decoder.end()).toEqual([]);
  });

  it('yield whole sectors, in order, each once', () => {
    const ends = decodeAll(cut(image, 700), { acceptFixed: true })
      .filter((part) => part.kind === 'data')
      .map((part) => [part.offsetBytes, part.offsetBytes + part.data.length]);

    expect(ends.flat().every((at) => at % 512 === 0)).toBe(true);
    expect(ends.map(([start]) => start)).toEqual([0, ...ends.map(([, end]) => end).slice(0, -1)]);
  });

  it.each([{}, { streamLengthBytes: 512 }])('may have no content at all (%j)', (options) => {
    const only = buildFooter({ diskType: 'fixed', sizeBytes: 0, uniqueId, headerOffsetBytes: null });
    const parts = decodeAll([only], { acceptFixed: true, ...options });

    expect(parts.map((part) => part.kind)).toEqual(['header', 'end']);
  });

  it('do not keep dynamic ones from being read', () => {
    const dynamic = assemble({ sizeBytes: 4096, blocks: [block(0, a)] });

    expect(headerOf(decodeAll([dynamic], { acceptFixed: true })).diskType).toBe('dynamic');
  });
});

describe('any image of any layout', () => {
  const blockCount = 12;
  const anyBlock = fc.record({
    index: fc.nat(blockCount - 1),
    bits: fc.nat(255),
    gapSectors: fc.nat(3),
  });

  it('decodes to the sectors that its bitmaps name', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyBlock, { selector: (it) => it.index }),
        fc.integer({ min: (blockCount - 1) * 8 + 1, max: blockCount * 8 }),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 }),
        (some, sectors, lengths) => {
          const blocks = some.map(({ index, bits, gapSectors }) =>
            block(index, a + index, {
              gapBeforeBytes: gapSectors * 512,
              bitmap: Uint8Array.from({ length: 512 }, () => bits),
            }),
          );
          const image = assemble({ sizeBytes: sectors * 512, blocks });
          const wanted = Array.from({ length: sectors }, (_, sector) => {
            const owner = some.find((it) => it.index === sector >> 3);
            const isPresent = owner !== undefined && (owner.bits & (0x80 >> (sector & 7))) !== 0;
            return isPresent ? String.fromCharCode(a + owner.index) : '.';
          }).join('');

          expect(sketch(restore(cut(image, ...lengths), new Uint8Array(sectors * 512)).disk)).toBe(wanted);
        },
      ),
      { seed: 42, numRuns: 200 },
    );
  });
});
