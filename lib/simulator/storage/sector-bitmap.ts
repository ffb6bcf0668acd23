/** Bitmaps of the sectors of one block: most significant bit first, 1 = the sector is in this file. */
import { BITMAP_BYTES, SECTORS_PER_BLOCK } from './layout';

export interface SectorRun {
  readonly first: number;
  readonly count: number;
}

/** The one bitmap of all full blocks, so that "is it full" is a comparison of references. Never written to. */
export const FULL_BITMAP = Buffer.alloc(BITMAP_BYTES, 0xff);

/** Gives the shared full bitmap when `bitmap` is full, else `bitmap`. */
export function normalised(bitmap: Buffer): Buffer {
  return bitmap === FULL_BITMAP || bitmap.equals(FULL_BITMAP) ? FULL_BITMAP : bitmap;
}

/** A copy of `bitmap` with the run set; the same reference when nothing changes. */
export function withRun(bitmap: Buffer, run: SectorRun): Buffer {
  if (bitmap === FULL_BITMAP) return bitmap;
  if (run.count === SECTORS_PER_BLOCK) return FULL_BITMAP;
  const missing = runsOf(bitmap, run).some((part) => !part.set);
  if (!missing) return bitmap;
  const copy = Buffer.from(bitmap);
  for (let sector = run.first; sector < run.first + run.count; sector++) {
    copy[sector >> 3] = (copy[sector >> 3] ?? 0) | (0x80 >> (sector & 7));
  }
  return normalised(copy);
}

/** Splits `within` into stretches of set and clear sectors, ascending. */
export function runsOf(bitmap: Buffer, within: SectorRun): (SectorRun & { readonly set: boolean })[] {
  if (bitmap === FULL_BITMAP) return [{ ...within, set: true }];
  const runs: (SectorRun & { readonly set: boolean })[] = [];
  const end = within.first + within.count;
  let first = within.first;
  while (first < end) {
    const set = isSet(bitmap, first);
    const next = nextChange(bitmap, first, end, set);
    runs.push({ first, count: next - first, set });
    first = next;
  }
  return runs;
}

function isSet(bitmap: Buffer, sector: number): boolean {
  return ((bitmap[sector >> 3] ?? 0) & (0x80 >> (sector & 7))) !== 0;
}

function nextChange(bitmap: Buffer, from: number, end: number, set: boolean): number {
  const uniform = set ? 0xff : 0;
  let sector = from + 1;
  while (sector < end) {
    if ((sector & 7) === 0 && bitmap[sector >> 3] === uniform) sector += 8;
    else if (isSet(bitmap, sector) === set) sector++;
    else break;
  }
  return Math.min(sector, end);
}
