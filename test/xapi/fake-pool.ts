import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import type { PoolEndpoint } from '../../lib/xapi';
import { selfSigned, type Certificate } from './certificates';
import { answerRpc, ApiFailure, type Dialect } from './fake-rpc';

export { ApiFailure } from './fake-rpc';

export const POOL = 'OpaqueRef:00000000-0000-4000-8000-00000000000a';
export const SR = 'OpaqueRef:00000000-0000-4000-8000-00000000000b';
export const VDI = 'OpaqueRef:00000000-0000-4000-8000-00000000000c';
export const PASSWORD = 'correct horse battery staple';

export interface FakeHost {
  readonly ref: string;
  readonly address: string;
  readonly certificate: Certificate;
  /** Everything it was sent, decrypted: what a host that is refused must not get to see. */
  received: Buffer;
  connections: number;
  readonly sockets: Set<Socket>;
}

/** A request for a transfer, its head read, the rest still in the socket. */
export interface Transfer {
  readonly method: string;
  readonly url: URL;
  readonly headBytes: number;
  readonly headers: string;
  readonly host: FakeHost;
  readonly socket: Socket;
}

export interface FakeOptions {
  readonly hosts?: number;
  readonly dialect?: Dialect;
  readonly plainHttp?: boolean;
  readonly tls?: TlsOptions;
  readonly certificate?: Certificate;
  /** host.address and HOST_IS_SLAVE with the port, as a pool on an unusual port has to say it. */
  readonly apiVersion?: { readonly major: number; readonly minor: number };
}

type Handler = (params: readonly unknown[], socket: Socket) => unknown;

/** A pool of hosts that answer what a test tells them to: for what a faithful simulator would not do. */
export class FakePool {
  readonly hosts: FakeHost[] = [];
  readonly calls: { readonly method: string; readonly params: readonly unknown[] }[] = [];
  readonly tasks = new Map<string, Record<string, unknown>>();
  readonly handlers = new Map<string, Handler>();
  onTransfer: (transfer: Transfer) => void = ({ socket }) => socket.destroy();
  session = 'OpaqueRef:5e551000-0000-4000-8000-000000000001';
  port = 0;
  /** Leaves the task of a broken transfer pending. */
  forgetsTransfers = false;
  readonly #options: FakeOptions;
  readonly #servers: Server[] = [];

  private constructor(options: FakeOptions) {
    this.#options = options;
  }

  static async start(options: FakeOptions = {}): Promise<FakePool> {
    const pool = new FakePool(options);
    for (let index = 0; index < (options.hosts ?? 1); index += 1) await pool.#addHost(index);
    pool.#answerAsUsual();
    return pool;
  }

  get coordinator(): FakeHost {
    return this.host(0);
  }

  host(index: number): FakeHost {
    const host = this.hosts[index];
    if (host === undefined) throw new Error(`the fake pool has no host ${index}`);
    return host;
  }

  url(host: FakeHost = this.coordinator): string {
    return `${this.#options.plainHttp === true ? 'http' : 'https'}://${host.address}:${this.port}`;
  }

  endpoint(changes: Partial<PoolEndpoint> = {}): PoolEndpoint {
    return {
      name: 'paris',
      url: this.url(),
      username: 'root',
      password: () => Promise.resolve(PASSWORD),
      tls: { kind: 'fingerprints', sha256: this.hosts.map((host) => host.certificate.fingerprint) },
      legacyTls: false,
      ...changes,
    };
  }

  /** How often a message was received. */
  count(method: string): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  endTask(ref: string, status: string, errorInfo: readonly string[] = [], result = ''): void {
    this.tasks.set(ref, { ...this.tasks.get(ref), status, error_info: errorInfo, result });
  }

  /** Cuts every connection without a word. */
  cut(): void {
    for (const host of this.hosts) for (const socket of host.sockets) socket.destroy();
  }

  /** Resolves when nothing is connected to the host any more. */
  async deserted(host: FakeHost): Promise<void> {
    await Promise.all(
      [...host.sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
  }

  async close(): Promise<void> {
    this.cut();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  async #addHost(index: number): Promise<void> {
    const { plainHttp, tls, certificate: given } = this.#options;
    const certificate = given ?? (await selfSigned(`host-${index}`));
    const ref = `OpaqueRef:00000000-0000-4000-8000-0000000001${String(index).padStart(2, '0')}`;
    const host: FakeHost = {
      ref,
      address: `127.0.0.${index + 1}`,
      certificate,
      received: Buffer.alloc(0),
      connections: 0,
      sockets: new Set(),
    };
    const accept = (socket: Socket): void => {
      this.#serve(socket, host).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
      });
    };
    const server =
      plainHttp === true ? createServer(accept) : createTlsServer({ ...certificate, ...tls }, accept);
    server.on('connection', (socket: Socket) => watch(socket, host));
    server.listen(this.port, host.address);
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    this.#servers.push(server);
    this.hosts.push(host);
  }

