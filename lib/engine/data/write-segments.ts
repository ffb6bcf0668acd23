/**
 * Writes pieces of a disk at their offsets, by raw chunked imports of bounded length.
 *
 * One endless import would die after a day without progress, and an interruption would lose all of it. A
 * segment counts only when this process wrote its terminator and then saw its task succeed.
 */
import type { CallOptions, DiskImport, ImportRequest, Pool } from '../../xapi';
import type { Clock } from '../context';
import type { Extent } from './extent';

export interface SegmentLimits {
  readonly bytesMax: number;
  readonly durationMaxMs: number;
}

export const segmentLimits: SegmentLimits = { bytesMax: 8 * 1024 ** 3, durationMaxMs: 10 * 60_000 };

export interface SegmentWriterOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly limits: SegmentLimits;
  /** Called before each upload: no other upload may still be alive on this disk. */
  readonly assertQuiet: () => Promise<void>;
  readonly onSegment: (segment: number, bytesSent: number) => void;
  readonly checkpoints: Checkpoints;
}

/** Remembers, on the disk itself, how far it is known to be right. */
export interface Checkpoints {
  /** Everything below `endBytes` was confirmed; `digest` is that of the content below it. */
  confirmed(endBytes: number, digest: string): Promise<void>;
  /** Called before bytes up to `endBytes` are offered to the server. */
  offering(endBytes: number): Promise<void>;
}

export class SegmentWriter {
  readonly #pool: Pool;
  readonly #request: ImportRequest;
  readonly #options: SegmentWriterOptions;
  #open: { readonly transfer: DiskImport; readonly startedMs: number } | null = null;
  #segments = 0;
  #confirmedBytes = 0;

  constructor(pool: Pool, request: ImportRequest, options: SegmentWriterOptions) {
    this.#pool = pool;
    this.#request = request;
    this.#options = options;
  }

  /** Bytes sent over the wire, frame headers included, confirmed or not. */
  get bytesSent(): number {
    return this.#confirmedBytes + (this.#open?.transfer.bytesSent ?? 0);
  }

  /** Those of them that have left this process: the memory that they came from may be used again. */
  get bytesWritten(): number {
    return this.#confirmedBytes + (this.#open?.transfer.bytesWritten ?? 0);
  }

  async write(extent: Extent): Promise<void> {
    await this.#options.checkpoints.offering(extent.offsetBytes + extent.data.length);
    const open = this.#open ?? (await this.#begin());
    await open.transfer.write(extent.offsetBytes, extent.data, extent.roomBytes);
  }

  /** Between two pieces a segment may end: what lies below is then confirmed, with the digest of all of it. */
  async endOfPiece(endBytes: number, digest: () => string): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    const { bytesMax, durationMaxMs } = this.#options.limits;
    const old = this.#options.clock.nowMs() - open.startedMs >= durationMaxMs;
    if (!old && open.transfer.bytesSent < bytesMax) return;
    await this.#end(open.transfer);
    await this.#options.checkpoints.confirmed(endBytes, digest());
  }

  /** Confirms the last segment. Does nothing where nothing was written: an empty delta needs no upload. */
  async finish(): Promise<void> {
    if (this.#open !== null) await this.#end(this.#open.transfer);
  }

  /** Closes the upload at once; what it wrote since the last confirmed segment is garbage. Never throws. */
  async abort(): Promise<void> {
    await this.#open?.transfer.abort();
    this.#open = null;
  }

  async #begin(): Promise<{ readonly transfer: DiskImport; readonly startedMs: number }> {
    await this.#options.assertQuiet();
    const options: CallOptions = { signal: this.#options.signal };
    const transfer = await this.#pool.openImport(this.#request, options);
    this.#open = { transfer, startedMs: this.#options.clock.nowMs() };
    return this.#open;
  }

  async #end(transfer: DiskImport): Promise<void> {
    await transfer.finish({ signal: this.#options.signal });
    this.#confirmedBytes += transfer.bytesSent;
    this.#open = null;
    this.#segments += 1;
    this.#options.onSegment(this.#segments, this.#confirmedBytes);
  }
}
