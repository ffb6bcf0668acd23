import { parseAddress, type HostAddress } from './address';
import type { CallOptions } from './call';
import { TransportError, XapiError } from './errors';
import { ExportStream } from './export-stream';
import { chooseTransferHost, explainNoHost, type TransferHost, transferHosts } from './hosts';
import { cancelled } from './failures';
import type { RequestTarget, ResponseHead } from './http-head';
import { ImportStream } from './import-stream';
import { readObjects } from './read-objects';
import type { ObjectsRead } from './read-objects';
import type { Ref } from './refs';
import type { Rpc } from './rpc';
import { explainFailure, RunningTransfer, statusFailure, type TransferFacts } from './running-transfer';
import type { Session } from './session';
import { destroyTask } from './task';
import type { DiskExport, DiskImport, ExportRequest, ImportRequest, VmExportRequest } from './transfer';
import { openTransfer } from './transfer-request';
import type { Trust } from './trust';
import { untilAborted } from './wait';

export interface TransferTimings {
  /** Silence after which a transfer is given up. */
  readonly idleTimeoutMs: number;
  /** Hosts before 21.4 attach the disk before they answer, which takes long where another operation holds it. */
  readonly exportHeadTimeoutMs: number;
  /** An upload may begin without an answer; waiting for it first lets redirects and refusals come before the data. */
  readonly importHeadTimeoutMs: number;
  /** After the last byte the server flushes and detaches the disk, for which it may need five minutes. */
  readonly outcomeTimeoutMs: number;
}

export const TRANSFER_TIMINGS: TransferTimings = {
  idleTimeoutMs: 5 * 60_000,
  exportHeadTimeoutMs: 10 * 60_000,
  importHeadTimeoutMs: 30_000,
  outcomeTimeoutMs: 10 * 60_000,
};

export interface TransferParts {
  readonly session: Session;
  readonly rpc: Rpc;
  readonly trust: Trust;
  readonly poolName: string;
  readonly timings: TransferTimings;
}

interface Opened {
  readonly transfer: RunningTransfer;
  /** Null where it has not come in time; else its status is 200. */
  readonly head: ResponseHead | null;
  /** The session that was sent along. */
  readonly usedSession: string;
}

/** Opens uploads and downloads of disks, and ends those that still run when the pool is left. */
export class Transfers {
  readonly #parts: TransferParts;
  readonly #running = new Set<RunningTransfer>();
  #looking: Promise<ObjectsRead> | undefined;

  constructor(parts: TransferParts) {
    this.#parts = parts;
  }

  async openExport(request: ExportRequest, options: CallOptions): Promise<DiskExport> {
    const { poolName, timings } = this.#parts;
    const timeoutMs = options.timeoutMs ?? timings.exportHeadTimeoutMs;
    const base: Record<string, string> = request.base === undefined ? {} : { base: request.base };
    const query = { format: 'vhd', vdi: request.vdi, ...base };
    const target: RequestTarget = { method: 'GET', path: '/export_raw_vdi', query };
    const { transfer, head } = await this.#open(target, request, timeoutMs, options);
    const contentType = head?.headers.get('content-type') ?? 'none';
    if (contentType === 'application/vhd') return new ExportStream(transfer, poolName, timings.idleTimeoutMs);
    const wrong =
      head === null
        ? this.#failure('timeout', `GET /export_raw_vdi was not answered within ${timeoutMs} ms`)
        : this.#failure('protocol', `GET /export_raw_vdi gave ${contentType} instead of application/vhd`);
    await transfer.close();
    throw wrong;
  }

  async openVmExport(request: VmExportRequest, options: CallOptions): Promise<DiskExport> {
    const { poolName, timings } = this.#parts;
    const timeoutMs = options.timeoutMs ?? timings.exportHeadTimeoutMs;
    // The word `true` has always meant gzip; older releases know no other.
    const compressed: Record<string, string> =
      request.compression === 'gzip' ? { use_compression: 'true' } : {};
    const target: RequestTarget = {
      method: 'GET',
      path: '/export',
      query: { ref: request.vm, ...compressed },
    };
    const { transfer, head } = await this.#open(target, request, timeoutMs, options);
    if (head !== null) return new ExportStream(transfer, poolName, timings.idleTimeoutMs);
    await transfer.close();
    throw this.#failure('timeout', `GET /export was not answered within ${timeoutMs} ms`);
  }

