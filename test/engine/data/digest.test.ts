import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { ContentDigest } from '../../../lib/engine/data/digest';
import type { Extent } from '../../../lib/engine/data/extent';
import { gather, withoutZeros } from '../../../lib/engine/data/grains';
import { collect, cut, given, piece, runs } from './extents';

async function digestOf(extents: readonly Extent[], skipZeros = false): Promise<string> {
  const digest = new ContentDigest(skipZeros);
  for await (const gathered of gather(given(extents))) digest.update(gathered);
  return digest.value();
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The definition, grain by grain. */
function chain(...grains: readonly (readonly [offsetBytes: number, grain: Buffer])[]): string {
  const link = grains.reduce<Buffer>(
    (before, [offsetBytes, grain]) => sha256(before, offset(offsetBytes), sha256(grain)),
    Buffer.alloc(32),
  );
  return `sha256:${link.toString('hex')}`;
}

function offset(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

test('nothing written is the digest of nothing', async () => {
  expect(await digestOf([])).toBe(chain());
});

test('each grain of 64 KiB, after its offset as u64 little-endian', async () => {
  const [one, two] = [Buffer.alloc(65_536, 1), Buffer.alloc(1024, 2)];
  const extents = [
    { offsetBytes: 131_072, data: Buffer.concat([one, two]) },
    { offsetBytes: 2 ** 40, data: two },
  ];
  expect(await digestOf(extents)).toBe(chain([131_072, one], [196_608, two], [2 ** 40, two]));
});

test('the same content gives the same digest however the bytes arrived', async () => {
  const sectors = fc.constantFrom(1, 7, 128, 4096);
  await fc.assert(
    fc.asyncProperty(runs, sectors, sectors, async (extents, one, other) => {
      expect(await digestOf(cut(extents, one))).toBe(await digestOf(cut(extents, other)));
    }),
    { numRuns: 40 },
  );
});

test('a byte elsewhere, another byte, or the same bytes elsewhere give another digest', async () => {
  const digests = await Promise.all([
    digestOf([piece(0, 1024, 1)]),
    digestOf([piece(512, 1024, 1)]),
    digestOf([piece(0, 1024, 2)]),
    digestOf([piece(0, 1536, 1)]),
    digestOf([piece(0, 512, 1), piece(1024, 512, 1)]),
  ]);
  expect(new Set(digests).size).toBe(digests.length);
});

test('where zeros do not count, it makes no difference whether they were given', async () => {
  await fc.assert(
    fc.asyncProperty(runs, async (extents) => {
      const gathered = await collect(gather(given(extents)));
      const left = gathered.flatMap((one) => [...withoutZeros(one)]);
      expect(await digestOf(extents, true)).toBe(await digestOf(left, true));
    }),
    { numRuns: 40 },
  );
  expect(await digestOf([piece(0, 65_536, 0)], true)).toBe(chain());
  expect(await digestOf([piece(0, 65_536, 0)])).not.toBe(chain());
});

test('asked on the way, it is the digest of what came so far, and goes on', async () => {
  const digest = new ContentDigest(false);
  digest.update(piece(0, 1024, 1));
  expect(digest.value()).toBe(await digestOf([piece(0, 1024, 1)]));
  digest.update(piece(4096, 512, 2));
  expect(digest.value()).toBe(await digestOf([piece(0, 1024, 1), piece(4096, 512, 2)]));
});

test('a digest that was written down is gone on with by another process', async () => {
  const goesOn = new ContentDigest(false, await digestOf([piece(0, 65_536, 1)]));
  goesOn.update(piece(65_536, 512, 2));
  expect(goesOn.value()).toBe(await digestOf([piece(0, 65_536, 1), piece(65_536, 512, 2)]));
  expect(() => new ContentDigest(false, 'none')).toThrow(RangeError);
});
