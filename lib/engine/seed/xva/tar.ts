/** The members of a tar archive, one after the other, from a stream. */
import { seedFileError } from '../errors';
import type { ByteReader } from './bytes';

const blockBytes = 512;

export interface TarMember {
  readonly name: string;
  readonly sizeBytes: number;
}

export class TarReader {
  readonly #bytes: ByteReader;
  #dataLeft = 0;
  #paddingLeft = 0;

  constructor(bytes: ByteReader) {
    this.#bytes = bytes;
  }

  /** The next member, or null at the end of the archive; what was not read of the one before is passed over. */
  async next(): Promise<TarMember | null> {
    await this.#bytes.skip(this.#dataLeft + this.#paddingLeft);
    this.#dataLeft = 0;
    this.#paddingLeft = 0;
    const header = await this.#bytes.read(blockBytes);
    // Two blocks of zeros end an archive; one says as much.
    if (header.every((byte) => byte === 0)) return null;
    const member = parseHeader(header, this.#bytes.positionBytes - blockBytes);
    this.#dataLeft = member.sizeBytes;
    this.#paddingLeft = (blockBytes - (member.sizeBytes % blockBytes)) % blockBytes;
    return member;
  }

  /** The whole content of the member that `next` gave. */
  async data(member: TarMember, mostBytes: number): Promise<Buffer> {
    if (member.sizeBytes > mostBytes) {
      throw seedFileError(
        `The archive's member "${member.name}" has ${String(member.sizeBytes)} bytes, at most ${String(mostBytes)} make sense`,
        'this is no archive of a VM as XenServer writes it',
      );
    }
    const data = await this.#bytes.read(member.sizeBytes);
    this.#dataLeft = 0;
    return data;
  }
}

function parseHeader(header: Buffer, atBytes: number): TarMember {
  const told = octal(header, 148, 8);
  let sum = 0;
  for (let index = 0; index < blockBytes; index += 1) {
    // The field of the sum itself counts as blanks.
    sum += index >= 148 && index < 156 ? 32 : (header[index] ?? 0);
  }
  if (told !== sum) {
    throw seedFileError(
      `At byte ${String(atBytes)} there is no header of a tar archive`,
      'the file is damaged, or it is no XVA: export or copy it again',
    );
  }
  return { name: text(header, 0, 100), sizeBytes: size(header) };
}

/** Octal text; beyond 8 GiB GNU's form, a number of which the first bit is set. */
function size(header: Buffer): number {
  if (((header[124] ?? 0) & 0x80) === 0) return octal(header, 124, 12);
  return Number(header.readBigUInt64BE(128));
}

function octal(header: Buffer, start: number, length: number): number {
  const digits = text(header, start, length).trim();
  return /^[0-7]+$/.test(digits) ? parseInt(digits, 8) : Number.NaN;
}

function text(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? length : end);
}
