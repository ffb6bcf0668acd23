import fc from 'fast-check';
import { blocksOf, seedBlockBytes } from '../../../lib/engine/seed/blocks';
import { collect, cut, endOf, given, piece, runs, written } from '../data/extents';

const mib = 1024 ** 2;

describe('a disk as blocks', () => {
  test('holds zeros wherever no piece named anything, never what the block before held', async () => {
    await fc.assert(
      fc.asyncProperty(runs, fc.constantFrom(1, 129, 4096), async (extents, sectors) => {
        const sizeBytes = endOf(extents);
        const blocks = blocksOf(given(cut(extents, sectors)), sizeBytes);
        const asExtents = (async function* () {
          for await (const { index, data } of blocks) yield { offsetBytes: index * seedBlockBytes, data };
        })();
        const found = await collect(asExtents);
        expect(written(found, sizeBytes, 0).equals(written(extents, sizeBytes, 0))).toBe(true);
        const offsets = found.map(({ offsetBytes }) => offsetBytes);
        expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
      }),
      { numRuns: 60 },
    );
  });

  test('ends with a shorter block where the disk does, and refuses what lies behind', async () => {
    const sizeBytes = 3 * mib;
    const [, last] = await collect(
      (async function* () {
        const pieces = given([piece(0, 512, 1), piece(2 * mib, 512, 1)]);
        for await (const { index, data } of blocksOf(pieces, sizeBytes)) yield { offsetBytes: index, data };
      })(),
    );
    expect(last?.data).toHaveLength(mib);
    await expect(collect(asPieces(sizeBytes))).rejects.toThrow('behind the end of the disk');
  });

  async function* asPieces(sizeBytes: number): AsyncGenerator<{ offsetBytes: number; data: Uint8Array }> {
    for await (const { index, data } of blocksOf(given([piece(4 * mib, 512, 1)]), sizeBytes))
      yield { offsetBytes: index, data };
  }
});
