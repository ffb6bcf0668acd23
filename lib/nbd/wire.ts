/** The bytes of the NBD protocol that XAPI's server knows (its `doc/proto.md` is the specification). */

export const greetingBytes = 18;
export const optionReplyBytes = 20;
/** Size, flags, and 124 zeros, which only a client that asked for it may be spared. */
export const exportHeadBytes = 8 + 2 + 124;
export const readReplyBytes = 16;

export const option = { exportName: 1, startTls: 5 } as const;
export const optionReply = { ack: 1, policy: 0x80000002 } as const;

const greetingMagic = Buffer.from('NBDMAGICIHAVEOPT', 'latin1');
const optionMagic = Buffer.from('IHAVEOPT', 'latin1');
const optionReplyMagic = 0x0003e889045565a9n;
const requestMagic = 0x25609513;
const replyMagic = 0x67446698;
const fixedNewstyle = 1;
const hasFlags = 1;
const command = { read: 0, disconnect: 2 } as const;

/** What is wrong with a greeting, or null where it is that of a fixed newstyle server. */
export function wrongGreeting(greeting: Buffer): string | null {
  if (!greeting.subarray(0, 16).equals(greetingMagic)) return 'its greeting is not that of NBD (newstyle)';
  return (greeting.readUInt16BE(16) & fixedNewstyle) === 0 ? 'it does not speak fixed newstyle' : null;
}

/** Without NO_ZEROES: XAPI's server does not know it, and 124 bytes are nothing. */
export function clientFlags(): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(fixedNewstyle);
  return bytes;
}

export function encodeOption(code: number, data = ''): Buffer {
  const head = Buffer.alloc(16);
  optionMagic.copy(head);
  head.writeUInt32BE(code, 8);
  head.writeUInt32BE(Buffer.byteLength(data), 12);
  return Buffer.concat([head, Buffer.from(data)]);
}

export interface OptionReply {
  readonly type: number;
  readonly lengthBytes: number;
}

/** Null where it is no reply to the option that was sent. */
export function decodeOptionReply(bytes: Buffer, to: number): OptionReply | null {
  if (bytes.readBigUInt64BE(0) !== optionReplyMagic || bytes.readUInt32BE(8) !== to) return null;
  return { type: bytes.readUInt32BE(12), lengthBytes: bytes.readUInt32BE(16) };
}

/** Size of the export, or what is wrong with its head. */
export function decodeExportHead(head: Buffer): number | string {
  const sizeBytes = Number(head.readBigUInt64BE(0));
  if (!Number.isSafeInteger(sizeBytes)) return 'it claims an impossible size';
  if ((head.readUInt16BE(8) & hasFlags) === 0) return 'its flags are none';
  return head.subarray(10).some((byte) => byte !== 0) ? 'the padding of its export is not zero' : sizeBytes;
}

export function encodeRead(handle: bigint, offsetBytes: number, lengthBytes: number): Buffer {
  return encodeRequest(command.read, handle, offsetBytes, lengthBytes);
}

export function encodeDisconnect(): Buffer {
  return encodeRequest(command.disconnect, 0n, 0, 0);
}

function encodeRequest(type: number, handle: bigint, offsetBytes: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(requestMagic, 0);
  bytes.writeUInt16BE(type, 6);
  bytes.writeBigUInt64BE(handle, 8);
  bytes.writeBigUInt64BE(BigInt(offsetBytes), 16);
  bytes.writeUInt32BE(lengthBytes, 24);
  return bytes;
}

export interface ReadReply {
  readonly errno: number;
  readonly handle: bigint;
}

/** Null where it is no simple reply. */
export function decodeReadReply(bytes: Buffer): ReadReply | null {
  if (bytes.readUInt32BE(0) !== replyMagic) return null;
  return { errno: bytes.readUInt32BE(4), handle: bytes.readBigUInt64BE(8) };
}
