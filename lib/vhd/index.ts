/*
 * VHD, the disk format in which XenServer pools export and import: read and written as streams, forward only, over
 * plain bytes. Nothing here knows where the bytes come from.
 */
export { VhdDecoder } from './decode';
export type { VhdDecoderOptions } from './reading';
export type { VhdBlockPart, VhdDataPart, VhdEndPart, VhdHeaderPart, VhdPart } from './parts';
export {
  encodeFixedVhd,
  encodeVhd,
  type VhdBlock,
  VhdEncoder,
  type VhdFixedImage,
  type VhdImage,
  type VhdParent,
} from './encode';
export { VhdError, type VhdErrorCode } from './errors';
export {
  buildFooter,
  type DiskType,
  type Footer,
  footerBytes,
  type FooterInput,
  parseFooter,
} from './footer';
export {
  blockSizeBytesDefault,
  buildHeader,
  type Header,
  headerBytes,
  type HeaderInput,
  type HeaderParent,
  parseHeader,
  type ParentLocator,
} from './header';
export { type Geometry, geometry, sectorBytes, sizeBytesMax } from './geometry';
export { refuseOtherBody, refuseOtherFooter } from './refusals';
export { bitmapBytesOf, PhysicalBlocks } from './table';
