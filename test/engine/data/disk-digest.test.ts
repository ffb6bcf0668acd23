import fc from 'fast-check';
import { ContentDigest } from '../../../lib/engine/data/digest';
import { DiskDigest } from '../../../lib/engine/data/disk-digest';
import type { Extent } from '../../../lib/engine/data/extent';
import { fillGaps, gather } from '../../../lib/engine/data/grains';
import { cut, endOf, given, piece, runs } from './extents';

function digestsOf(extents: readonly Extent[], sizeBytes: number): ReturnType<DiskDigest['values']> {
  const digest = new DiskDigest(sizeBytes, true);
  for (const extent of extents) digest.add(extent);
  digest.zerosUntil(sizeBytes);
  return digest.values();
}

/** What a copy of all of the disk writes down. */
async function copied(extents: readonly Extent[], sizeBytes: number, skipZeros: boolean): Promise<string> {
  const digest = new ContentDigest(skipZeros);
  for await (const one of gather(fillGaps(given(extents), sizeBytes))) digest.update(one);
  return digest.value();
}

test('is what a copy of the same disk writes down, with its zeros and without', async () => {
  const sectors = fc.constantFrom(5, 129, 4096, 100_000);
  await fc.assert(
    fc.asyncProperty(runs, sectors, fc.nat(300), async (extents, every, behind) => {
      const sizeBytes = endOf(extents) + behind * 512;
      expect(digestsOf(cut(extents, every), sizeBytes)).toEqual({
        sparse: await copied(extents, sizeBytes, true),
        whole: await copied(extents, sizeBytes, false),
      });
    }),
    { numRuns: 25 },
  );
});

test('without counting zeros the other one is the same, and takes no time for a large hole', () => {
  const sizeBytes = 2 ** 45;
  const digest = new DiskDigest(sizeBytes, false);
  digest.add(piece(2 ** 44 + 512, 1024, 1));
  digest.zerosUntil(sizeBytes);
  const small = digestsOf([piece(512, 1024, 1)], 65_536);
  expect(digest.values()).toEqual({ sparse: expect.stringMatching(/^sha256:/) as string, whole: null });
  expect(digest.values().sparse).not.toBe(small.sparse);
});

test.each<[string, readonly Extent[], string]>([
  ['that came before', [piece(4096, 512, 1), piece(0, 512, 1)], 'behind already'],
  ['behind the end of the disk', [piece(65_536, 512, 1)], 'behind the end'],
  ['that crosses the end of the disk', [piece(65_024, 1024, 1)], 'behind the end'],
])('refuses data %s', (_, extents, reason) => {
  const digest = new DiskDigest(65_536, false);
  expect(() => {
    for (const extent of extents) digest.add(extent);
  }).toThrow(reason);
});

test('is not asked for before the whole disk was taken', () => {
  const digest = new DiskDigest(131_072, true);
  digest.add(piece(0, 65_536, 1));
  expect(() => digest.values()).toThrow('only 65536 bytes');
});
