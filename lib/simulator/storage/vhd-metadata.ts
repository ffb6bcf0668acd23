/**
 * Footer and header of VHD files, byte for byte. All numbers are big-endian; checksums are the ones' complement of the sum of
 * all bytes with the checksum field taken as zero.
 */
import { FOOTER_BYTES, HEADER_BYTES } from './layout';

export interface VhdFooter {
  readonly sizeBytes: number;
  readonly kind: 'fixed' | 'dynamic' | 'differencing';
  readonly uniqueId: Buffer;
  /** Seconds since 2000-01-01. */
  readonly timeStamp: number;
  /** Four characters. */
  readonly creator: string;
  readonly creatorVersion: number;
  readonly dataOffset: number;
  /** The storage manager's mark (byte 85) of a parent that is no disk of its own. */
  readonly hidden: boolean;
  /** Our mark (byte 86): the volume has its full size reserved, although it is not filled. */
  readonly inflated: boolean;
}

export interface VhdHeader {
  readonly tableOffset: number;
  readonly maxEntries: number;
  readonly blockBytes: number;
  readonly parentId: Buffer;
  readonly parentTimeStamp: number;
  readonly parentName: string;
  readonly locator: ParentLocator | null;
}

/** The first parent locator, of platform `MacX` (a UTF-8 file URL). `space` counts sectors, as the storage manager writes it. */
export interface ParentLocator {
  readonly space: number;
  readonly lengthBytes: number;
  readonly offset: number;
}

const KINDS = { fixed: 2, dynamic: 3, differencing: 4 } as const;
const VERSION = 0x00010000;
const NOWHERE = 0xffffffffffffffffn;
const SECONDS_FROM_1970_TO_2000 = 946684800;

export function vhdTime(unixMs: number): number {
  return Math.max(0, Math.floor(unixMs / 1000) - SECONDS_FROM_1970_TO_2000);
}

export function encodeFooter(footer: VhdFooter): Buffer {
  const bytes = Buffer.alloc(FOOTER_BYTES);
  bytes.write('conectix', 0, 'latin1');
  bytes.writeUInt32BE(2, 8);
  bytes.writeUInt32BE(VERSION, 12);
  bytes.writeBigUInt64BE(BigInt(footer.dataOffset), 16);
  bytes.writeUInt32BE(footer.timeStamp, 24);
  bytes.write(footer.creator, 28, 4, 'latin1');
  bytes.writeUInt32BE(footer.creatorVersion, 32);
  bytes.writeBigUInt64BE(BigInt(footer.sizeBytes), 40);
  bytes.writeBigUInt64BE(BigInt(footer.sizeBytes), 48);
  bytes.writeUInt32BE(geometry(footer.sizeBytes), 56);
  bytes.writeUInt32BE(KINDS[footer.kind], 60);
  footer.uniqueId.copy(bytes, 68, 0, 16);
  bytes.writeUInt8(footer.hidden ? 1 : 0, 85);
  bytes.writeUInt8(footer.inflated ? 1 : 0, 86);
  bytes.writeUInt32BE(checksum(bytes), 64);
  return bytes;
}

/** Null when cookie, version, kind or checksum are wrong; nothing else is looked at, as the server's reader does. */
export function decodeFooter(bytes: Buffer): VhdFooter | null {
  const kind = kindOf(bytes.readUInt32BE(60));
  const sound =
    bytes.toString('latin1', 0, 8) === 'conectix' &&
    bytes.readUInt32BE(12) === VERSION &&
    bytes.readUInt32BE(64) === checksum(bytes, 64);
  if (!sound || kind === null) return null;
  return {
    sizeBytes: Number(bytes.readBigUInt64BE(48)),
    kind,
    uniqueId: Buffer.from(bytes.subarray(68, 84)),
    timeStamp: bytes.readUInt32BE(24),
    creator: bytes.toString('latin1', 28, 32),
    creatorVersion: bytes.readUInt32BE(32),
    dataOffset: Number(bytes.readBigUInt64BE(16)),
    hidden: bytes.readUInt8(85) === 1,
    inflated: bytes.readUInt8(86) === 1,
  };
}

