import type { CallOptions } from './call';
import { parseXapiDate } from './dates';
import { defaultTimeoutMs } from './bounds';
import type { PoolEndpoint } from './endpoint';
import { TransportError } from './errors';
import { ObjectFollower } from './follow-objects';
import { chooseTransferHost, transferHosts } from './hosts';
import type { ServingHost } from './hosts';
import type { MethodName, Params, Result } from './methods';
import type { HostRecord, PoolRecord } from './records';
import type { Ref, Uuid } from './refs';
import { readObjects } from './read-objects';
import type { ObjectSelection, ObjectsRead, ReadableClass } from './read-objects';
import { Rpc } from './rpc';
import { Session } from './session';
import { cancelTask, destroyTask, watchTask } from './task';
import type { DiskExport, DiskImport, ExportRequest, ImportRequest, VmExportRequest } from './transfer';
import { Transfers, TRANSFER_TIMINGS } from './transfers';
import { Trust } from './trust';
import { parseTaskResult } from './xml-value';

/** XenServer 6.5, the first release that gives and takes differences between disks, has API 2.3. */
const OLDEST_API = { major: 2, minor: 3 } as const;
const LOGOUT_TIMEOUT_MS = 5_000;
/** A wrong password alone is answered after five seconds, a redirect to the coordinator takes another connection. */
const CONNECT_TIMEOUT_MS = 60_000;

export interface ConnectOptions extends CallOptions {
  /** Told what the operator should know, for example that nothing is verified; on every connect. */
  readonly onWarning?: ((text: string) => void) | undefined;
  /** Told of every message that was answered or failed, for counting. */
  readonly onCall?: ((method: string, durationMs: number) => void) | undefined;
}

interface PoolParts {
  readonly name: string;
  readonly rpc: Rpc;
  readonly session: Session;
  readonly trust: Trust;
  readonly pool: PoolRecord;
  readonly poolRef: Ref<'pool'>;
  readonly host: HostRecord;
}

/** One pool we are logged in to. */
export class Pool {
  /** Name in the pools file. */
  readonly name: string;
  readonly uuid: Uuid<'pool'>;
  readonly ref: Ref<'pool'>;
  /** The pool's own name. */
  readonly label: string;
  /** As it was when we connected. */
  readonly coordinator: Ref<'host'>;
  readonly apiVersion: { readonly major: number; readonly minor: number };
  readonly #rpc: Rpc;
  readonly #session: Session;
  readonly #transfers: Transfers;
  #permissions: { readonly session: string; readonly granted: 'all' | ReadonlySet<string> } | undefined;
  #left: Promise<void> | undefined;

  private constructor({ name, rpc, session, trust, pool, poolRef, host }: PoolParts) {
    this.name = name;
    this.uuid = pool.uuid;
    this.ref = poolRef;
    this.label = pool.name_label;
    this.coordinator = pool.master;
    this.apiVersion = { major: host.API_version_major, minor: host.API_version_minor };
    this.#rpc = rpc;
    this.#session = session;
    this.#transfers = new Transfers({ session, rpc, trust, poolName: name, timings: TRANSFER_TIMINGS });
  }

  /**
   * Logs in at the pool's coordinator; where the URL is that of a member, goes where that one sends us.
   * @throws TransportError where the host is not reached, not proved or too old; XapiError where it refuses the login
   */
  static async connect(endpoint: PoolEndpoint, options: ConnectOptions = {}): Promise<Pool> {
    const trust = new Trust(endpoint);
    const rpc = new Rpc({ endpoint, trust, onCall: options.onCall });
    for (const warning of trust.warnings(endpoint.url))
      options.onWarning?.(`pool "${endpoint.name}": ${warning}`);
    const session = new Session(rpc, endpoint.name);
    const timeout = AbortSignal.timeout(options.timeoutMs ?? CONNECT_TIMEOUT_MS);
    const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
    try {
      await rpc.login({ signal });
      const poolRef = rpc.poolRef as Ref<'pool'>;
      const pool = await session.call('pool.get_record', [poolRef], { signal });
      const host = await session.call('host.get_record', [pool.master], { signal });
      refuseOldRelease(host, endpoint.name);
      return new Pool({ name: endpoint.name, rpc, session, trust, pool, poolRef, host });
    } catch (error) {
      await session.logout(LOGOUT_TIMEOUT_MS);
      await rpc.close();
      throw timeout.aborted && options.signal?.aborted !== true ? notInTime(endpoint, options) : error;
    }
  }

  /** The present session, which is as good as the password: for the query of NBD and HTTP URLs, never for a log. */
  get sessionRef(): Ref<'session'> {
    return this.#session.ref;
  }

  /**
   * Sends one message and waits for its answer.
   * @throws XapiError where the pool refuses; TransportError where it does not answer: its hint says whether the call may
   * have been carried out nevertheless. A call that changes something is never repeated.
   */
  call<M extends MethodName>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Result<M>> {
    return this.#session.call(method, params, options);
  }

