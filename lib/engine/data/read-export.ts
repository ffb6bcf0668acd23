/** Reads a disk, or what differs from an older snapshot of it, by XAPI's VHD export. Works since XenServer 6.5. */
import type { DiskExport, ExportRequest, Pool } from '../../xapi';
import { VhdDecoder, VhdError } from '../../vhd';
import type { VhdPart } from '../../vhd';
import { ReplicationError } from '../errors';
import type { DiskReader, Extent } from './extent';

export interface ExportReaderRequest extends ExportRequest {
  /** What the pool says of the disk; a stream of another size is refused. */
  readonly sizeBytes: number;
  /** For messages: the disk as people know it. */
  readonly name: string;
}

type Header = Extract<VhdPart, { kind: 'header' }>;

/**
 * Opens the export and reads as far as the table of blocks, so that the amount of data is known before any of
 * it is taken.
 *
 * @throws ReplicationError `bad-stream` where the stream is no VHD of this disk: the server answers 200 and
 *   appends an error page, so only the format tells.
 */
export async function openExportReader(
  pool: Pick<Pool, 'openExport'>,
  request: ExportReaderRequest,
  signal: AbortSignal,
): Promise<DiskReader> {
  const transfer = await pool.openExport(request, { signal });
  const reader = new ExportReader(transfer, request);
  try {
    await reader.readHeader();
  } catch (error) {
    // First the reason: once the transfer is closed, all that its task would say is that we closed it.
    const reason = await reader.explain(error);
    await transfer.abort();
    throw reason;
  }
  return reader;
}

class ExportReader implements DiskReader {
  readonly #transfer: DiskExport;
  readonly #request: ExportReaderRequest;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #decoder = new VhdDecoder();
  #queued: VhdPart[] = [];
  #header: Header | null = null;
  #ended = false;
  bytesRead = 0;

  constructor(transfer: DiskExport, request: ExportReaderRequest) {
    this.#transfer = transfer;
    this.#request = request;
    this.#chunks = transfer.body[Symbol.asyncIterator]();
  }

  get sizeBytes(): number {
    return this.#request.sizeBytes;
  }

  get changedBytes(): number {
    const header = this.#header;
    return header === null ? 0 : Math.min(header.blocksPresent * header.blockSizeBytes, this.sizeBytes);
  }

  async readHeader(): Promise<void> {
    while (this.#header === null) {
      const parts = await this.#pull();
      if (parts === null) return;
      const index = parts.findIndex(({ kind }) => kind === 'header');
      const header = parts[index];
      if (header?.kind === 'header') {
        this.#header = header;
        this.#queued = parts.slice(index + 1);
        this.#assertFits(header);
      }
    }
  }

  async *extents(): AsyncIterable<Extent> {
    let complete = false;
    try {
      for (let parts: VhdPart[] | null = this.#queued; parts !== null; parts = await this.#pull()) {
        for (const part of parts) {
          if (part.kind === 'data') yield { offsetBytes: part.offsetBytes, data: part.data };
        }
      }
      complete = true;
    } catch (error) {
      throw await this.explain(error);
    } finally {
      if (!complete) await this.abort();
    }
  }

  async finish(): Promise<void> {
    if (!this.#ended) throw this.#bad('it was not read to its end');
    await this.#transfer.finish();
  }

  async abort(): Promise<void> {
    await this.#transfer.abort();
    // A reader that stops in the middle must say so, or what watches over the silence goes on watching.
    await Promise.resolve(this.#chunks.return?.()).catch(() => undefined);
  }

  /** The next parts, or null at the end of a complete stream. */
  async #pull(): Promise<VhdPart[] | null> {
    if (this.#ended) return null;
    const next = await this.#chunks.next();
    if (next.done === true) {
      this.#decoder.end();
      this.#ended = true;
      return null;
    }
    this.bytesRead += next.value.length;
    return this.#decoder.push(next.value);
  }

  #assertFits(header: Header): void {
    if (header.sizeBytes !== this.sizeBytes) {
      throw this.#bad(
        `it is a disk of ${String(header.sizeBytes)} bytes, but the pool says ${String(this.sizeBytes)}`,
      );
    }
    const wanted = this.#request.base === undefined ? 'dynamic' : 'differencing';
    if (header.diskType !== wanted)
      throw this.#bad(`it is a ${header.diskType} VHD where a ${wanted} one is expected`);
  }

  /**
   * A broken stream has a reason that only the task knows (the server appends its error to the stream). So ask
   * it, bounded, and keep what was seen as the cause.
   */
  async explain(error: unknown): Promise<unknown> {
    if (!(error instanceof VhdError)) return error;
    try {
      await this.#transfer.finish({ timeoutMs: 15_000 });
    } catch (outcome) {
      return outcome;
    }
    return this.#bad(`${error.message} (at byte ${String(error.offsetBytes)})`, error);
  }

  #bad(what: string, cause?: unknown): ReplicationError {
    return new ReplicationError(
      'bad-stream',
      `The export of disk "${this.#request.name}" cannot be used: ${what}`,
      { retry: 'later', hint: 'the connection or the source host failed; nothing was committed', cause },
    );
  }
}