  async openImport(request: ImportRequest, options: CallOptions): Promise<DiskImport> {
    const { poolName, session, timings } = this.#parts;
    // The presence of `chunked` switches the framing on, whatever its value.
    const query = { format: 'raw', chunked: 'true', vdi: request.vdi };
    const target: RequestTarget = { method: 'PUT', path: '/import_raw_vdi', query };
    const opened = await this.#open(target, request, timings.importHeadTimeoutMs, options);
    return new ImportStream(opened.transfer, {
      poolName,
      accepted: opened.head !== null,
      idleTimeoutMs: timings.idleTimeoutMs,
      onSessionRefused: () => session.markEnded(opened.usedSession),
    });
  }

  /** Closes what still runs; never throws. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.#running].map((transfer) => transfer.close()));
  }

  /** Makes the task, sends the request and judges the status; leaves nothing behind where that fails. */
  async #open(
    target: RequestTarget,
    request: Pick<ExportRequest, 'sr' | 'label' | 'receivedBy'>,
    headTimeoutMs: number,
    options: CallOptions,
  ): Promise<Opened> {
    const { session, poolName, timings } = this.#parts;
    const { signal } = options;
    const hosts = await this.#hosts(request.sr, signal);
    const host = chooseTransferHost(hosts) ?? (await this.#noHost(request.sr, hosts));
    const task = await session.call('task.create', [request.label, ''], { signal });
    const method = `${target.method} ${target.path}`;
    const { outcomeTimeoutMs } = timings;
    const facts: TransferFacts = { session, task, poolName, method, outcomeTimeoutMs, signal };
    const usedSession = session.ref;
    try {
      const opened = await openTransfer({
        target,
        credentials: { session_id: usedSession, task_id: task },
        host,
        hosts,
        coordinator: this.#parts.rpc.address,
        dial: {
          poolName,
          trust: this.#parts.trust,
          secure: this.#parts.rpc.address.secure,
          signal,
          vouch: (address) => this.#vouch(address, hosts),
        },
        receivedBy: request.receivedBy ?? 'this-thread',
        headTimeoutMs,
      });
      const { head } = opened;
      if (head !== null && head.status !== 200) {
        opened.wire.on('error', () => undefined).destroy();
        if (head.status === 401) session.markEnded(usedSession);
        throw await explainFailure(statusFailure(head, method, poolName), facts);
      }
      return { transfer: this.#track(new RunningTransfer(opened, facts)), head, usedSession };
    } catch (error) {
      await destroyTask(session, task);
      throw error;
    }
  }

  #track(transfer: RunningTransfer): RunningTransfer {
    this.#running.add(transfer);
    transfer.onClose(() => this.#running.delete(transfer));
    return transfer;
  }

  async #hosts(sr: Ref<'SR'>, signal: AbortSignal | undefined): Promise<readonly TransferHost[]> {
    // Disks of one VM are opened together: one look serves all that wait for it, and none that come later.
    this.#looking ??= readObjects(
      this.#parts.session,
      { PBD: 'all', host: 'all', host_metrics: 'all', pool: 'all' },
      {},
    ).finally(() => {
      this.#looking = undefined;
    });
    const read = await untilAborted(this.#looking, signal, () =>
      cancelled('looking for a host', this.#parts.poolName),
    );
    return transferHosts(read, sr);
  }

  async #noHost(sr: Ref<'SR'>, hosts: readonly TransferHost[]): Promise<never> {
    const { name_label: label, uuid } = await this.#parts.session.call('SR.get_record', [sr]);
    throw this.#failure('connection', `no host can serve storage "${label}" (${uuid})`, explainNoHost(hosts));
  }

  /** The certificate of another host of the pool, told by the coordinator over a connection that was proved. */
  async #vouch(address: HostAddress, hosts: readonly TransferHost[]): Promise<string | null> {
    const host = hosts.find(
      (candidate) => parseAddress(candidate.address, address.port).hostname === address.hostname,
    );
    if (host === undefined) return null;
    try {
      return await this.#parts.session.call('host.get_server_certificate', [host.ref]);
    } catch (error) {
      // A host too old to tell has to stand in the list of fingerprints.
      if (error instanceof XapiError) return null;
      throw error;
    }
  }

  #failure(kind: TransportError['kind'], what: string, hint = 'try again'): TransportError {
    return new TransportError({ kind, retry: 'later', what, hint, poolName: this.#parts.poolName });
  }
}
