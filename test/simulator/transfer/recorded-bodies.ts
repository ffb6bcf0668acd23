import { pattern } from '../storage/open-store';
import { frame } from './client';

/** A small program that makes bytes, as the recorded scenarios have them. */
export type BodyProgram =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'hex'; readonly hex: string }
  | { readonly kind: 'fill'; readonly byte?: number; readonly length: number }
  | { readonly kind: 'pattern'; readonly tag: string; readonly first?: number; readonly count: number }
  | { readonly kind: 'concat'; readonly parts: readonly BodyProgram[] }
  | {
      readonly kind: 'frame';
      readonly offset: number;
      readonly length?: number;
      readonly data?: BodyProgram | null;
    }
  | { readonly kind: 'cut'; readonly of: BodyProgram; readonly from?: number; readonly to?: number }
  | { readonly kind: 'patch'; readonly of: BodyProgram; readonly at: number; readonly hex: string }
  | { readonly kind: 'httpchunks'; readonly of: BodyProgram; readonly size?: number }
  | VhdProgram;

interface VhdProgram {
  readonly kind: 'vhd';
  readonly size: number;
  readonly type?: number;
  readonly table?: number;
  readonly blocks: readonly {
    readonly index: number;
    readonly bits?: 'full' | readonly (readonly [number, number])[];
    readonly data: BodyProgram;
  }[];
}

const BLOCK = 2 * 1024 * 1024;

export function bytesOf(program: BodyProgram | null): Buffer {
  if (program === null) return Buffer.alloc(0);
  switch (program.kind) {
    case 'text':
      return Buffer.from(program.text, 'utf8');
    case 'hex':
      return Buffer.from(program.hex, 'hex');
    case 'fill':
      return Buffer.alloc(program.length, program.byte ?? 0);
    case 'pattern':
      return pattern(program.tag, program.first ?? 0, program.count);
    case 'concat':
      return Buffer.concat(program.parts.map(bytesOf));
    case 'frame':
      return frame(
        program.offset,
        bytesOf(program.data ?? null),
        program.length ?? bytesOf(program.data ?? null).length,
      );
    case 'cut':
      return bytesOf(program.of).subarray(program.from ?? 0, program.to);
    case 'patch':
      return patched(bytesOf(program.of), program.at, Buffer.from(program.hex, 'hex'));
    case 'httpchunks':
      return httpChunks(bytesOf(program.of), program.size ?? 65536);
    case 'vhd':
      return vhd(program);
  }
}

function patched(bytes: Buffer, at: number, patch: Buffer): Buffer {
  patch.copy(bytes, at >= 0 ? at : bytes.length + at);
  return bytes;
}

function httpChunks(bytes: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** Footer, header, table at `table`, blocks in the order listed, footer: written down by hand, not with the code under test. */
function vhd(program: VhdProgram): Buffer {
  const table = program.table ?? 2048;
  const entries = Math.ceil(program.size / BLOCK);
  const tableLength = Math.ceil((entries * 4) / 512) * 512;
  const foot = footer(program.size, program.type ?? 3);
  const lead = Buffer.alloc(table + tableLength);
  foot.copy(lead, 0);
  header(table, entries, program.type === 4).copy(lead, 512);
  lead.fill(0xff, table);
  const parts: Buffer[] = [lead];
  let position = lead.length;
  for (const block of program.blocks) {
    if (block.index < entries) lead.writeUInt32BE(position / 512, table + block.index * 4);
    const data = Buffer.alloc(BLOCK);
    bytesOf(block.data).copy(data);
    parts.push(bitmap(block.bits ?? 'full'), data);
    position += 512 + BLOCK;
  }
  return Buffer.concat([...parts, foot]);
}

function bitmap(bits: 'full' | readonly (readonly [number, number])[]): Buffer {
  const map = Buffer.alloc(512, bits === 'full' ? 0xff : 0);
  if (bits === 'full') return map;
  for (const [first, count] of bits) {
    for (let bit = first; bit < first + count; bit++)
      map[bit >> 3] = (map[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  return map;
}

function footer(size: number, kind: number): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write('conectix');
  bytes.writeUInt32BE(2, 8);
  bytes.writeUInt32BE(0x10000, 12);
  bytes.writeBigUInt64BE(512n, 16);
  bytes.write('vect', 28);
  bytes.writeUInt32BE(1, 32);
  bytes.writeBigUInt64BE(BigInt(size), 40);
  bytes.writeBigUInt64BE(BigInt(size), 48);
  bytes.writeUInt32BE(kind, 60);
  bytes.fill(0x11, 68, 84);
  return summed(bytes, 64);
}

function header(table: number, entries: number, differencing: boolean): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.write('cxsparse');
  bytes.fill(0xff, 8, 16);
  bytes.writeBigUInt64BE(BigInt(table), 16);
  bytes.writeUInt32BE(0x10000, 24);
  bytes.writeUInt32BE(entries, 28);
  bytes.writeUInt32BE(BLOCK, 32);
  bytes.fill(differencing ? 0x22 : 0, 40, 56);
  return summed(bytes, 36);
}

function summed(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt32BE(~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0, at);
  return bytes;
}
