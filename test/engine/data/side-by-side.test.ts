import fc from 'fast-check';
import type { Extent } from '../../../lib/engine/data/extent';
import { sideBySide } from '../../../lib/engine/data/side-by-side';
import { cut, endOf, given, piece, runs, spans, written } from './extents';

const blockBytes = 2 * 1024 ** 2;

interface Sides {
  readonly source: readonly Extent[];
  readonly target: readonly Extent[];
  readonly crossing: number;
}

async function walk(source: AsyncIterable<Extent>, target: AsyncIterable<Extent>): Promise<Sides> {
  const sides = { source: [] as Extent[], target: [] as Extent[], crossing: 0 };
  for await (const stretch of sideBySide(source, target, blockBytes)) {
    const { offsetBytes, lengthBytes } = stretch;
    if (Math.floor(offsetBytes / blockBytes) !== Math.floor((offsetBytes + lengthBytes - 1) / blockBytes))
      sides.crossing += 1;
    for (const side of ['source', 'target'] as const) {
      const data = stretch[side];
      if (data === null) continue;
      expect(data).toHaveLength(lengthBytes);
      sides[side].push({ offsetBytes, data: Uint8Array.from(data) });
    }
  }
  return sides;
}

test('gives what each side gave, all of it and nothing else, and crosses no block', async () => {
  const sectors = fc.constantFrom(5, 129, 4096, 100_000);
  await fc.assert(
    fc.asyncProperty(runs, runs, sectors, sectors, async (one, other, cutOne, cutOther) => {
      const sizeBytes = Math.max(endOf(one), endOf(other));
      const { source, target, crossing } = await walk(
        reusingMemory(cut(one, cutOne)),
        reusingMemory(cut(other, cutOther)),
      );
      expect(written(source, sizeBytes).equals(written(one, sizeBytes))).toBe(true);
      expect(written(target, sizeBytes).equals(written(other, sizeBytes))).toBe(true);
      expect(crossing).toBe(0);
    }),
    { numRuns: 25 },
  );
});

test('cuts where either side begins, ends, or another block begins', async () => {
  const kib = 1024;
  const { source, target } = await walk(
    given([piece(0, 128 * kib, 1), piece(2000 * kib, 100 * kib, 1)]),
    given([piece(64 * kib, 128 * kib, 2)]),
  );
  expect(spans(source)).toEqual(['0K+64K', '64K+64K', '2000K+48K', '2048K+52K']);
  expect(spans(target)).toEqual(['64K+64K', '128K+64K']);
});

test('of two disks that give nothing, nothing', async () => {
  expect(await walk(given([]), given([]))).toEqual({ source: [], target: [], crossing: 0 });
});

test('whoever stops in the middle closes both sides', async () => {
  const closed: string[] = [];
  async function* endless(name: string): AsyncGenerator<Extent> {
    try {
      for (let at = 0; ; at += 512) yield await Promise.resolve(piece(at, 512, 1));
    } finally {
      closed.push(name);
    }
  }
  for await (const { offsetBytes } of sideBySide(endless('source'), endless('target'), blockBytes))
    if (offsetBytes > 5000) break;
  expect(closed.sort()).toEqual(['source', 'target']);
});

test('a side that fails fails all of it, and the other one is closed', async () => {
  let closed = false;
  async function* good(): AsyncGenerator<Extent> {
    try {
      for (let at = 0; ; at += 512) yield await Promise.resolve(piece(at, 512, 1));
    } finally {
      closed = true;
    }
  }
  async function* bad(): AsyncGenerator<Extent> {
    yield await Promise.resolve(piece(0, 1024, 1));
    throw new Error('the line was cut');
  }
  await expect(walk(good(), bad())).rejects.toThrow('the line was cut');
  expect(closed).toBe(true);
});

/** As readers do: a piece is gone when the next one is asked for. */
async function* reusingMemory(extents: readonly Extent[]): AsyncGenerator<Extent> {
  for (const { offsetBytes, data } of extents) {
    const memory = Uint8Array.from(data);
    yield await Promise.resolve({ offsetBytes, data: memory });
    memory.fill(0xaa);
  }
}

test('fails at once where one side does, although the other one is silent', async () => {
  async function* silent(): AsyncGenerator<Extent> {
    await new Promise<never>(() => undefined);
    yield piece(0, 512, 1);
  }
  async function* broken(): AsyncGenerator<Extent> {
    await Promise.reject(new Error('the line was cut'));
    yield piece(0, 512, 1);
  }
  await expect(walk(broken(), silent())).rejects.toThrow('the line was cut');
  await expect(walk(silent(), broken())).rejects.toThrow('the line was cut');
});
