import { ContentDigest } from '../../../lib/engine/data/digest';
import type { DiskReader, Extent } from '../../../lib/engine/data/extent';
import { compareWithDigest, compareWithSource } from '../../../lib/engine/verify/read-back';

const kib = 1024;
const mib = 1024 * kib;

/** A disk as it is read: these pieces, zeros wherever none is. */
function reader(sizeBytes: number, ...pieces: readonly Extent[]): DiskReader {
  return {
    sizeBytes,
    changedBytes: sizeBytes,
    bytesRead: 0,
    async *extents() {
      for (const piece of pieces) {
        await Promise.resolve();
        yield piece;
      }
    },
    finish: () => Promise.resolve(),
    abort: () => Promise.resolve(),
  };
}

const piece = (offsetBytes: number, lengthBytes: number, fill: number): Extent => ({
  offsetBytes,
  data: Buffer.alloc(lengthBytes, fill),
});

const options = { sampleBytes: null, signal: new AbortController().signal, onProgress: () => undefined };

describe('a disk that storage has made larger than its content', () => {
  const contentBytes = 64 * kib + 512;

  function written(skipZeros: boolean, ...pieces: readonly Extent[]): string {
    const digest = new ContentDigest(skipZeros);
    for (const one of pieces) digest.update(one);
    return digest.value();
  }

  async function differing(wanted: string, bytes: number, ...pieces: readonly Extent[]): Promise<number> {
    const found = await compareWithDigest(
      { digest: wanted, contentBytes: bytes },
      reader(256 * mib, ...pieces),
      options,
    );
    return found.differingBlocks;
  }

  test('is what was written to it, though its last grain is a whole one', async () => {
    const wanted = written(true, piece(0, contentBytes, 7));
    expect(await differing(wanted, contentBytes, piece(0, contentBytes, 7))).toBe(0);
    // As an export gives it: whole blocks, with zeros behind the content.
    const block = piece(0, 2 * mib, 0);
    block.data.fill(7, 0, contentBytes);
    expect(await differing(wanted, contentBytes, block)).toBe(0);
    expect(await differing(wanted, contentBytes, block, piece(200 * mib, mib, 0))).toBe(0);
  });

  test('is, too, where grains of zeros were written and counted', async () => {
    const [data, zeros] = [piece(0, 64 * kib, 7), piece(64 * kib, 64 * kib, 0)];
    expect(await differing(written(false, data, zeros), 128 * kib, data)).toBe(0);
  });

  test.each([
    ['right behind the content', contentBytes],
    ['far behind it', 200 * mib],
  ])('is not where a byte is written %s', async (_, atBytes) => {
    const wanted = written(true, piece(0, contentBytes, 7));
    const found = await differing(wanted, contentBytes, piece(0, contentBytes, 7), piece(atBytes, 512, 1));
    expect(found).toBeGreaterThan(0);
  });

  test('leaves a digest of the content alone when it is compared with its source', async () => {
    const found = await compareWithSource(
      reader(contentBytes, piece(0, contentBytes, 7)),
      reader(2 * mib, piece(0, contentBytes, 7)),
      { ...options, takeDigest: true },
    );
    expect(found).toMatchObject({ sample: 'whole', differingBlocks: 0 });
    expect(found.digest).toBe(written(true, piece(0, contentBytes, 7)));
  });

  test('differs from its source where a byte is written behind the content', async () => {
    const found = await compareWithSource(
      reader(contentBytes, piece(0, contentBytes, 7)),
      reader(2 * mib, piece(0, contentBytes, 7), piece(mib, 512, 1)),
      { ...options, takeDigest: true },
    );
    expect(found.differingBlocks).toBe(1);
  });
});
