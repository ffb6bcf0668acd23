/** Disks of a storage repository as VHD files in a folder. Knows files and bytes, nothing of pools. */
export { ImageStore } from './image-store.js';
export type { DiskImage, ImageStoreContract, ImageStoreOptions } from './image-store.js';
export { CbtError, ImageMissingError, NoSpaceError, OutOfRangeError } from './errors.js';
export { roundSize } from './layout.js';
