import { createHash } from 'node:crypto';

import type { ByteSink } from './body-writer';
import { xxh64 } from './xxh64';

export const TAR_RECORD_BYTES = 512;

/** Which sum stands beside each chunk: `xxhash` on today's hosts, `checksum` (SHA-1) on older ones. */
export type ChunkSum = 'xxhash' | 'checksum';

/** The tar of a VM or disk export: old-style headers, mode 0400, owner 0. */
export class TarWriter {
  constructor(private readonly sink: ByteSink) {}

  async member(name: string, data: Uint8Array, modifiedSeconds = 0): Promise<void> {
    const padding = -data.byteLength & (TAR_RECORD_BYTES - 1);
    await this.sink.write(tarHeader(name, data.byteLength, modifiedSeconds));
    await this.sink.write(data);
    if (padding > 0) await this.sink.write(Buffer.alloc(padding));
  }

  /** A chunk of a disk and the member with its sum. */
  async chunk(prefix: string, number: number, data: Uint8Array, sum: ChunkSum): Promise<void> {
    const name = `${prefix}/${String(number).padStart(8, '0')}`;
    await this.member(name, data);
    await this.member(`${name}.${sum}`, Buffer.from(chunkSum(data, sum), 'latin1'));
  }

  /** Two empty records. */
  end(): Promise<void> {
    return this.sink.write(Buffer.alloc(2 * TAR_RECORD_BYTES));
  }
}

/** The text of a sum member: 16 upper-case hex digits of XXH64 with seed 0, or 40 lower-case ones of SHA-1. */
export function chunkSum(data: Uint8Array, sum: ChunkSum): string {
  if (sum === 'checksum') return createHash('sha1').update(data).digest('hex');
  return xxh64(data).toUpperCase();
}

function tarHeader(name: string, size: number, modifiedSeconds: number): Buffer {
  const header = Buffer.alloc(TAR_RECORD_BYTES);
  const octal = (value: number, at: number, digits: number): void => {
    header.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  };
  header.write(name, 0, 100, 'latin1');
  octal(0o400, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(modifiedSeconds, 136, 11);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  octal(sum, 148, 7);
  header[155] = 0;
  return header;
}
