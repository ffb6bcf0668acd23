/**
 * What each grain of a recovery point's disk is known to hold: an export delta carries whole blocks of 2 MiB, of which
 * mostly a few grains changed. A sum of 128 bits for each grain of 64 KiB; nothing known is nothing left out.
 */
import type { Extent } from './extent';
import { grainBytes, grainsOf } from './grains';

const sumBytes = 16;
/** Larger disks get no index: it would be too large for the memory of an engine that copies several at once. */
const diskBytesMax = 128 * 1024 ** 3;

export class GrainIndex {
  readonly #sums: Buffer;

  /** @param sums as `bytes` gave them; without, nothing is known */
  constructor(sizeBytes: number, sums: Buffer = Buffer.alloc(lengthFor(sizeBytes))) {
    if (sums.length !== lengthFor(sizeBytes)) throw new RangeError('the index is of a disk of another size');
    this.#sums = sums;
  }

  static fits(sizeBytes: number): boolean {
    return sizeBytes <= diskBytesMax;
  }

  get bytes(): Buffer {
    return this.#sums;
  }

  /** @param digest of the whole grain that begins at `offsetBytes` */
  holds(offsetBytes: number, digest: Buffer): boolean {
    const at = (offsetBytes / grainBytes) * sumBytes;
    return this.#sums.compare(digest, 0, sumBytes, at, at + sumBytes) === 0;
  }

  note(offsetBytes: number, digest: Buffer): void {
    digest.copy(this.#sums, (offsetBytes / grainBytes) * sumBytes, 0, sumBytes);
  }

  /** Only a part of the grain was seen: what it holds now is not known. */
  forget(offsetBytes: number): void {
    const at = Math.floor(offsetBytes / grainBytes) * sumBytes;
    this.#sums.fill(0, at, at + sumBytes);
  }
}

function lengthFor(sizeBytes: number): number {
  return Math.ceil(sizeBytes / grainBytes) * sumBytes;
}

/**
 * The parts of a piece that differ from what the index knows, whole grains wherever the piece has whole ones. The index
 * knows the piece from then on.
 */
export function* changedParts(
  piece: Extent,
  digests: readonly (Buffer | null)[],
  index: GrainIndex,
): Iterable<Extent> {
  let runStart = -1;
  let nth = 0;
  for (const { start, end } of grainsOf(piece)) {
    const digest = digests[nth] ?? null;
    const offsetBytes = piece.offsetBytes + start;
    nth += 1;
    const whole = digest !== null && end - start === grainBytes;
    const same = whole && index.holds(offsetBytes, digest);
    if (whole) index.note(offsetBytes, digest);
    else index.forget(offsetBytes);
    if (!same && runStart < 0) runStart = start;
    if (same && runStart >= 0) {
      yield part(piece, runStart, start);
      runStart = -1;
    }
  }
  if (runStart >= 0) yield part(piece, runStart, piece.data.length);
}

function part({ offsetBytes, data }: Extent, start: number, end: number): Extent {
  return { offsetBytes: offsetBytes + start, data: data.subarray(start, end) };
}