export function encodeHeader(header: VhdHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write('cxsparse', 0, 'latin1');
  bytes.writeBigUInt64BE(NOWHERE, 8);
  bytes.writeBigUInt64BE(BigInt(header.tableOffset), 16);
  bytes.writeUInt32BE(VERSION, 24);
  bytes.writeUInt32BE(header.maxEntries, 28);
  bytes.writeUInt32BE(header.blockBytes, 32);
  header.parentId.copy(bytes, 40, 0, 16);
  bytes.writeUInt32BE(header.parentTimeStamp, 56);
  Buffer.from(header.parentName, 'utf16le').swap16().copy(bytes, 64, 0, 512);
  if (header.locator !== null) {
    bytes.write('MacX', 576, 'latin1');
    bytes.writeUInt32BE(header.locator.space, 580);
    bytes.writeUInt32BE(header.locator.lengthBytes, 584);
    bytes.writeBigUInt64BE(BigInt(header.locator.offset), 592);
  }
  bytes.writeUInt32BE(checksum(bytes), 36);
  return bytes;
}

/** Null when cookie, data offset, version, checksum, block size or a locator's platform code are wrong. */
export function decodeHeader(bytes: Buffer): VhdHeader | null {
  const blockBytes = bytes.readUInt32BE(32);
  const sound =
    bytes.toString('latin1', 0, 8) === 'cxsparse' &&
    bytes.readBigUInt64BE(8) === NOWHERE &&
    bytes.readUInt32BE(24) === VERSION &&
    bytes.readUInt32BE(36) === checksum(bytes, 36) &&
    blockBytes >= 512 &&
    (blockBytes & (blockBytes - 1)) === 0 &&
    [0, 1, 2, 3, 4, 5, 6, 7].every((n) => PLATFORMS.has(bytes.readUInt32BE(576 + 24 * n)));
  if (!sound) return null;
  return {
    tableOffset: Number(bytes.readBigUInt64BE(16)),
    maxEntries: bytes.readUInt32BE(28),
    blockBytes,
    parentId: Buffer.from(bytes.subarray(40, 56)),
    parentTimeStamp: bytes.readUInt32BE(56),
    parentName: Buffer.from(bytes.subarray(64, 576)).swap16().toString('utf16le').replace(/\0+$/, ''),
    locator:
      bytes.readUInt32BE(576) === 0
        ? null
        : {
            space: bytes.readUInt32BE(580),
            lengthBytes: bytes.readUInt32BE(584),
            offset: Number(bytes.readBigUInt64BE(592)),
          },
  };
}

/** none, Wi2r, Wi2k, W2ru, W2ku, `Mac `, MacX */
const PLATFORMS = new Set([0, 0x57693272, 0x5769326b, 0x57327275, 0x57326b75, 0x4d616320, 0x4d616358]);

function kindOf(code: number): VhdFooter['kind'] | null {
  return code === 2 ? 'fixed' : code === 3 ? 'dynamic' : code === 4 ? 'differencing' : null;
}

function checksum(bytes: Buffer, skipAt = -1): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index++) {
    if (index < skipAt || index >= skipAt + 4 || skipAt < 0) sum += bytes[index] ?? 0;
  }
  return ~sum >>> 0;
}

/** Cylinders (16 bits), heads, sectors per track by the formula of the VHD specification. */
function geometry(sizeBytes: number): number {
  const total = Math.min(Math.floor(sizeBytes / 512), 65535 * 16 * 255);
  let sectors = 17;
  let heads: number;
  let perHead: number;
  if (total >= 65535 * 16 * 63) {
    sectors = 255;
    heads = 16;
    perHead = Math.floor(total / sectors);
  } else {
    perHead = Math.floor(total / sectors);
    heads = Math.max(4, Math.floor((perHead + 1023) / 1024));
    if (perHead >= heads * 1024 || heads > 16) {
      sectors = 31;
      heads = 16;
      perHead = Math.floor(total / sectors);
    }
    if (perHead >= heads * 1024) {
      sectors = 63;
      heads = 16;
      perHead = Math.floor(total / sectors);
    }
  }
  return ((Math.floor(perHead / heads) << 16) | (heads << 8) | sectors) >>> 0;
}
