import type { DiskType } from './footer';

/** What the decoder reads out of a stream, in the order of the stream. */
export type VhdPart = VhdHeaderPart | VhdDataPart | VhdBlockPart | VhdEndPart;

/** Comes before all data; for a fixed disk, whose only footer stands at its end, after them. */
export interface VhdHeaderPart {
  readonly kind: 'header';
  readonly diskType: DiskType;
  /** The disk's size; with `expectSizeBytes` that one, where the image was rounded up to 2 MiB. */
  readonly sizeBytes: number;
  /** 0 for fixed disks, which have no blocks. */
  readonly blockSizeBytes: number;
  readonly blocksPresent: number;
  /** Exact length of the stream. */
  readonly lengthBytes: number;
  /** uuid notation. */
  readonly uniqueId: string;
  /** Null unless the disk is differencing. */
  readonly parentUniqueId: string | null;
}

/**
 * Sectors that the image holds; what no part names keeps the content of the parent (or is zero where there is
 * none). The data are a view of the pushed chunk wherever possible: use them before that memory is used again.
 */
export interface VhdDataPart {
  readonly kind: 'data';
  /** Position on the disk, a multiple of 512 as is the length. */
  readonly offsetBytes: number;
  readonly data: Uint8Array;
}

/** Follows the last data of a block. */
export interface VhdBlockPart {
  readonly kind: 'block';
  readonly index: number;
}

/** The last footer was read and agrees with the first: the stream is complete. */
export interface VhdEndPart {
  readonly kind: 'end';
}
