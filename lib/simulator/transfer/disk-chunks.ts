import type { Progress } from './copier';
import type { DiskSource } from './disk-source';
import type { ChunkSum, TarWriter } from './tar-writer';

export const CHUNK_BYTES = 1024 * 1024;
const ZERO_CHUNK = Buffer.alloc(CHUNK_BYTES);

/** A disk as tar members of 1 MiB. Chunks of zeros are left out, but the first and the last are always there. */
export async function writeChunks(
  source: DiskSource,
  prefix: string,
  tar: TarWriter,
  sum: ChunkSum,
  progress: Progress,
): Promise<void> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  const chunks = Math.ceil(source.sizeBytes / CHUNK_BYTES);
  for (let number = 0; number < chunks; number++) {
    const chunk = buffer.subarray(0, Math.min(CHUNK_BYTES, source.sizeBytes - number * CHUNK_BYTES));
    await source.readPart(number * CHUNK_BYTES, chunk);
    const needed =
      number === 0 || number === chunks - 1 || !chunk.equals(ZERO_CHUNK.subarray(0, chunk.length));
    if (needed) await tar.chunk(prefix, number, chunk, sum);
    progress((number + 1) / chunks);
  }
}
