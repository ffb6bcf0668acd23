import { SectorBitmap } from './bitmap';
import { sectorBytes } from './geometry';

/**
 * A part of the stream with one use. The decoder hands it whatever arrives, never more than it still wants, and
 * goes on to the next one when nothing is left to want: so no format code ever sees where chunks begin and end.
 */
export interface Stretch {
  readonly leftBytes: number;
  /** @param piece never longer than `leftBytes`, never empty */
  take(piece: Uint8Array): void;
}

/** Takes data of the disk, in whole sectors. */
export type EmitData = (offsetBytes: number, data: Uint8Array) => void;

/** Footers, headers, tables and bitmaps: collected until complete. */
export class Collected implements Stretch {
  readonly bytes: Uint8Array;
  #used = 0;

  constructor(lengthBytes: number) {
    this.bytes = new Uint8Array(lengthBytes);
  }

  get leftBytes(): number {
    return this.bytes.length - this.#used;
  }

  take(piece: Uint8Array): void {
    this.bytes.set(piece, this.#used);
    this.#used += piece.length;
  }

  /** What has arrived so far. */
  soFar(): Uint8Array {
    return this.bytes.subarray(0, this.#used);
  }
}

/** Gaps, which may hold anything: other programs keep batmaps and locators there. */
export class Skipped implements Stretch {
  constructor(public leftBytes: number) {}

  take(piece: Uint8Array): void {
    this.leftBytes -= piece.length;
  }
}

/**
 * Data of the disk, from the sectors that a bitmap names. Whole sectors are emitted as views of the chunk they
 * came in; only a sector that two chunks share is copied.
 */
export class Sectors implements Stretch {
  readonly #lengthBytes: number;
  readonly #diskOffsetBytes: number;
  readonly #bitmap: SectorBitmap;
  readonly #emit: EmitData;
  #at = 0;
  #runEndBytes = 0;
  #runIsPresent = false;
  #shared = new Uint8Array(0);
  #sharedBytes = 0;

  constructor(lengthBytes: number, diskOffsetBytes: number, bitmap: Uint8Array, emit: EmitData) {
    this.#lengthBytes = lengthBytes;
    this.#diskOffsetBytes = diskOffsetBytes;
    this.#bitmap = new SectorBitmap(bitmap);
    this.#emit = emit;
  }

  get leftBytes(): number {
    return this.#lengthBytes - this.#at;
  }

  take(piece: Uint8Array): void {
    let rest = piece;
    while (rest.length > 0) {
      this.#enterRun();
      const ofRun = rest.subarray(0, this.#runEndBytes - this.#at);
      if (this.#runIsPresent) {
        this.#takePresent(ofRun);
      }
      this.#at += ofRun.length;
      rest = rest.subarray(ofRun.length);
    }
  }

  #enterRun(): void {
    if (this.#at === this.#runEndBytes) {
      const run = this.#bitmap.runAt(this.#at / sectorBytes, this.#lengthBytes / sectorBytes);
      this.#runIsPresent = run.isPresent;
      this.#runEndBytes = run.endSector * sectorBytes;
    }
  }

  #takePresent(piece: Uint8Array): void {
    const headBytes = this.#takeShared(piece);
    const wholeBytes = piece.length - headBytes - ((piece.length - headBytes) % sectorBytes);
    if (wholeBytes > 0) {
      const startBytes = this.#diskOffsetBytes + this.#at + headBytes;
      this.#emit(startBytes, piece.subarray(headBytes, headBytes + wholeBytes));
    }
    if (headBytes + wholeBytes < piece.length) {
      this.#shared = new Uint8Array(sectorBytes);
      this.#sharedBytes = piece.length - headBytes - wholeBytes;
      this.#shared.set(piece.subarray(headBytes + wholeBytes));
    }
  }

  /** Completes the sector that earlier chunks began; returns how many bytes of the piece it took. */
  #takeShared(piece: Uint8Array): number {
    if (this.#sharedBytes === 0) {
      return 0;
    }
    const headBytes = Math.min(piece.length, sectorBytes - this.#sharedBytes);
    this.#shared.set(piece.subarray(0, headBytes), this.#sharedBytes);
    this.#sharedBytes += headBytes;
    if (this.#sharedBytes === sectorBytes) {
      this.#sharedBytes = 0;
      this.#emit(this.#diskOffsetBytes + this.#at + headBytes - sectorBytes, this.#shared);
    }
    return headBytes;
  }
}

/**
 * The body of a fixed disk whose length nobody told: everything is data but the footer, which is only known to be
 * the last 512 bytes once the stream has ended. So those are always held back.
 */
export class HeldBack implements Stretch {
  readonly leftBytes = Number.POSITIVE_INFINITY;
  readonly #emit: EmitData;
  #held = new Uint8Array(0);
  #emittedBytes = 0;

  constructor(emit: EmitData) {
    this.#emit = emit;
  }

  /** The last 512 bytes, and up to 511 more where the stream so far is no multiple of 512. */
  get held(): Uint8Array {
    return this.#held;
  }

  get emittedBytes(): number {
    return this.#emittedBytes;
  }

  take(piece: Uint8Array): void {
    if (this.#held.length + piece.length < 2 * sectorBytes) {
      this.#held = joined(this.#held, piece);
      return;
    }
    const fillBytes = (sectorBytes - (this.#held.length % sectorBytes)) % sectorBytes;
    const filled = joined(this.#held, piece.subarray(0, fillBytes));
    const rest = piece.subarray(fillBytes);
    if (rest.length < sectorBytes) {
      this.#emitWhole(filled.subarray(0, sectorBytes));
      this.#held = joined(filled.subarray(sectorBytes), rest);
      return;
    }
    const viewBytes = rest.length - sectorBytes - (rest.length % sectorBytes);
    this.#emitWhole(filled);
    this.#emitWhole(rest.subarray(0, viewBytes));
    this.#held = rest.slice(viewBytes);
  }

  #emitWhole(data: Uint8Array): void {
    if (data.length > 0) {
      this.#emit(this.#emittedBytes, data);
      this.#emittedBytes += data.length;
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
