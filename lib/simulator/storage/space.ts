import { NoSpaceError } from './errors';
import type { Image } from './image';
import {
  BLOCK_BYTES,
  EXTENT_BYTES,
  FOOTER_BYTES,
  roundUp,
  STORED_BLOCK_BYTES,
  TABLE_OFFSET,
  tableBytes,
} from './layout';

/**
 * `thin`: files on a file system, an image takes what its file has. `thick`: logical volumes in extents of 4 MiB; a disk that may
 * be written has its whole size reserved, base copies and snapshots are shrunk to what they hold.
 */
export type Allocation = 'thin' | 'thick';

/** How much room images take, and whether there is enough for more. Every `demand…` throws NoSpaceError. */
export class Space {
  constructor(
    private readonly capacityBytes: number,
    private readonly allocation: Allocation,
    private readonly images: () => Iterable<Image>,
  ) {}

  of(image: Image): number {
    if (this.allocation === 'thin') return image.file.fileBytes;
    return image.file.inflated ? fullBytes(image.sizeBytes) : roundUp(image.file.fileBytes, EXTENT_BYTES);
  }

  used(): number {
    let sum = 0;
    for (const image of this.images()) sum += this.of(image);
    return sum;
  }

  free(): number {
    return Math.max(0, this.capacityBytes - this.used());
  }

  /** A new leaf: a disk (full size on thick storage) or a snapshot. */
  demandNew(sizeBytes: number, isDisk: boolean): void {
    this.#demand(this.#leafBytes(sizeBytes, isDisk));
  }

  /** A disk becomes a base copy with two leaves: on thick storage it gives back what it does not hold. */
  demandSplit(image: Image, otherIsDisk: boolean): void {
    const shrunk =
      this.allocation === 'thin' ? 0 : this.of(image) - roundUp(image.file.fileBytes, EXTENT_BYTES);
    const leaves =
      this.#leafBytes(image.sizeBytes, image.file.inflated) + this.#leafBytes(image.sizeBytes, otherIsDisk);
    this.#demand(leaves - shrunk);
  }

  demandGrowth(image: Image, sizeBytes: number): void {
    const more =
      this.allocation === 'thick' && image.file.inflated
        ? fullBytes(sizeBytes) - fullBytes(image.sizeBytes)
        : tableBytes(sizeBytes / BLOCK_BYTES) - tableBytes(image.sizeBytes / BLOCK_BYTES);
    this.#demand(more);
  }

  /** One more block in a leaf. A thick leaf that was shrunk is inflated before its first write. */
  demandBlock(image: Image): void {
    if (this.allocation === 'thin') this.#demand(STORED_BLOCK_BYTES);
    else if (!image.file.inflated) {
      this.#demand(fullBytes(image.sizeBytes) - this.of(image));
      image.file.setInflated(true);
    }
  }

  /** Room to hold `blocks` twice while a child is merged into its parent. */
  hasRoomForBlocks(blocks: number): boolean {
    return blocks * STORED_BLOCK_BYTES <= this.free();
  }

  #leafBytes(sizeBytes: number, isDisk: boolean): number {
    if (this.allocation === 'thick') return isDisk ? fullBytes(sizeBytes) : EXTENT_BYTES;
    return emptyBytes(sizeBytes);
  }

  #demand(bytes: number): void {
    const free = this.free();
    if (bytes > free) throw new NoSpaceError(bytes, free);
  }
}

function emptyBytes(sizeBytes: number): number {
  return TABLE_OFFSET + tableBytes(sizeBytes / BLOCK_BYTES) + FOOTER_BYTES;
}

function fullBytes(sizeBytes: number): number {
  const blocks = sizeBytes / BLOCK_BYTES;
  return roundUp(emptyBytes(sizeBytes) + blocks * STORED_BLOCK_BYTES, EXTENT_BYTES);
}
