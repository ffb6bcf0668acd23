import { VhdError } from './errors';
import {
  asciiText,
  checksum,
  fieldsOf,
  readByteCount,
  readUniqueId,
  verify,
  writeAscii,
  writeUniqueId,
} from './fields';
import { type Geometry, geometry, sectorBytes, sizeBytesMax } from './geometry';

export const footerBytes = 512;
export const footerCookie = 'conectix';
export const formatVersion = 0x0001_0000;

export type DiskType = 'fixed' | 'dynamic' | 'differencing';

/** The structure that ends every VHD and, but for fixed disks, also starts it. */
export interface Footer {
  readonly diskType: DiskType;
  /** The disk's size (the field "current size": the geometry is often smaller and never asked). */
  readonly sizeBytes: number;
  readonly originalSizeBytes: number;
  readonly geometry: Geometry;
  /** Where the header stands; null for fixed disks, which have none. */
  readonly headerOffsetBytes: number | null;
  /** uuid notation. An export draws a new one each time. */
  readonly uniqueId: string;
  /** Seconds since 2000-01-01 UTC; exports write 0. */
  readonly timeStampSeconds: number;
  /** Four characters. Some readers choose by it whether to believe the size or the geometry. */
  readonly creator: string;
}

const structure = { name: 'footer', cookie: footerCookie, checksumAt: 64 } as const;
const typeNumbers: Readonly<Record<DiskType, number>> = { fixed: 2, dynamic: 3, differencing: 4 };
const noOffset = 0xffff_ffff_ffff_ffffn;

/**
 * Reads 512 bytes as a footer.
 *
 * @param offsetBytes where they stand in the stream, for messages
 * @throws VhdError on a wrong cookie, checksum, version, type or size
 */
export function parseFooter(bytes: Uint8Array, offsetBytes = 0): Footer {
  verify(bytes, structure, offsetBytes);
  const fields = fieldsOf(bytes);
  refuseVersion(fields.getUint32(12), offsetBytes);
  const diskType = readType(fields.getUint32(60), offsetBytes);
  return {
    diskType,
    sizeBytes: readSize(fields, offsetBytes),
    originalSizeBytes: readByteCount(fields, 40),
    geometry: {
      cylinders: fields.getUint16(56),
      heads: fields.getUint8(58),
      sectorsPerTrack: fields.getUint8(59),
    },
    headerOffsetBytes: diskType === 'fixed' ? null : readByteCount(fields, 16),
    uniqueId: readUniqueId(bytes.subarray(68)),
    timeStampSeconds: fields.getUint32(24),
    creator: asciiText(bytes.subarray(28, 32)),
  };
}

/** What a new footer says; the rest follows from it. */
export interface FooterInput {
  readonly diskType: DiskType;
  readonly sizeBytes: number;
  readonly uniqueId: string;
  readonly headerOffsetBytes: number | null;
  readonly timeStampSeconds?: number;
  readonly creator?: string;
}

/**
 * Builds the 512 bytes of a footer, with the checksum and the geometry that belong to it.
 *
 * @throws VhdError `bad-size` or `bad-input`
 */
export function buildFooter(input: FooterInput): Uint8Array {
  refuseSize(input.sizeBytes, 0);
  const creator = input.creator ?? 'xrpl';
  if (!/^[\x00-\x7f]{4}$/.test(creator)) {
    throw new VhdError('bad-input', 0, `Cannot write the VHD creator "${creator}": expected 4 characters`);
  }
  const bytes = new Uint8Array(footerBytes);
  const fields = fieldsOf(bytes);
  writeAscii(bytes, 0, footerCookie);
  fields.setUint32(8, 2); // a reserved feature bit that has to be set
  fields.setUint32(12, formatVersion);
  fields.setBigUint64(16, input.headerOffsetBytes === null ? noOffset : BigInt(input.headerOffsetBytes));
  fields.setUint32(24, input.timeStampSeconds ?? 0);
  writeAscii(bytes, 28, creator);
  fields.setUint32(32, 1);
  fields.setBigUint64(40, BigInt(input.sizeBytes));
  fields.setBigUint64(48, BigInt(input.sizeBytes));
  writeGeometry(fields, geometry(input.sizeBytes));
  fields.setUint32(60, typeNumbers[input.diskType]);
  writeUniqueId(bytes, 68, input.uniqueId);
  fields.setUint32(64, checksum(bytes, 64));
  return bytes;
}

/** Refuses the version of a footer or header that follows other rules than ours. */
export function refuseVersion(version: number, offsetBytes: number): void {
  if (version !== formatVersion) {
    throw new VhdError(
      'bad-version',
      offsetBytes,
      `Cannot read VHD version 0x${version.toString(16)} at byte ${offsetBytes}: only 1.0 (0x10000) is known`,
    );
  }
}

/** Refuses disk sizes that the format cannot hold, or that end within a sector. */
export function refuseSize(sizeBytes: number, offsetBytes: number): void {
  if (!(sizeBytes >= 0 && sizeBytes <= sizeBytesMax)) {
    throw new VhdError(
      'bad-size',
      offsetBytes,
      `A VHD of ${sizeBytes} bytes is not possible: the format ends at 2040 GiB (${sizeBytesMax} bytes)`,
    );
  }
  if (sizeBytes % sectorBytes !== 0) {
    throw new VhdError(
      'bad-size',
      offsetBytes,
      `A VHD of ${sizeBytes} bytes is not possible: disks end with a whole sector of 512 bytes`,
    );
  }
}

function readSize(fields: DataView, offsetBytes: number): number {
  const sizeBytes = readByteCount(fields, 48);
  refuseSize(sizeBytes, offsetBytes);
  return sizeBytes;
}

function readType(number: number, offsetBytes: number): DiskType {
  for (const diskType of ['fixed', 'dynamic', 'differencing'] as const) {
    if (typeNumbers[diskType] === number) {
      return diskType;
    }
  }
  throw new VhdError(
    'unsupported',
    offsetBytes,
    `Cannot read a VHD of disk type ${number}: known are 2 (fixed), 3 (dynamic) and 4 (differencing)`,
  );
}

function writeGeometry(fields: DataView, { cylinders, heads, sectorsPerTrack }: Geometry): void {
  fields.setUint16(56, cylinders);
  fields.setUint8(58, heads);
  fields.setUint8(59, sectorsPerTrack);
}
