/**
 * What each grain of a recovery point's disk is known to hold: an export delta carries whole blocks of 2 MiB, of which
 * mostly a few grains changed. A sum of 128 bits for each grain of 64 KiB; nothing known is nothing left out.
 */
import { createHash } from 'node:crypto';
import type { Extent } from './extent';
import { grainBytes, grainsOf, partOf } from './grains';

const sumBytes = 16;
const unknownByte = 0xff;
/** Stands for a grain of zeros, so that the index of a sparse disk is sparse itself. */
const zerosSum = Buffer.alloc(sumBytes);
const zerosDigest = createHash('sha256').update(Buffer.alloc(grainBytes)).digest();
/** Larger disks get no index: it would be too large for the memory of an engine that copies several at once. */
const diskBytesMax = 128 * 1024 ** 3;

export class GrainIndex {
  readonly #sums: Buffer;

  /** @param sums as `bytes` gave them */
  constructor(sizeBytes: number, sums: Buffer) {
    if (sums.length !== lengthFor(sizeBytes)) throw new RangeError('the index is of a disk of another size');
    this.#sums = sums;
  }

  /** Of a disk of which nothing is known. */
  static unknown(sizeBytes: number): GrainIndex {
    return new GrainIndex(sizeBytes, Buffer.alloc(lengthFor(sizeBytes), unknownByte));
  }

  /** Of a disk that reads as zeros. */
  static zeros(sizeBytes: number): GrainIndex {
    return new GrainIndex(sizeBytes, Buffer.alloc(lengthFor(sizeBytes)));
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
    return this.#sums.compare(sumOf(digest), 0, sumBytes, at, at + sumBytes) === 0;
  }

  note(offsetBytes: number, digest: Buffer): void {
    sumOf(digest).copy(this.#sums, (offsetBytes / grainBytes) * sumBytes, 0, sumBytes);
  }

  /** Only a part of the grain was seen: what it holds now is not known. */
  forget(offsetBytes: number): void {
    const at = Math.floor(offsetBytes / grainBytes) * sumBytes;
    this.#sums.fill(unknownByte, at, at + sumBytes);
  }
}

function sumOf(digest: Buffer): Buffer {
  return digest.equals(zerosDigest) ? zerosSum : digest;
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
    // Zeros that do not count for the digest of the content come without one.
    const digest = digests[nth] ?? zerosDigest;
    const offsetBytes = piece.offsetBytes + start;
    nth += 1;
    const whole = end - start === grainBytes;
    const same = whole && index.holds(offsetBytes, digest);
    if (whole) index.note(offsetBytes, digest);
    else index.forget(offsetBytes);
    if (!same && runStart < 0) runStart = start;
    if (same && runStart >= 0) {
      yield partOf(piece, runStart, start);
      runStart = -1;
    }
  }
  if (runStart >= 0) yield partOf(piece, runStart, piece.data.length);
}
