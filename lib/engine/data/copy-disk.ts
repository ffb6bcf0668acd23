/** One disk from reader to writer, in one visible pipe. */
import { ReplicationError } from '../errors';
import { ContentDigest } from './digest';
import type { DiskReader, Extent } from './extent';
import { changedParts } from './grain-index';
import type { GrainIndex } from './grain-index';
import { fillGaps, gather, PieceBuffers, withoutZeros } from './grains';
import type { SegmentWriter } from './write-segments';

/** Where zeros may be left out: a new disk known to read as zeros; nowhere else may anything be assumed. */
export type Zeros = 'leave-out' | 'send' | 'send-and-fill-gaps';

/** What an earlier run of the same copy left: proved to be the same before anything is appended. */
export interface ResumePoint {
  /** Everything below was confirmed by its task. */
  readonly confirmedBytes: number;
  /** Everything from here on was never offered to the server. */
  readonly offeredBytes: number;
  /** Digest of the content below `confirmedBytes`. */
  readonly digest: string;
}

export interface ResumeFrom extends ResumePoint {
  /** The reader begins at 0, and what it says is held against the digest; else it begins at `confirmedBytes`. */
  readonly readsAgain: boolean;
}

export interface CopyOptions {
  readonly zeros: Zeros;
  readonly resume: ResumeFrom | null;
  readonly signal: AbortSignal;
  readonly onProgress: (bytesRead: number, bytesSent: number) => void;
  /** Leaves out what the base is known to hold already; never where a copy is resumed. */
  readonly grains?: GrainIndex | null;
  /** Waits until so many bytes may be moved. */
  readonly pace?: (bytes: number) => Promise<void>;
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
 *
 * @throws ReplicationError `resume-mismatch` where the source does not begin as the interrupted copy did.
 */
export async function copyDisk(
  reader: DiskReader,
  writer: SegmentWriter,
  options: CopyOptions,
): Promise<CopyResult> {
  const { zeros, resume } = options;
  const goesOn = resume?.readsAgain === false ? resume : null;
  const digest = new ContentDigest(zeros === 'leave-out', goesOn?.digest ?? null);
  const extents = reader.extents();
  const startBytes = goesOn?.confirmedBytes ?? 0;
  const whole = zeros === 'send-and-fill-gaps' ? fillGaps(extents, reader.sizeBytes, startBytes) : extents;
  const buffers = new PieceBuffers((sentBytes) => writer.bytesWritten >= sentBytes);
  try {
    await drain(gather(whole, buffers), buffers, digest, reader, writer, options);
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
  buffers: PieceBuffers,
  digest: ContentDigest,
  reader: DiskReader,
  writer: SegmentWriter,
  options: CopyOptions,
): Promise<void> {
  const { resume, signal } = options;
  let proved = resume?.readsAgain !== true;
  for await (const piece of pieces) {
    signal.throwIfAborted();
    if (!proved && resume !== null && piece.offsetBytes >= resume.confirmedBytes) {
      prove(digest, resume);
      proved = true;
    }
    await options.pace?.(piece.data.length);
    const digests = digest.update(piece);
    const endBytes = piece.offsetBytes + piece.data.length;
    if (resume === null || endBytes > resume.confirmedBytes) {
      for (const part of partsToSend(piece, digests, options)) await writer.write(part);
      await writer.endOfPiece(endBytes, () => digest.value());
    }
    buffers.giveBack(piece, writer.bytesSent);
    options.onProgress(reader.bytesRead, writer.bytesSent);
  }
  if (!proved && resume !== null) prove(digest, resume);
}

/** A frame cut short is filled up with stale bytes: what was offered but not confirmed is sent whole, zeros too. */
function partsToSend(
  piece: Extent,
  digests: readonly (Buffer | null)[],
  { zeros, resume, grains = null }: CopyOptions,
): Iterable<Extent> {
  const perhapsStale = resume !== null && piece.offsetBytes < resume.offeredBytes;
  if (resume !== null || grains === null)
    return zeros === 'leave-out' && !perhapsStale ? withoutZeros(piece) : [piece];
  const changed = [...changedParts(piece, digests, grains)];
  return zeros === 'leave-out' ? changed.flatMap((part) => [...withoutZeros(part)]) : changed;
}

/** The content read again up to the confirmed offset must be what the interrupted run read. */
function prove(digest: ContentDigest, resume: ResumePoint): void {
  const found = digest.value();
  if (found === resume.digest) return;
  throw new ReplicationError(
    'resume-mismatch',
    `Cannot resume: the first ${String(resume.confirmedBytes)} bytes of the source have digest ${found}, ` +
      `the interrupted copy had ${resume.digest}`,
    { retry: 'now', hint: 'nothing to do: the copy starts again from its beginning' },
  );
}