  async #serve(socket: Socket, host: FakeHost): Promise<void> {
    socket.on('error', () => undefined);
    let buffered = Buffer.alloc(0);
    for await (const piece of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      host.received = Buffer.concat([host.received, piece]);
      buffered = Buffer.concat([buffered, piece]);
      const end = buffered.indexOf('\r\n\r\n');
      if (end === -1) continue;
      const headers = buffered.subarray(0, end).toString('latin1');
      const [method = '', path = ''] = headers.split(' ', 2);
      if (method !== 'POST') {
        socket.unshift(buffered.subarray(end + 4));
        this.#failWithConnection(path, socket);
        this.onTransfer({
          method,
          url: new URL(path, this.url(host)),
          headBytes: end + 4,
          headers,
          host,
          socket,
        });
        return;
      }
      const length = Number(/content-length: (\d+)/i.exec(headers)?.[1]);
      if (buffered.length < end + 4 + length) continue;
      const body = buffered.subarray(end + 4, end + 4 + length).toString();
      buffered = buffered.subarray(end + 4 + length);
      const dialect = this.#options.dialect ?? 'json-rpc 2.0';
      const answer = await answerRpc(path, body, dialect, (message, params) =>
        this.#answer(message, params, host, socket),
      );
      if (answer !== null) socket.write(answer);
      else socket.destroy();
    }
  }

  /** As a host does: the task of a transfer fails when its connection goes. */
  #failWithConnection(path: string, socket: Socket): void {
    const task = new URL(path, this.url()).searchParams.get('task_id') ?? '';
    socket.once('close', () => {
      const pending = this.tasks.get(task)?.['status'] === 'pending';
      if (pending && !this.forgetsTransfers)
        this.endTask(task, 'failure', ['VDI_IO_ERROR', 'Device I/O errors']);
    });
  }

  #answer(method: string, params: readonly unknown[], host: FakeHost, socket: Socket): unknown {
    this.calls.push({ method, params });
    const handler = this.handlers.get(method);
    if (handler === undefined) throw new ApiFailure('MESSAGE_METHOD_UNKNOWN', method);
    if (host !== this.coordinator)
      throw new ApiFailure('HOST_IS_SLAVE', `${this.coordinator.address}:${this.port}`);
    if (
      method !== 'session.login_with_password' &&
      method !== 'system.listMethods' &&
      params[0] !== this.session
    )
      throw new ApiFailure('SESSION_INVALID', String(params[0]));
    return handler(params.slice(1), socket);
  }

  /** What every test needs: login, the records a connection reads, tasks. */
  #answerAsUsual(): void {
    const { major, minor } = this.#options.apiVersion ?? { major: 2, minor: 21 };
    const hostRecords = (): Record<string, unknown> =>
      Object.fromEntries(
        this.hosts.map((host, index) => [
          host.ref,
          {
            uuid: host.ref.slice(10),
            name_label: `host-${index}`,
            address: `${host.address}:${this.port}`,
            enabled: true,
            API_version_major: major,
            API_version_minor: minor,
            software_version: { product_brand: 'XenServer', product_version: '6.2.0' },
            metrics: `${host.ref}-metrics`,
          },
        ]),
      );
    const pool = (): unknown => ({ uuid: POOL.slice(10), name_label: 'Paris', master: this.coordinator.ref });
    const set = (method: string, handler: Handler): void => void this.handlers.set(method, handler);
    set('session.login_with_password', () => this.session);
    set('session.logout', () => '');
    set('system.listMethods', () => ['pool.get_all_records']);
    set('pool.get_all_records', () => ({ [POOL]: pool() }));
    set('pool.get_record', pool);
    set('host.get_record', ([ref]) => hostRecords()[String(ref)]);
    set('host.get_all_records', hostRecords);
    set(
      'host.get_server_certificate',
      ([ref]) => this.hosts.find((host) => host.ref === ref)?.certificate.cert,
    );
    set('host_metrics.get_all_records', () =>
      Object.fromEntries(this.hosts.map((host) => [`${host.ref}-metrics`, { uuid: '', live: true }])),
    );
    set('PBD.get_all_records', () =>
      Object.fromEntries(
        this.hosts.map((host) => [`${host.ref}-pbd`, { SR, host: host.ref, currently_attached: true }]),
      ),
    );
    set('SR.get_record', () => ({ uuid: SR.slice(10), name_label: 'fast' }));
    set('event.from', ([specs], socket) => ({
      events: (specs as readonly string[]).flatMap((spec) => {
        const all = this.handlers.get(`${spec}.get_all_records`)?.([], socket) as
          Record<string, unknown> | undefined;
        return Object.entries(all ?? {}).map(([ref, snapshot]) => ({
          class: spec.toLowerCase(),
          operation: 'add',
          ref,
          snapshot,
        }));
      }),
      token: '',
    }));
    set('task.create', ([label]) => {
      const ref = `OpaqueRef:7a5c0000-0000-4000-8000-${String(this.tasks.size).padStart(12, '0')}`;
      this.tasks.set(ref, { status: 'pending', name_label: label, progress: 0, result: '', error_info: [] });
      return ref;
    });
    set('task.get_record', ([ref]) => {
      const task = this.tasks.get(String(ref));
      if (task === undefined) throw new ApiFailure('HANDLE_INVALID', 'task', String(ref));
      return task;
    });
    set('task.destroy', ([ref]) => {
      this.tasks.delete(String(ref));
      return '';
    });
    set('task.cancel', () => '');
  }
}

function watch(socket: Socket, host: FakeHost): void {
  host.connections += 1;
  host.sockets.add(socket);
  socket.on('close', () => host.sockets.delete(socket));
  socket.on('error', () => undefined);
}
