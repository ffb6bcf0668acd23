import fc from 'fast-check';
import {
  blockSizeBytesDefault as blockBytes,
  encodeFixedVhd,
  encodeVhd,
  parseFooter,
  parseHeader,
  type VhdBlock,
  VhdEncoder,
  type VhdImage,
} from '../../lib/vhd';
import { content, diskBytes, golden } from './golden';
import { blocksOf, cut, decodeAll, faultOf, gather, headerOf, restore, sha256 } from './restore';

const uniqueId = '0d15ea5e-0000-4000-8000-000000000001';
const parent = { uniqueId: '0d15ea5e-0000-4000-8000-000000000002', name: 'base.vhd' };
const image: VhdImage = { sizeBytes: diskBytes, parent: null, blocks: [0, 2, 7], uniqueId };

/** Blocks of a disk as they stand there; the last one ends with the disk. */
function* blocksFrom(disk: Uint8Array, indices: ArrayLike<number>): Generator<VhdBlock> {
  for (const index of Array.from(indices)) {
    yield { index, data: disk.subarray(index * blockBytes, (index + 1) * blockBytes) };
  }
}

describe('layout', () => {
  it.each(['http_full.vhd', 's1_base_full.vhd', 's6_grand_full.vhd', 's9_raw_to_vhd.vhd'])(
    'of %s, an export, comes out byte for byte',
    async (name) => {
      const bytes = golden(name);
      const { disk, blocks, header } = restore([bytes], new Uint8Array(diskBytes));
      const again: VhdImage = { ...image, blocks, uniqueId: header.uniqueId, creator: 'caml' };
      const encoded = await gather(encodeVhd(again, blocksFrom(disk, blocks)));

      expect(Buffer.compare(encoded, bytes)).toBe(0);
    },
  );

  it('of a delta names the parent, and stores its name twice', () => {
    const head = new VhdEncoder({ ...image, parent: { ...parent, timeStampSeconds: 7 } }).head();

    expect(parseFooter(head.subarray(0, 512)).diskType).toBe('differencing');
    expect(parseHeader(head.subarray(512, 1536))).toMatchObject({
      parentUniqueId: parent.uniqueId,
      parentName: 'base.vhd',
      parentTimeStampSeconds: 7,
      parentLocators: [{ platform: 'MacX', offsetBytes: 1536, lengthBytes: 15 }],
    });
    expect(Buffer.from(head.subarray(1536, 1551)).toString()).toBe('file://base.vhd');
  });

  it.each(['', 'ü'.repeat(200)])(
    'of a delta has no locator where there is nothing, or too much, to store',
    (name) => {
      const head = new VhdEncoder({ ...image, parent: { ...parent, name } }).head();

      expect(parseHeader(head.subarray(512, 1536))).toMatchObject({ parentName: name, parentLocators: [] });
    },
  );

  it('has exactly the length that was known beforehand', async () => {
    const lengths = await Promise.all(
      [[], [3], [0, 1, 2, 3, 4, 5, 6, 7]].map(async (blocks) => {
        const encoder = new VhdEncoder({ ...image, blocks });
        const bytes = await gather(encodeVhd({ ...image, blocks }, blocksFrom(content('base'), blocks)));
        return [encoder.lengthBytes, bytes.length];
      }),
    );

    expect(lengths).toEqual([
      [3072, 3072],
      [2_100_736, 2_100_736],
      [16_784_384, 16_784_384],
    ]);
  });
});

describe('blocks', () => {
  it('leave without a copy', () => {
    const data = new Uint8Array(blockBytes);
    const encoder = new VhdEncoder(image);

    expect(encoder.block({ index: 0, data })[1]).toBe(data);
  });

  it('may come in pieces', async () => {
    const disk = content('base');
    const whole = await gather(encodeVhd(image, blocksFrom(disk, image.blocks)));
    const pieces = [...blocksFrom(disk, image.blocks)].map(({ index, data }) => ({
      index,
      data: data instanceof Uint8Array ? [...cut(data, 65_536)] : data,
    }));

    expect(Buffer.compare(await gather(encodeVhd(image, pieces)), whole)).toBe(0);
  });

  it('at the disk’s end have no sector past it, whether given whole or short', async () => {
    const sizeBytes = blockBytes + 1536;
    const odd: VhdImage = { ...image, sizeBytes, blocks: [1] };
    const short = await gather(encodeVhd(odd, [{ index: 1, data: new Uint8Array(1536).fill(7) }]));
    const whole = await gather(encodeVhd(odd, [{ index: 1, data: new Uint8Array(blockBytes).fill(7) }]));

    const bitmap = new Uint8Array(512).fill(0xff);
    const asked = await gather(encodeVhd(odd, [{ index: 1, data: new Uint8Array(1536), bitmap }]));

    for (const bytes of [short, whole, asked]) {
      expect(Array.from(bytes.subarray(2560, 2563))).toEqual([0b1110_0000, 0, 0]);
    }
    expect(short.length).toBe(new VhdEncoder(odd).lengthBytes);
    const [fromWhole, fromShort] = [whole, short].map(
      (bytes) => restore([bytes], new Uint8Array(sizeBytes)).disk,
    );
    expect(sha256(fromWhole ?? whole)).toBe(sha256(fromShort ?? short));
  });

  it('may be partial: what the bitmap leaves out keeps what was there before', async () => {
    const bitmap = new Uint8Array(512);
    bitmap[0] = 0b0100_0000;
    const data = new Uint8Array(blockBytes).fill(7);
    const bytes = await gather(encodeVhd({ ...image, blocks: [2] }, [{ index: 2, data, bitmap }]));
    const written = decodeAll([bytes]).filter((part) => part.kind === 'data');

    expect(written).toEqual([
      { kind: 'data', offsetBytes: 2 * blockBytes + 512, data: new Uint8Array(512).fill(7) },
    ]);
  });
});