  /** As `call`, for operations that take longer: runs `Async.<method>`, watches its task and destroys it. */
  async callTask<M extends MethodName>(
    method: M,
    params: Params<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs(method);
    const { signal } = options;
    const task = (await this.#session.send(`Async.${method}`, params, options)) as Ref<'task'>;
    try {
      const ended = await watchTask(this.#session, task, { method, poolName: this.name, signal, timeoutMs });
      return parseTaskResult(ended.result) as Result<M>;
    } catch (error) {
      if (error instanceof TransportError && (error.kind === 'aborted' || error.kind === 'timeout'))
        await cancelTask(this.#session, task);
      throw error;
    } finally {
      await destroyTask(this.#session, task);
    }
  }

  /** The coordinator's clock in epoch milliseconds, to the second. */
  async serverTime(options: CallOptions = {}): Promise<number> {
    return parseXapiDate(await this.call('host.get_servertime', [this.coordinator], options));
  }

  /**
   * Reads objects of several classes in one call, all as they are at the same moment. An object that is gone is not in the
   * answer.
   */
  read(selection: ObjectSelection, options: CallOptions = {}): Promise<ObjectsRead> {
    return readObjects(this.#session, selection, options);
  }

  /**
   * For who looks at all objects of some classes again and again: each look after the first asks for what has changed.
   * @param nowMs a clock that only goes forward
   */
  follow<C extends ReadableClass>(
    classes: readonly C[],
    nowMs: () => number = () => performance.now(),
  ): ObjectFollower<C> {
    return new ObjectFollower(this.#session, classes, nowMs);
  }

  /**
   * What our user may do: `all` for the local superuser, else the names of RBAC permissions in lower case. The pool works it
   * out at the login and keeps it with the session, so it is asked once for each session.
   */
  async permissions(options: CallOptions = {}): Promise<'all' | ReadonlySet<string>> {
    const self = this.sessionRef;
    if (this.#permissions?.session === self) return this.#permissions.granted;
    const granted = (await this.call('session.get_is_local_superuser', [self], options))
      ? 'all'
      : new Set(
          (await this.call('session.get_rbac_permissions', [self], options)).map((name) =>
            name.toLowerCase(),
          ),
        );
    this.#permissions = { session: self, granted };
    return granted;
  }

  /** The host that transfers of disks on this SR are sent to at present; null where none can serve them. */
  async transferHost(sr: Ref<'SR'>, options: CallOptions = {}): Promise<ServingHost | null> {
    const all = { PBD: 'all', host: 'all', host_metrics: 'all', pool: 'all' } as const;
    return chooseTransferHost(transferHosts(await this.read(all, options), sr));
  }

  /**
   * Opens a disk for reading, as a VHD stream; with `base` the 2 MiB blocks that differ from it. `options.signal` ends the
   * whole transfer. Whether it was good only `finish` knows.
   */
  openExport(request: ExportRequest, options: CallOptions = {}): Promise<DiskExport> {
    return this.#transfers.openExport(request, options);
  }

  /** Opens a VM with its disks for reading, as an archive (XVA): a tar, perhaps compressed. As `openExport` otherwise. */
  openVmExport(request: VmExportRequest, options: CallOptions = {}): Promise<DiskExport> {
    return this.#transfers.openVmExport(request, options);
  }

  /** Opens a disk for writing at any offset. `options.signal` ends the whole transfer. */
  openImport(request: ImportRequest, options: CallOptions = {}): Promise<DiskImport> {
    return this.#transfers.openImport(request, options);
  }

  /** Ends transfers that still run, logs out within five seconds, closes every socket. Never throws. */
  disconnect(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  async #leave(): Promise<void> {
    await this.#transfers.closeAll();
    await this.#session.logout(LOGOUT_TIMEOUT_MS);
    await this.#rpc.close();
  }
}

function notInTime(endpoint: PoolEndpoint, options: ConnectOptions): TransportError {
  return new TransportError({
    kind: 'timeout',
    retry: 'later',
    what: `not logged in within ${options.timeoutMs ?? CONNECT_TIMEOUT_MS} ms`,
    hint: 'is the host up, and does a firewall let its port through?',
    poolName: endpoint.name,
  });
}

function refuseOldRelease(host: HostRecord, poolName: string): void {
  const { API_version_major: major, API_version_minor: minor, software_version: version } = host;
  if (major > OLDEST_API.major || (major === OLDEST_API.major && minor >= OLDEST_API.minor)) return;
  const brand = version['product_brand'] ?? 'XenServer';
  throw new TransportError({
    kind: 'protocol',
    retry: 'never',
    what: `coordinator "${host.name_label}" runs ${brand} ${version['product_version'] ?? '?'} (API ${major}.${minor})`,
    hint: 'XenServer 6.5 or newer is needed (API 2.3): older releases cannot export differences between disks',
    poolName,
  });
}
