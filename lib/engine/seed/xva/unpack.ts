/** The archive behind a stream that may be compressed: told by its first bytes, as its name may say anything. */
import { Decompress } from 'fzstd';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { seedFileError } from '../errors';

const gzipMagic = Buffer.from([0x1f, 0x8b]);
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** A few bytes of zstd may stand for many of zeros, so it is fed little at a time. */
const zstdPieceBytes = 16 * 1024;
const zstdOutputBytesMax = 256 * 1024 * 1024;

export async function* unpacked(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  let first: Uint8Array = Buffer.alloc(0);
  while (first.length < zstdMagic.length) {
    const next = await pieces.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  const whole = joined(first, pieces);
  const head = Buffer.from(first.subarray(0, 4));
  if (head.subarray(0, 2).equals(gzipMagic)) yield* through(whole, zlib.createGunzip());
  else if (head.equals(zstdMagic)) yield* unpackedZstd(whole);
  else yield* whole;
}

async function* joined(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (first.length > 0) yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* through(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncGenerator<Uint8Array> {
  const stop = new AbortController();
  const feeding = pipeline(Readable.from(kept(source), { objectMode: false }), transform, {
    signal: stop.signal,
  });
  // Looked at below; until then it must not count as unhandled.
  feeding.catch(() => undefined);
  try {
    for await (const piece of transform as AsyncIterable<Buffer>) yield piece;
    await feeding;
  } catch (error) {
    throw isOurs(error) ? error : damaged(error);
  } finally {
    stop.abort();
  }
}

/** A stream holds pieces in its buffers for as long as it likes; those of a transfer are only there until the next one. */
async function* kept(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of source) yield Buffer.from(piece);
}

async function* unpackedZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // Node has it from 22.15 on.
  const native = (zlib as { readonly createZstdDecompress?: () => Transform }).createZstdDecompress;
  if (native !== undefined) {
    yield* through(source, native());
    return;
  }
  let output: Uint8Array[] = [];
  let outputBytes = 0;
  const decompress = new Decompress((piece) => {
    output.push(piece);
    outputBytes += piece.length;
    if (outputBytes > zstdOutputBytesMax) throw new RangeError('a small piece stands for an endless one');
  });
  const push = (piece: Uint8Array, last: boolean): readonly Uint8Array[] => {
    output = [];
    outputBytes = 0;
    try {
      decompress.push(piece, last);
    } catch (error) {
      throw damaged(error);
    }
    return output;
  };
  for await (const piece of source) {
    for (let at = 0; at < piece.length; at += zstdPieceBytes) {
      yield* push(piece.subarray(at, at + zstdPieceBytes), false);
    }
  }
  yield* push(new Uint8Array(0), true);
}

function isOurs(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'retry' in error;
}

function damaged(cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return seedFileError(
    `The archive cannot be unpacked: ${reason}`,
    'it is damaged or was cut short: export or copy it again',
    cause,
  );
}