describe('what cannot be encoded', () => {
  const data = new Uint8Array(blockBytes);

  it.each([
    ['blocks that do not ascend', { blocks: [2, 1] }, 'bad-input'],
    ['a block twice', { blocks: [1, 1] }, 'bad-input'],
    ['a block past the end', { blocks: [8] }, 'bad-input'],
    ['a block of no index', { blocks: [0.5] }, 'bad-input'],
  ])('%s', (_what, wrong, code) => {
    expect(faultOf(() => new VhdEncoder({ ...image, ...wrong })).code).toBe(code);
  });

  it.each([
    [
      'another block than announced',
      { index: 2, data },
      'Cannot write block 2 of the VHD: announced was block 0',
    ],
    ['a block that is too short', { index: 0, data: data.subarray(512) }, 'expected 2097152'],
    ['pieces that are too long', { index: 0, data: [data, data] }, 'from 4194304 bytes'],
    ['a bitmap of another length', { index: 0, data, bitmap: new Uint8Array(4) }, 'its bitmap has 4 bytes'],
  ])('%s', (_what, block, message) => {
    expect(faultOf(() => new VhdEncoder(image).block(block)).message).toContain(message);
  });

  it('an image whose announced blocks do not all come', async () => {
    await expect(gather(encodeVhd(image, [{ index: 0, data }]))).rejects.toThrow(
      'Cannot end the VHD: block 2 was announced and not written',
    );
  });

  it('blocks after the last one announced', async () => {
    await expect(gather(encodeVhd({ ...image, blocks: [] }, [{ index: 0, data }]))).rejects.toThrow(
      'announced was no further block',
    );
  });
});

describe('the source of blocks', () => {
  it('is closed when the reader stops', async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<VhdBlock> {
      try {
        for (;;) {
          yield await Promise.resolve({ index: 0, data: new Uint8Array(blockBytes) });
        }
      } finally {
        isClosed = true;
      }
    }
    const pieces = encodeVhd({ ...image, blocks: [0] }, source());
    await pieces.next();
    await pieces.next();
    await pieces.return();

    expect(isClosed).toBe(true);
  });
});

describe('fixed images', () => {
  const disk = Uint8Array.from({ length: 2560 }, (_, at) => at % 253);

  it('are the disk and a footer', async () => {
    const bytes = await gather(encodeFixedVhd({ sizeBytes: 2560, uniqueId }, cut(disk, 1000)));
    const restored = restore(cut(bytes, 999), new Uint8Array(2560), { acceptFixed: true });

    expect(bytes.length).toBe(2560 + 512);
    expect(restored.disk).toEqual(disk);
    expect(restored.header).toMatchObject({ diskType: 'fixed', sizeBytes: 2560, uniqueId });
  });

  it.each([
    ['less', 2048, 'got only 2048'],
    ['more', 4096, 'got more'],
  ])('of %s than announced are refused', async (_what, givenBytes, message) => {
    const content = [new Uint8Array(givenBytes)];

    await expect(gather(encodeFixedVhd({ sizeBytes: 2560, uniqueId }, content))).rejects.toThrow(message);
  });
});

describe('decode after encode', () => {
  it('is the identity for any size, blocks, bitmaps and chunks', async () => {
    const anyBlock = fc.record({
      index: fc.nat(3),
      bits: fc.nat(255),
      fill: fc.integer({ min: 1, max: 255 }),
    });
    const lengths = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 20 });
    const sectors = fc.integer({ min: 3 * 4096 + 1, max: 4 * 4096 });

    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anyBlock, { selector: (it) => it.index, maxLength: 3 }),
        sectors,
        fc.boolean(),
        lengths,
        async (some, sectorCount, isDelta, chunks) => {
          const sorted = some.toSorted((first, second) => first.index - second.index);
          const any: VhdImage = {
            sizeBytes: sectorCount * 512,
            parent: isDelta ? parent : null,
            blocks: sorted.map((it) => it.index),
            uniqueId,
          };
          const bytes = await gather(
            encodeVhd(
              any,
              sorted.map(({ index, bits, fill }) => ({
                index,
                data: new Uint8Array(blockBytes).fill(fill),
                bitmap: new Uint8Array(512).fill(bits),
              })),
            ),
          );
          const wanted = new Uint8Array(any.sizeBytes);
          for (const { index, bits, fill } of sorted) {
            for (let sector = index * 4096; sector < Math.min(sectorCount, (index + 1) * 4096); sector += 1) {
              wanted.fill((bits & (0x80 >> (sector & 7))) !== 0 ? fill : 0, sector * 512, (sector + 1) * 512);
            }
          }
          const parts = decodeAll(cut(bytes, ...chunks));

          expect(
            Buffer.compare(restore(cut(bytes, ...chunks), new Uint8Array(any.sizeBytes)).disk, wanted),
          ).toBe(0);
          expect(blocksOf(parts)).toEqual(any.blocks);
          expect(headerOf(parts)).toMatchObject({
            diskType: isDelta ? 'differencing' : 'dynamic',
            sizeBytes: any.sizeBytes,
            lengthBytes: bytes.length,
            parentUniqueId: isDelta ? parent.uniqueId : null,
          });
        },
      ),
      { seed: 7, numRuns: 15 },
    );
  });
});
