/** The bitmap of `VDI.list_changed_blocks`: base64, one bit for each 64 KiB, most significant bit first. */
import type { NbdRange } from '../../nbd';
import { grainBytes } from './grains';

/** What changed on a disk of a known size, in whole grains; the last one ends with the disk. */
export class ChangedBlocks {
  readonly #bits: Buffer;
  readonly #sizeBytes: number;

  /**
   * A bitmap may be longer than the disk needs (log files are sized in whole bytes): surplus bits say nothing.
   *
   * @throws RangeError where it is not base64 or too short: what it does not speak of may have changed
   */
  constructor(base64: string, sizeBytes: number) {
    const text = base64.trim();
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text))
      throw new RangeError('the list of changed blocks is not base64');
    this.#bits = Buffer.from(text, 'base64');
    this.#sizeBytes = sizeBytes;
    const needed = Math.ceil(this.#grains / 8);
    if (this.#bits.length < needed) {
      throw new RangeError(
        `the list of changed blocks has ${String(this.#bits.length)} bytes, a disk of ${String(sizeBytes)} bytes needs ${String(needed)}`,
      );
    }
  }

  /** Sum of the ranges from `startBytes` on. */
  changedBytes(startBytes: number): number {
    let total = 0;
    for (const { lengthBytes } of this.ranges(startBytes)) total += lengthBytes;
    return total;
  }

  /** Neighbouring grains as one range, ascending, none before `startBytes`. */
  *ranges(startBytes: number): Iterable<NbdRange> {
    let runStart = -1;
    const first = Math.floor(startBytes / grainBytes);
    for (let grain = first; grain <= this.#grains; grain += 1) {
      const changed = grain < this.#grains && this.#isSet(grain);
      if (changed && runStart < 0) runStart = Math.max(grain * grainBytes, startBytes);
      if (changed || runStart < 0) continue;
      const endBytes = Math.min(grain * grainBytes, this.#sizeBytes);
      if (endBytes > runStart) yield { offsetBytes: runStart, lengthBytes: endBytes - runStart };
      runStart = -1;
    }
  }

  get #grains(): number {
    return Math.ceil(this.#sizeBytes / grainBytes);
  }

  #isSet(grain: number): boolean {
    return ((this.#bits[grain >> 3] ?? 0) & (0x80 >> (grain & 7))) !== 0;
  }
}
