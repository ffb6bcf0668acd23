/** Disks as lists of pieces, for tests of what stands between reader and writer. */
import fc from 'fast-check';
import type { Extent } from '../../../lib/engine/data/extent';

export const sectorBytes = 512;

export async function* given(extents: readonly Extent[]): AsyncIterable<Extent> {
  for (const extent of extents) yield await Promise.resolve(extent);
}

export async function collect(extents: AsyncIterable<Extent>): Promise<readonly Extent[]> {
  const all: Extent[] = [];
  // Copied, since a piece is the receiver's only until it asks for the next one.
  for await (const { offsetBytes, data } of extents) all.push({ offsetBytes, data: Uint8Array.from(data) });
  return all;
}

/** What is on a disk after these pieces were written to it; `before` where nothing was. */
export function written(extents: readonly Extent[], sizeBytes: number, before = 0xee): Buffer {
  const disk = Buffer.alloc(sizeBytes, before);
  for (const { offsetBytes, data } of extents) disk.set(data, offsetBytes);
  return disk;
}

export function piece(offsetBytes: number, lengthBytes: number, fill: number): Extent {
  return { offsetBytes, data: Buffer.alloc(lengthBytes, fill) };
}

/** `128K+64K` for each piece. */
export function spans(extents: readonly Extent[]): readonly string[] {
  const kib = (bytes: number): string => `${String(bytes / 1024)}K`;
  return extents.map(({ offsetBytes, data }) => `${kib(offsetBytes)}+${kib(data.length)}`);
}

/** Runs of sectors with gaps between, ascending: what any reader may yield, some of it zeros. */
export const runs: fc.Arbitrary<readonly Extent[]> = fc
  .array(
    fc.record({
      gap: fc.oneof(fc.constant(0), fc.nat(300)),
      sectors: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 6000 })),
      fill: fc.constantFrom(0, 0, 7, 0xff),
      spot: fc.option(fc.nat(), { nil: null }),
    }),
    { maxLength: 6 },
  )
  .map((parts) => {
    const extents: Extent[] = [];
    let at = 0;
    for (const { gap, sectors, fill, spot } of parts) {
      const extent = piece((at + gap) * sectorBytes, sectors * sectorBytes, fill);
      if (spot !== null) extent.data[spot % extent.data.length] = 1;
      extents.push(extent);
      at += gap + sectors;
    }
    return extents;
  });

/** The same content cut elsewhere, at sectors. */
export function cut(extents: readonly Extent[], everySectors: number): readonly Extent[] {
  const step = everySectors * sectorBytes;
  return extents.flatMap(({ offsetBytes, data }) => {
    const parts: Extent[] = [];
    for (let start = 0; start < data.length; start += step) {
      parts.push({ offsetBytes: offsetBytes + start, data: data.subarray(start, start + step) });
    }
    return parts;
  });
}

export function endOf(extents: readonly Extent[]): number {
  const last = extents.at(-1);
  return last === undefined ? 0 : last.offsetBytes + last.data.length;
}
