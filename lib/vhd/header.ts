import { VhdError } from './errors';
import { checksum, fieldsOf, readByteCount, readUniqueId, verify, writeAscii, writeUniqueId } from './fields';
import { refuseVersion, formatVersion } from './footer';

export const headerBytes = 1024;

/** Block size of everything that XenServer writes, and of everything that we write. */
export const blockSizeBytesDefault = 2 * 2 ** 20;

/*
 * Smaller blocks would have bitmaps of less than a byte per block, larger ones are made by nobody: both bounds
 * keep the memory for one bitmap small.
 */
const blockSizeBytesMin = 4096;
const blockSizeBytesMax = 256 * 2 ** 20;

/** Where one platform's notation of the parent's path stands in the file. */
export interface ParentLocator {
  /** Four characters, such as `MacX` or `W2ru`. */
  readonly platform: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** The structure that follows the first footer of dynamic and differencing disks. */
export interface Header {
  readonly tableOffsetBytes: number;
  readonly tableEntries: number;
  readonly blockSizeBytes: number;
  /**
   * Id in the parent's footer. In an export it is that of the base's file in the storage repository, and not of
   * any earlier export: files of different exports do not chain by it.
   */
  readonly parentUniqueId: string;
  readonly parentTimeStampSeconds: number;
  readonly parentName: string;
  readonly parentLocators: readonly ParentLocator[];
}

const structure = { name: 'header', cookie: 'cxsparse', checksumAt: 36 } as const;
const noOffset = 0xffff_ffff_ffff_ffffn;
const nameAt = 64;
const nameCharactersMax = 256;
const locatorsAt = 576;
const locatorBytes = 24;

/**
 * Reads 1024 bytes as the header of a dynamic or differencing disk.
 *
 * @param offsetBytes where they stand in the stream, for messages
 * @throws VhdError on a wrong cookie, checksum, version or block size
 */
export function parseHeader(bytes: Uint8Array, offsetBytes = 512): Header {
  verify(bytes, structure, offsetBytes);
  const fields = fieldsOf(bytes);
  refuseVersion(fields.getUint32(24), offsetBytes);
  const blockSizeBytes = fields.getUint32(32);
  refuseBlockSize(blockSizeBytes, offsetBytes);
  return {
    tableOffsetBytes: readByteCount(fields, 16),
    tableEntries: fields.getUint32(28),
    blockSizeBytes,
    parentUniqueId: readUniqueId(bytes.subarray(40)),
    parentTimeStampSeconds: fields.getUint32(56),
    parentName: readName(fields),
    parentLocators: readLocators(bytes),
  };
}

/** What a new header says; parts that speak of a parent are left out for dynamic disks. */
export interface HeaderInput {
  readonly tableOffsetBytes: number;
  readonly tableEntries: number;
  readonly blockSizeBytes: number;
  readonly parent: HeaderParent | null;
}

export interface HeaderParent {
  readonly uniqueId: string;
  readonly name: string;
  readonly timeStampSeconds: number;
  /** Where the parent's path as a `file://` URL is stored, and its length; null: not stored. */
  readonly locator: { readonly offsetBytes: number; readonly lengthBytes: number } | null;
}

/** Builds the 1024 bytes of a header with its checksum. Throws VhdError `bad-input` on a bad parent. */
export function buildHeader(input: HeaderInput): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const fields = fieldsOf(bytes);
  writeAscii(bytes, 0, structure.cookie);
  fields.setBigUint64(8, noOffset);
  fields.setBigUint64(16, BigInt(input.tableOffsetBytes));
  fields.setUint32(24, formatVersion);
  fields.setUint32(28, input.tableEntries);
  fields.setUint32(32, input.blockSizeBytes);
  if (input.parent !== null) {
    writeParent(bytes, input.parent);
  }
  fields.setUint32(36, checksum(bytes, 36));
  return bytes;
}

function writeParent(bytes: Uint8Array, parent: HeaderParent): void {
  if (parent.name.length > nameCharactersMax) {
    throw new VhdError(
      'bad-input',
      0,
      `Cannot write a parent name of ${parent.name.length} characters: a VHD header holds ${nameCharactersMax}`,
    );
  }
  const fields = fieldsOf(bytes);
  writeUniqueId(bytes, 40, parent.uniqueId);
  fields.setUint32(56, parent.timeStampSeconds);
  for (let i = 0; i < parent.name.length; i += 1) {
    fields.setUint16(nameAt + 2 * i, parent.name.charCodeAt(i));
  }
  if (parent.locator !== null) {
    writeAscii(bytes, locatorsAt, 'MacX');
    fields.setUint32(locatorsAt + 4, 1); // space, in sectors as exports count it
    fields.setUint32(locatorsAt + 8, parent.locator.lengthBytes);
    fields.setBigUint64(locatorsAt + 16, BigInt(parent.locator.offsetBytes));
  }
}

function refuseBlockSize(blockSizeBytes: number, offsetBytes: number): void {
  const isPowerOfTwo = blockSizeBytes !== 0 && (blockSizeBytes & (blockSizeBytes - 1)) === 0;
  if (!isPowerOfTwo || blockSizeBytes < blockSizeBytesMin || blockSizeBytes > blockSizeBytesMax) {
    throw new VhdError(
      'bad-header',
      offsetBytes,
      `Cannot read a VHD with blocks of ${blockSizeBytes} bytes: expected a power of two from ${blockSizeBytesMin} to ${blockSizeBytesMax}`,
    );
  }
}

function readName(fields: DataView): string {
  let name = '';
  for (let i = 0; i < nameCharactersMax; i += 1) {
    const unit = fields.getUint16(nameAt + 2 * i);
    if (unit === 0) {
      break;
    }
    name += String.fromCharCode(unit);
  }
  return name;
}

function readLocators(bytes: Uint8Array): ParentLocator[] {
  const locators: ParentLocator[] = [];
  for (let at = locatorsAt; at < locatorsAt + 8 * locatorBytes; at += locatorBytes) {
    const fields = fieldsOf(bytes.subarray(at, at + locatorBytes));
    if (fields.getUint32(0) !== 0) {
      locators.push({
        platform: String.fromCharCode(...bytes.subarray(at, at + 4)),
        lengthBytes: fields.getUint32(8),
        offsetBytes: readByteCount(fields, 16),
      });
    }
  }
  return locators;
}
