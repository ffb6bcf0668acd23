import { once } from 'node:events';
import { Readable } from 'node:stream';
import * as zlib from 'node:zlib';

import type { ByteSink } from './body-writer';
import { CopierError, type ByteSource } from './copier';

/** A sink that has an end of its own. */
export interface EndingSink extends ByteSink {
  end(): Promise<void>;
}

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const PIECE_BYTES = 256 * 1024;

/** `true` has always meant gzip. Null: as it is. */
export function compressedSink(inner: ByteSink, asked: string | null): EndingSink {
  if (asked === 'true' || asked === 'gzip') return new GzipSink(inner);
  if (asked === 'zstd') return new ZstdSink(inner);
  return { write: (bytes) => inner.write(bytes), end: () => Promise.resolve() };
}

class GzipSink implements EndingSink {
  readonly #gzip = zlib.createGzip({ level: 1 });
  readonly #emptied: Promise<void>;

  constructor(inner: ByteSink) {
    this.#emptied = this.#empty(inner);
    // Awaited by every write and by the end; until then it must not count as unhandled.
    this.#emptied.catch(() => undefined);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await Promise.race([this.#taken(bytes), this.#emptied]);
  }

  async end(): Promise<void> {
    this.#gzip.end();
    await this.#emptied;
  }

  #taken(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#gzip.write(bytes, () => resolve()));
  }

  async #empty(inner: ByteSink): Promise<void> {
    for await (const chunk of this.#gzip as AsyncIterable<Buffer>) await inner.write(chunk);
  }
}

/**
 * A zstd frame without compression, but with runs of one byte as such: Node 20 has no zstd, and every reader of the format reads
 * this too.
 */
class ZstdSink implements EndingSink {
  #begun = false;

  constructor(private readonly inner: ByteSink) {}

  async write(bytes: Uint8Array): Promise<void> {
    await this.#begin();
    for (let at = 0; at < bytes.byteLength; at += ZSTD_BLOCK_BYTES) {
      const block = bytes.subarray(at, at + ZSTD_BLOCK_BYTES);
      const first = block[0] ?? 0;
      const run = block.byteLength > 3 && block.every((byte) => byte === first);
      if (run) await this.inner.write(Buffer.concat([zstdBlock(1, block.byteLength), Buffer.from([first])]));
      else {
        await this.inner.write(zstdBlock(0, block.byteLength));
        await this.inner.write(block);
      }
    }
  }

  async end(): Promise<void> {
    await this.#begin();
    await this.inner.write(Buffer.from([1, 0, 0]));
  }

  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    // No content size, no checksum; a window of 128 KiB.
    await this.inner.write(Buffer.concat([ZSTD_MAGIC, Buffer.from([0x00, 0x38])]));
  }
}

const ZSTD_BLOCK_BYTES = 128 * 1024;

/** Type 0: bytes as they are; type 1: one byte, repeated. Never the last block: that is an empty one. */
function zstdBlock(type: 0 | 1, size: number): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE((size << 3) | (type << 1), 0, 3);
  return header;
}

/**
 * The archive behind a stream that may be compressed, told by its first bytes. Throws CopierError for zstd where this Node has
 * none (before 22.15).
 */
export async function uncompressedSource(source: ByteSource): Promise<ByteSource> {
  const first = Buffer.alloc(4);
  const count = await source.read(first);
  const whole = new PrefixedSource(first.subarray(0, count), source);
  if (first.subarray(0, 2).equals(GZIP_MAGIC))
    return new StreamSource(inputOf(whole).pipe(zlib.createGunzip()));
  if (first.equals(ZSTD_MAGIC)) {
    if (!('createZstdDecompress' in zlib))
      throw new CopierError('this Node cannot read zstd: 22.15 or later can');
    const create = zlib.createZstdDecompress as () => NodeJS.ReadWriteStream & Readable;
    return new StreamSource(inputOf(whole).pipe(create()));
  }
  return whole;
}

function inputOf(source: ByteSource): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const count = await source.read(piece);
      if (count > 0) yield piece.subarray(0, count);
      if (count < PIECE_BYTES) return;
    }
  }
  return Readable.from(pieces(), { objectMode: false });
}

class PrefixedSource implements ByteSource {
  constructor(
    private prefix: Buffer,
    private readonly rest: ByteSource,
  ) {}

  async read(target: Uint8Array): Promise<number> {
    const used = Math.min(this.prefix.length, target.byteLength);
    target.set(this.prefix.subarray(0, used));
    this.prefix = this.prefix.subarray(used);
    return used + (used < target.byteLength ? await this.rest.read(target.subarray(used)) : 0);
  }
}

/** Reads from a Node stream. A stream that breaks (a gzip that is none) reads as one that ends. */
class StreamSource implements ByteSource {
  #broken = false;

  constructor(private readonly stream: Readable) {
    stream.on('error', () => {
      this.#broken = true;
    });
    stream.pause();
  }

  async read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.byteLength && !this.#broken) {
      const wanted = Math.min(target.byteLength - filled, this.stream.readableLength);
      const chunk = wanted > 0 ? (this.stream.read(wanted) as Buffer | null) : null;
      if (chunk !== null) {
        target.set(chunk, filled);
        filled += chunk.length;
      } else if (this.stream.readableEnded || this.stream.destroyed) break;
      else await this.#more();
    }
    return filled;
  }

  async #more(): Promise<void> {
    const stop = new AbortController();
    this.stream.read(0);
    await Promise.race(
      ['readable', 'end', 'close'].map((name) => once(this.stream, name, { signal: stop.signal })),
    )
      .catch(() => undefined)
      .finally(() => stop.abort());
  }
}
