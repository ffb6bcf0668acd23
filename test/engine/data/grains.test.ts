import fc from 'fast-check';
import {
  extentBytesMax,
  fillGaps,
  gather,
  grainBytes,
  grainsOf,
  isZero,
  PieceBuffers,
  withoutZeros,
} from '../../../lib/engine/data/grains';
import type { Extent } from '../../../lib/engine/data/extent';
import { collect, cut, endOf, given, piece, runs, spans, written } from './extents';

const kib = 1024;
const everySectors = fc.constantFrom(1, 3, 128, 4096);

describe('gathering', () => {
  test.each([
    ['nothing', [], []],
    ['one piece as it is', [piece(0, 64 * kib, 1)], ['0K+64K']],
    ['neighbours become one', [piece(0, 4 * kib, 1), piece(4 * kib, 60 * kib, 2)], ['0K+64K']],
    ['a gap stays a gap', [piece(0, 4 * kib, 1), piece(8 * kib, 4 * kib, 2)], ['0K+4K', '8K+4K']],
    ['cut at multiples of 2 MiB of the disk', [piece(2047 * kib, 2 * kib, 1)], ['2047K+1K', '2048K+1K']],
    ['never more than 2 MiB', [piece(0, 5 * 1024 * kib, 1)], ['0K+2048K', '2048K+2048K', '4096K+1024K']],
    ['an empty piece is nothing', [piece(0, 0, 1), piece(4 * kib, 4 * kib, 1)], ['4K+4K']],
  ])('%s', async (_, extents, expected) => {
    expect(spans(await collect(gather(given(extents))))).toEqual(expected);
  });

  test('keeps the content, spans nothing that was not given, and never exceeds 2 MiB', async () => {
    await fc.assert(
      fc.asyncProperty(runs, everySectors, async (extents, sectors) => {
        const size = endOf(extents);
        const gathered = await collect(gather(given(cut(extents, sectors))));
        // Bytes that nobody gave keep what the disk held: a piece over them would show.
        expect(written(gathered, size).equals(written(extents, size))).toBe(true);
        const total = (list: typeof extents): number => list.reduce((sum, { data }) => sum + data.length, 0);
        expect(total(gathered)).toBe(total(extents));
        for (const { offsetBytes, data } of gathered) {
          expect(data.length).toBeLessThanOrEqual(extentBytesMax);
          const last = offsetBytes + data.length - 1;
          expect(Math.floor(last / extentBytesMax)).toBe(Math.floor(offsetBytes / extentBytesMax));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('gives the same pieces however the bytes arrived', async () => {
    await fc.assert(
      fc.asyncProperty(runs, everySectors, everySectors, async (extents, one, other) => {
        const first = spans(await collect(gather(given(cut(extents, one)))));
        expect(spans(await collect(gather(given(cut(extents, other)))))).toEqual(first);
      }),
      { numRuns: 40 },
    );
  });

  test('hands on what is complete before it asks for more: memory does not grow with the disk', async () => {
    let asked = 0;
    async function* endless(): AsyncIterable<ReturnType<typeof piece>> {
      for (; ; asked += 1) yield await Promise.resolve(piece(asked * 64 * kib, 64 * kib, 1));
    }
    const iterator = gather(endless())[Symbol.asyncIterator]();
    await iterator.next();
    expect(asked).toBeLessThanOrEqual(33);
    await iterator.return?.();
  });
});

describe('memory of pieces', () => {
  /** Takes pieces and lets go of each only some pieces later, as a line does. */
  async function throughLine(extents: readonly Extent[], lengthOfLine: number): Promise<Buffer> {
    let left = 0;
    const line: Extent[] = [];
    const disk = Buffer.alloc(endOf(extents), 0xee);
    const leave = (): void => {
      const piece = line.shift();
      if (piece === undefined) return;
      disk.set(piece.data, piece.offsetBytes);
      left += 1;
    };
    const buffers = new PieceBuffers((mark) => left >= mark);
    let taken = 0;
    for await (const gathered of gather(given(extents), buffers)) {
      line.push(gathered);
      taken += 1;
      buffers.giveBack(gathered, taken);
      if (line.length > lengthOfLine) leave();
    }
    while (line.length > 0) leave();
    return disk;
  }

  test('is not used again before its piece has left', async () => {
    await fc.assert(
      fc.asyncProperty(runs, everySectors, fc.nat(3), async (extents, sectors, lengthOfLine) => {
        const disk = await throughLine(cut(extents, sectors), lengthOfLine);
        expect(disk.equals(written(extents, endOf(extents)))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('is used again afterwards', async () => {
    const memories = new Set<ArrayBufferLike>();
    const buffers = new PieceBuffers(() => true);
    for await (const gathered of gather(given([piece(0, 40 * 1024 * kib, 1)]), buffers)) {
      memories.add(gathered.data.buffer);
      buffers.giveBack(gathered, 0);
    }
    expect(memories.size).toBeLessThanOrEqual(2);
  });
});

describe('leaving out zeros', () => {
  /** What is left of the gathered pieces. */
  async function kept(extents: readonly Extent[]): Promise<readonly Extent[]> {
    return (await collect(gather(given(extents)))).flatMap((gathered) => [...withoutZeros(gathered)]);
  }

  test.each([
    ['all zeros: nothing is left', [piece(0, 256 * kib, 0)], []],
    ['no zeros: as it is', [piece(0, 256 * kib, 1)], ['0K+256K']],
    [
      'zeros within a grain of 64 KiB are data',
      [piece(0, 4 * kib, 1), piece(4 * kib, 60 * kib, 0)],
      ['0K+64K'],
    ],
    [
      'leading and trailing zeros go',
      [piece(0, 64 * kib, 0), piece(64 * kib, 64 * kib, 1), piece(128 * kib, 64 * kib, 0)],
      ['64K+64K'],
    ],
    [
      'two islands',
      [piece(0, 64 * kib, 1), piece(64 * kib, 64 * kib, 0), piece(128 * kib, 64 * kib, 1)],
      ['0K+64K', '128K+64K'],
    ],
    [
      'grains are those of the disk, not of the piece',
      [piece(32 * kib, 32 * kib, 0), piece(64 * kib, 32 * kib, 1)],
      ['64K+32K'],
    ],
  ])('%s', async (_, extents, expected) => {
    expect(spans(await kept(extents))).toEqual(expected);
  });

  test('on a disk of zeros the content is the same; each byte that is left was given', async () => {
    await fc.assert(
      fc.asyncProperty(runs, everySectors, async (extents, sectors) => {
        const size = endOf(extents);
        const left = await kept(cut(extents, sectors));
        expect(written(left, size, 0).equals(written(extents, size, 0))).toBe(true);
        // Written over what was given, nothing changes: no byte was made up.
        expect(written([...extents, ...left], size).equals(written(extents, size))).toBe(true);
        for (const { data } of left) expect(isZero(data.subarray(0, grainBytes))).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});

describe('filling gaps', () => {
  test.each([
    ['an empty disk', [], 128 * kib, ['0K+64K', '64K+64K']],
    [
      'before, between and after',
      [piece(4 * kib, 4 * kib, 1), piece(16 * kib, 4 * kib, 1)],
      32 * kib,
      ['0K+4K', '4K+4K', '8K+8K', '16K+4K', '20K+12K'],
    ],
    ['nothing to fill', [piece(0, 8 * kib, 1)], 8 * kib, ['0K+8K']],
  ])('%s', async (_, extents, size, expected) => {
    expect(spans(await collect(fillGaps(given(extents), size)))).toEqual(expected);
  });

  test('whatever the disk held before, afterwards it reads as the source does', async () => {
    await fc.assert(
      fc.asyncProperty(runs, fc.nat(200), fc.nat(255), async (extents, more, before) => {
        const size = endOf(extents) + more * 512;
        const filled = await collect(gather(fillGaps(given(extents), size)));
        expect(written(filled, size, before).equals(written(extents, size, 0))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

test('grains end at multiples of 64 KiB of the disk and cover the piece', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.integer({ min: 1, max: 1000 }), (offset, sectors) => {
      const extent = piece(offset * 512, sectors * 512, 1);
      let at = 0;
      for (const { start, end } of grainsOf(extent)) {
        expect(start).toBe(at);
        expect(Math.floor((extent.offsetBytes + end - 1) / grainBytes)).toBe(
          Math.floor((extent.offsetBytes + start) / grainBytes),
        );
        at = end;
      }
      expect(at).toBe(extent.data.length);
    }),
  );
});

test('a grain is zero only where every byte is', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: grainBytes }), fc.nat(), (length, at) => {
      const data = Buffer.alloc(length);
      expect(isZero(data)).toBe(true);
      data[at % length] = 1;
      expect(isZero(data)).toBe(false);
    }),
  );
});
