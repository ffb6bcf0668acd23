/**
 * Reads a disk over NBD: all of it, or the 64 KiB that changed since an older snapshot (changed-block tracking).
 * Works since XenServer 7.3. Other than an export it can begin anywhere, so a resumed copy reads nothing twice.
 */
import { listening, NbdError, NbdReach, NbdReader, whereOf } from '../../nbd';
import type { NbdRange, NbdServer, NbdTimings } from '../../nbd';
import type { Pool, Ref } from '../../xapi';
import { ReplicationError } from '../errors';
import { ChangedBlocks } from './changed-blocks';
import type { DiskReader, Extent } from './extent';

export interface NbdReaderRequest {
  readonly vdi: Ref<'VDI'>;
  /** Where absent, everything is read, zeros too: NBD of XAPI does not tell what was never written. */
  readonly changes?: ChangedBlocks;
  /** What the pool says of the disk; an export of another size is refused. */
  readonly sizeBytes: number;
  /** Nothing below is read: it was confirmed by an earlier run. */
  readonly startBytes: number;
  /** Where given, only these are read, ascending; `changes` and `startBytes` say nothing then. */
  readonly ranges?: readonly NbdRange[];
  /** What is known of the servers; where absent, nothing, and nobody is told. */
  readonly reach?: NbdReach;
  /** Nothing but NBD is left: servers that could not be reached before are tried again. */
  readonly onlyWay?: boolean;
  /** For messages: the disk as people know it. */
  readonly name: string;
}

export interface NbdLimits {
  readonly connections: number;
  readonly windowBytes: number;
  readonly requestBytesMax: number;
  readonly failuresMax: number;
  readonly openFailuresMax: number;
  readonly retryDelayMs: number;
  readonly timings: NbdTimings;
}

/**
 * Two connections hide the server's turning from one request to the next (it answers them one by one); a host serves 16
 * in all, to everybody. It sends in pieces of 512 KiB, so larger requests gain nothing.
 */
export const nbdLimits: NbdLimits = {
  connections: 2,
  windowBytes: 6 * 1024 * 1024,
  requestBytesMax: 512 * 1024,
  failuresMax: 4,
  openFailuresMax: 1,
  retryDelayMs: 500,
  timings: { connectMaxMs: 15_000, openMaxMs: 120_000, silenceMaxMs: 120_000 },
};

export interface ListRequest extends Pick<NbdReaderRequest, 'vdi' | 'sizeBytes' | 'name'> {
  readonly base: Ref<'VDI'>;
}

/**
 * Asks which blocks changed between two snapshots' disks; nobody may have the newer one attached.
 *
 * @throws XapiError where the pool cannot tell; ReplicationError `bad-stream` where what it says does not fit the disk
 */
export async function listChanges(
  pool: Pick<Pool, 'call'>,
  request: ListRequest,
  signal: AbortSignal,
): Promise<ChangedBlocks> {
  const { base, vdi, sizeBytes } = request;
  const list = await pool.call('VDI.list_changed_blocks', [base, vdi], { signal });
  try {
    return new ChangedBlocks(list, sizeBytes);
  } catch (error) {
    throw bad(request, error instanceof Error ? error.message : String(error));
  }
}

/**
 * Opens the disk, where anything of it is wanted.
 *
 * @throws NbdError where no host serves the disk; ReplicationError `bad-stream` where what it serves is not the disk
 */
export async function openNbdReader(
  pool: Pick<Pool, 'call'>,
  request: NbdReaderRequest,
  signal: AbortSignal,
  limits: NbdLimits = nbdLimits,
): Promise<DiskReader> {
  const wanted = wantedOf(request);
  // An unchanged disk needs no connection, and no attachment on its host.
  if (wanted.bytes === 0) return new NbdDiskReader(request, wanted, null);
  const { vdi, reach = new NbdReach(), onlyWay = false } = request;
  // As it was before: what this reader does not reach at once, it may try once more.
  const unreached = onlyWay ? new Map<string, string>() : reach.unreached();
  const servers = async (): Promise<readonly NbdServer[]> =>
    worthTrying(await serversOf(pool, vdi, signal), unreached);
  const reader = await NbdReader.open({ ...limits, servers, reach, signal });
  if (reader.sizeBytes !== request.sizeBytes) {
    reader.abort();
    throw bad(
      request,
      `its host serves ${String(reader.sizeBytes)} bytes, but the pool says ${String(request.sizeBytes)}`,
    );
  }
  return new NbdDiskReader(request, wanted, reader);
}

