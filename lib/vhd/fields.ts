import { VhdError } from './errors';

/** A footer or header as fields: all numbers of the format are big-endian. */
export function fieldsOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One's complement of the sum of all bytes, the four bytes of the checksum itself counted as zero. */
export function checksum(bytes: Uint8Array, checksumAt: number): number {
  let sum = 0;
  for (const byte of bytes) {
    sum += byte;
  }
  for (const byte of bytes.subarray(checksumAt, checksumAt + 4)) {
    sum -= byte;
  }
  return ~sum >>> 0;
}

/**
 * Refuses a structure whose cookie or checksum is wrong. Nothing else of it may be looked at before: any number
 * read from bytes that are not a VHD could ask for gigabytes of memory.
 */
export function verify(
  bytes: Uint8Array,
  structure: { readonly name: string; readonly cookie: string; readonly checksumAt: number },
  offsetBytes: number,
): void {
  if (!hasText(bytes, structure.cookie)) {
    throw new VhdError(
      'bad-cookie',
      offsetBytes,
      `Not a VHD ${structure.name} at byte ${offsetBytes}: expected "${structure.cookie}", found ${quoted(bytes.subarray(0, 8))}`,
    );
  }
  const stored = fieldsOf(bytes).getUint32(structure.checksumAt);
  const computed = checksum(bytes, structure.checksumAt);
  if (stored !== computed) {
    throw new VhdError(
      'bad-checksum',
      offsetBytes,
      `Damaged VHD ${structure.name} at byte ${offsetBytes}: its checksum is ${hex(stored)}, its bytes give ${hex(computed)}`,
    );
  }
}

/** Whether the bytes start with this ASCII text. */
export function hasText(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && asciiText(bytes.subarray(0, text.length)) === text;
}

/** Bytes as text, one character each. */
export function asciiText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

export function writeAscii(target: Uint8Array, atBytes: number, text: string): void {
  for (let i = 0; i < text.length; i += 1) {
    target[atBytes + i] = text.charCodeAt(i);
  }
}

/** A 64-bit number that counts bytes. Infinity where it is beyond what a number holds exactly: every bound refuses it. */
export function readByteCount(fields: DataView, atBytes: number): number {
  const value = fields.getBigUint64(atBytes);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(value);
}

/** 16 bytes in the notation of uuids, lower case. */
export function readUniqueId(bytes: Uint8Array): string {
  const digits = Array.from(bytes.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Writes a uuid as its 16 bytes. Throws `bad-input` where the text is no uuid. */
export function writeUniqueId(target: Uint8Array, atBytes: number, uniqueId: string): void {
  const digits = uniqueId.replaceAll('-', '');
  if (!/^[0-9a-f]{32}$/i.test(digits)) {
    throw new VhdError('bad-input', 0, `Cannot write the VHD id "${uniqueId}": expected a uuid`);
  }
  for (let i = 0; i < 16; i += 1) {
    target[atBytes + i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

/** Bytes of a foreign file in a message: only what a terminal can show. */
function quoted(bytes: Uint8Array): string {
  return `"${asciiText(bytes).replace(/[^\x20-\x7e]/g, '.')}"`;
}
