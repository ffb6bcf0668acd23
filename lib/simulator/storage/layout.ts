/** Sizes that every part of the storage agrees on. */

export const SECTOR_BYTES = 512;
/** One block of a VHD: the unit in which storage is allocated. */
export const BLOCK_BYTES = 2 * 1024 * 1024;
export const SECTORS_PER_BLOCK = BLOCK_BYTES / SECTOR_BYTES;
/** One bit for each sector of a block. */
export const BITMAP_BYTES = SECTORS_PER_BLOCK / 8;
/** What one allocated block takes in a file: its bitmap and its data. */
export const STORED_BLOCK_BYTES = BITMAP_BYTES + BLOCK_BYTES;
export const FOOTER_BYTES = 512;
export const HEADER_BYTES = 1024;
/** Footer copy, header, one sector for the parent locator: the block table follows. */
export const TABLE_OFFSET = 2048;
/** An entry of the block table that has no block. */
export const NO_BLOCK = 0xffffffff;
/** Logical volumes are handed out in extents of 4 MiB. */
export const EXTENT_BYTES = 4 * 1024 * 1024;

/** Virtual sizes are multiples of 2 MiB, at least one. */
export function roundSize(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / BLOCK_BYTES)) * BLOCK_BYTES;
}

/** Bytes of a block table with `entries` entries, padded to a sector. */
export function tableBytes(entries: number): number {
  return roundUp(entries * 4, SECTOR_BYTES);
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
