import { createHash } from 'node:crypto';
import {
  VhdDecoder,
  type VhdDecoderOptions,
  VhdError,
  type VhdHeaderPart,
  type VhdPart,
} from '../../lib/vhd';

/** What decoding a whole stream gave. */
export interface Restored {
  readonly header: VhdHeaderPart;
  readonly disk: Uint8Array;
  readonly blocks: readonly number[];
}

/** Decodes a stream and applies it on the content that the disk had before, as a receiver would. */
export function restore(
  chunks: Iterable<Uint8Array>,
  before: Uint8Array,
  options: VhdDecoderOptions = {},
): Restored {
  const parts = decodeAll(chunks, options);
  const disk = Uint8Array.from(before);
  for (const part of parts) {
    if (part.kind === 'data') {
      disk.set(part.data, part.offsetBytes);
    }
  }
  return { header: headerOf(parts), disk, blocks: blocksOf(parts) };
}

export function decodeAll(chunks: Iterable<Uint8Array>, options: VhdDecoderOptions = {}): VhdPart[] {
  const decoder = new VhdDecoder(options);
  const parts: VhdPart[] = [];
  for (const chunk of chunks) {
    parts.push(...decoder.push(chunk));
  }
  parts.push(...decoder.end());
  return parts;
}

export function headerOf(parts: readonly VhdPart[]): VhdHeaderPart {
  const header = parts.find((part) => part.kind === 'header');
  if (header === undefined) {
    throw new Error('The decoder gave no header');
  }
  return header;
}

export function blocksOf(parts: readonly VhdPart[]): number[] {
  return parts.filter((part) => part.kind === 'block').map((part) => part.index);
}

/** Runs something that must fail with a VhdError, and returns that. */
export function faultOf(work: () => unknown): VhdError {
  try {
    work();
  } catch (error) {
    if (error instanceof VhdError) {
      return error;
    }
    throw error;
  }
  throw new Error('Expected a VhdError, but nothing was thrown');
}

/** Cuts a stream into chunks of these lengths; the last length repeats. */
export function* cut(bytes: Uint8Array, ...lengths: number[]): Generator<Uint8Array> {
  let at = 0;
  for (let nth = 0; at < bytes.length; nth += 1) {
    const length = Math.max(1, lengths[Math.min(nth, lengths.length - 1)] ?? bytes.length);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) {
    all.push(piece);
  }
  return Buffer.concat(all);
}
