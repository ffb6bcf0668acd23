/** One disk from reader to writer, in one visible pipe. */
import { ContentDigest } from './digest';
import type { DiskReader, Extent } from './extent';
import { elideZeros, gather } from './grains';
import type { SegmentWriter } from './write-segments';

export interface CopyOptions {
  /** Leave out zeros: only for a never-written disk that reads as zeros. */
  readonly elideZeros: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (bytesRead: number, bytesSent: number) => void;
}

export interface CopyResult {
  readonly digest: string;
  readonly changedBytes: number;
  readonly bytesRead: number;
  readonly bytesSent: number;
}

/**
 * Copies everything the reader yields. Resolves only after both sides gave their verdict: the export's task
 * and footer, and the task of every segment. On any failure both transfers are closed.
 */
export async function copyDisk(
  reader: DiskReader,
  writer: SegmentWriter,
  options: CopyOptions,
): Promise<CopyResult> {
  const digest = new ContentDigest();
  const gathered = gather(reader.extents());
  const pieces = digest.through(options.elideZeros ? elideZeros(gathered) : gathered);
  try {
    await drain(pieces, reader, writer, options);
    await reader.finish();
    await writer.finish();
  } catch (error) {
    await Promise.all([reader.abort(), writer.abort()]);
    throw error;
  }
  options.onProgress(reader.bytesRead, writer.bytesSent);
  return {
    digest: digest.value(),
    changedBytes: reader.changedBytes,
    bytesRead: reader.bytesRead,
    bytesSent: writer.bytesSent,
  };
}

async function drain(
  pieces: AsyncIterable<Extent>,
  reader: DiskReader,
  writer: SegmentWriter,
  options: CopyOptions,
): Promise<void> {
  for await (const piece of pieces) {
    options.signal.throwIfAborted();
    await writer.write(piece);
    options.onProgress(reader.bytesRead, writer.bytesSent);
  }
}
