/** Disks of a storage repository as VHD files in a folder. Knows files and bytes, nothing of pools. */
export { ImageStore } from './image-store';
export type { DiskImage, ImageStoreOptions } from './image-store';
export { CbtError, ImageMissingError, NoSpaceError, OutOfRangeError } from './errors';
export { BLOCK_BYTES, roundSize } from './layout';
export type { Merge } from './coalesce';
export type { Allocation } from './space';
