/** Regular pieces, so that zeros can be told from data and a digest does not depend on how bytes arrived. */
import type { Extent } from './extent';

/** 64 KiB: the unit of changed-block tracking, and fine enough to leave out most zeros of a 2 MiB block. */
export const grainBytes = 65_536;
/** Largest piece handed on; XAPI copies in buffers of 2 MiB. */
export const extentBytesMax = 2 * 1024 * 1024;

/** Room before a piece for what a frame says of itself, so that it is sent from where it stands. */
const roomBytes = 512;

/**
 * Joins neighbouring pieces and cuts at multiples of 2 MiB. Every piece starts at a multiple of 64 KiB wherever
 * its data does; nothing is ever spanned that was not given.
 *
 * @param buffers where the pieces are put; without, each is put into memory of its own
 */
export async function* gather(
  extents: AsyncIterable<Extent>,
  buffers: PieceMemory = { take: newPieceBuffer },
): AsyncIterable<Extent> {
  let pending = new Pending(buffers);
  for await (const extent of extents) {
    let { offsetBytes, data } = extent;
    while (data.length > 0) {
      if (!pending.accepts(offsetBytes)) {
        if (!pending.empty) yield pending.take();
        pending = new Pending(buffers);
      }
      const taken = pending.add(offsetBytes, data);
      offsetBytes += taken;
      data = data.subarray(taken);
    }
  }
  if (!pending.empty) yield pending.take();
}

/** Gives memory for one piece of any length. */
export interface PieceMemory {
  take(): Buffer;
}

/** Memory for one piece. */
export function newPieceBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(roomBytes + extentBytesMax);
}

/** Memory of pieces that have left is used again: new memory for each costs about as much as to fill it. */
export class PieceBuffers implements PieceMemory {
  readonly #isFree: (mark: number) => boolean;
  readonly #used: { readonly buffer: Buffer; readonly mark: number }[] = [];

  /** @param isFree whether nobody needs any more what was given back with this mark; ascending */
  constructor(isFree: (mark: number) => boolean) {
    this.#isFree = isFree;
  }

  take(): Buffer {
    const [oldest] = this.#used;
    if (oldest === undefined || !this.#isFree(oldest.mark)) return newPieceBuffer();
    this.#used.shift();
    return oldest.buffer;
  }

  /** @param piece one that `gather` made with this memory */
  giveBack({ data }: Extent, mark: number): void {
    const { buffer } = data;
    if (buffer.byteLength === roomBytes + extentBytesMax)
      this.#used.push({ buffer: Buffer.from(buffer), mark });
  }
}

/** Collects one piece of at most 2 MiB. */
class Pending {
  readonly #memory: PieceMemory;
  #buffer: Buffer | null = null;
  #startBytes = 0;
  #length = 0;

  constructor(memory: PieceMemory) {
    this.#memory = memory;
  }

  get empty(): boolean {
    return this.#length === 0;
  }

  accepts(offsetBytes: number): boolean {
    if (this.#buffer === null) return true;
    return offsetBytes === this.#startBytes + this.#length && this.#room() > 0;
  }

  /** Copies as much as fits and returns how much that was. */
  add(offsetBytes: number, data: Uint8Array): number {
    if (this.#buffer === null) {
      this.#startBytes = offsetBytes;
      this.#buffer = this.#memory
        .take()
        .subarray(roomBytes, roomBytes + extentBytesMax - (offsetBytes % extentBytesMax));
    }
    const taken = Math.min(this.#room(), data.length);
    this.#buffer.set(data.subarray(0, taken), this.#length);
    this.#length += taken;
    return taken;
  }

  take(): Extent {
    const buffer = this.#buffer ?? Buffer.alloc(0);
    return { offsetBytes: this.#startBytes, data: buffer.subarray(0, this.#length), roomBytes };
  }

  #room(): number {
    return (this.#buffer?.length ?? 0) - this.#length;
  }
}

/**
 * Hands on zeros wherever nothing was given, from `startBytes` up to `sizeBytes`. An export leaves out what was never written: on a
 * disk that is not known to read as zeros there, old bytes would stay and pass for content.
 */
export async function* fillGaps(
  extents: AsyncIterable<Extent>,
  sizeBytes: number,
  startBytes = 0,
): AsyncIterable<Extent> {
  let reachedBytes = startBytes;
  for await (const extent of extents) {
    yield* zerosBetween(reachedBytes, extent.offsetBytes);
    yield extent;
    reachedBytes = extent.offsetBytes + extent.data.length;
  }
  yield* zerosBetween(reachedBytes, sizeBytes);
}

function* zerosBetween(startBytes: number, endBytes: number): Iterable<Extent> {
  for (let offsetBytes = startBytes; offsetBytes < endBytes; offsetBytes += zeros.length) {
    yield { offsetBytes, data: zeros.subarray(0, endBytes - offsetBytes) };
  }
}

const zeros = Buffer.alloc(grainBytes);

/** The parts of a piece that are not all zeros, in grains. Only for a disk that reads as zeros where it was never written. */
export function* withoutZeros(extent: Extent): Iterable<Extent> {
  let runStart = -1;
  for (const { start, end } of grainsOf(extent)) {
    const zero = isZero(extent.data.subarray(start, end));
    if (!zero && runStart < 0) runStart = start;
    if (zero && runStart >= 0) {
      yield partOf(extent, runStart, start);
      runStart = -1;
    }
  }
  if (runStart >= 0) yield partOf(extent, runStart, extent.data.length);
}

/** Ranges of the piece's data, cut at multiples of 64 KiB on the disk. */
export function* grainsOf(extent: Extent): Iterable<{ readonly start: number; readonly end: number }> {
  let start = 0;
  while (start < extent.data.length) {
    const toBorder = grainBytes - ((extent.offsetBytes + start) % grainBytes);
    const end = Math.min(extent.data.length, start + toBorder);
    yield { start, end };
    start = end;
  }
}

export function isZero(data: Uint8Array): boolean {
  return Buffer.compare(data, zeros.subarray(0, data.length)) === 0;
}

/** A part of a piece of which the bytes before it are not sent. */
export function partOf(extent: Extent, start: number, end: number): Extent {
  return {
    offsetBytes: extent.offsetBytes + start,
    data: extent.data.subarray(start, end),
    roomBytes: (extent.roomBytes ?? 0) + start,
  };
}