/** Ranges are made when they are needed: a large disk written to at random has millions of them. */
interface Wanted {
  readonly bytes: number;
  readonly ranges: () => Iterable<NbdRange>;
}

function wantedOf({ changes, sizeBytes, startBytes, ranges }: NbdReaderRequest): Wanted {
  if (ranges !== undefined) {
    return { bytes: ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0), ranges: () => ranges };
  }
  if (changes === undefined) {
    const lengthBytes = Math.max(0, sizeBytes - startBytes);
    return { bytes: lengthBytes, ranges: () => [{ offsetBytes: startBytes, lengthBytes }] };
  }
  return { bytes: changes.changedBytes(startBytes), ranges: () => changes.ranges(startBytes) };
}

/**
 * Servers that were reached before, or not tried yet.
 *
 * @throws NbdError `out-of-reach` where there are servers, and none is left
 */
function worthTrying(
  servers: readonly NbdServer[],
  unreached: ReadonlyMap<string, string>,
): readonly NbdServer[] {
  const left = servers.filter((server) => !unreached.has(whereOf(server)));
  if (left.length > 0 || servers.length === 0) return left;
  const wheres = servers.map(whereOf);
  const reasons = new Set(wheres.map((where) => unreached.get(where) ?? ''));
  throw new NbdError('out-of-reach', wheres.join(', '), `tried before: ${[...reasons].join('; ')}`);
}

async function serversOf(
  pool: Pick<Pool, 'call'>,
  vdi: Ref<'VDI'>,
  signal: AbortSignal,
): Promise<readonly NbdServer[]> {
  const infos = await pool.call('VDI.get_nbd_info', [vdi], { signal });
  return listening(infos).map(({ address, port, exportname, cert, subject }) => ({
    address,
    port,
    exportName: exportname,
    certificatePem: cert,
    subject,
  }));
}

/** Whether any host of the pool serves the disk over NBD with TLS now. */
export async function isServedOverNbd(
  pool: Pick<Pool, 'call'>,
  vdi: Ref<'VDI'>,
  signal: AbortSignal,
): Promise<boolean> {
  return (await serversOf(pool, vdi, signal)).length > 0;
}

class NbdDiskReader implements DiskReader {
  readonly #request: NbdReaderRequest;
  readonly #wanted: Wanted;
  readonly #reader: NbdReader | null;
  #complete: boolean;

  constructor(request: NbdReaderRequest, wanted: Wanted, reader: NbdReader | null) {
    this.#request = request;
    this.#wanted = wanted;
    this.#reader = reader;
    this.#complete = reader === null;
  }

  get changedBytes(): number {
    return this.#wanted.bytes;
  }

  get sizeBytes(): number {
    return this.#request.sizeBytes;
  }

  get bytesRead(): number {
    return this.#reader?.bytesRead ?? 0;
  }

  async *extents(): AsyncIterable<Extent> {
    if (this.#reader === null) return;
    yield* this.#reader.read(this.#wanted.ranges());
    this.#complete = true;
  }

  /** Every reply was checked by itself: that all of them came is the verdict. */
  async finish(): Promise<void> {
    if (!this.#complete) throw bad(this.#request, 'it was not read to its end');
    await this.#reader?.close();
  }

  abort(): Promise<void> {
    this.#reader?.abort();
    return Promise.resolve();
  }
}

function bad({ name }: Pick<NbdReaderRequest, 'name'>, what: string): ReplicationError {
  return new ReplicationError('bad-stream', `Disk "${name}" cannot be read over NBD: ${what}`, {
    retry: 'later',
    hint: 'nothing was committed; the run reads the disk by export instead where it can',
  });
}
