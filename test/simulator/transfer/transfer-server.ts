import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

import {
  serveExport,
  serveExportRawVdi,
  serveImport,
  serveImportRawVdi,
  type TransferHandler,
} from '../../../lib/simulator/transfer';
import { TestPool, type StoredFile } from './transfer-pool';

const ROUTES: Record<string, TransferHandler> = {
  'GET /export_raw_vdi': serveExportRawVdi,
  'PUT /import_raw_vdi': serveImportRawVdi,
  'GET /export': serveExport,
  'GET /export_metadata': serveExport,
  'PUT /import': serveImport,
  'PUT /import_metadata': serveImport,
};

/** A pool and a listener that knows the transfer routes only. Disposal ends everything. */
export class TransferServer implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #served: Promise<void>[] = [];
  /** Heads that the server read from a connection after a handler gave it back. */
  readonly nextRequests: Buffer[] = [];

  private constructor(
    readonly pool: TestPool,
    private readonly server: Server,
  ) {
    server.on(
      server instanceof Object && 'setSecureContext' in server ? 'secureConnection' : 'connection',
      (socket: Socket) => {
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
        socket.on('error', () => undefined);
        this.#served.push(this.#serve(socket));
      },
    );
  }

  static async start(tls?: TlsOptions, files: readonly StoredFile[] = []): Promise<TransferServer> {
    const pool = await TestPool.open(files);
    const server =
      tls === undefined
        ? createServer({ allowHalfOpen: true })
        : createTlsServer({ ...tls, allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TransferServer(pool, server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Resolves when every request so far was dealt with, whatever became of its client. */
  async settled(): Promise<void> {
    await Promise.all(this.#served);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.pool.close().catch(() => undefined);
    await this.settled();
  }

  async #serve(socket: Socket): Promise<void> {
    let head = Buffer.alloc(0);
    while (!head.includes('\r\n\r\n')) {
      const [chunk] = (await once(socket, 'data').catch(() => [null])) as [Buffer | null];
      if (chunk === null) return;
      socket.pause();
      head = Buffer.concat([head, chunk]);
    }
    socket.removeAllListeners('data');
    const end = head.indexOf('\r\n\r\n');
    const [first = '', ...lines] = head.toString('latin1', 0, end).split('\r\n');
    const [method = '', target = ''] = first.split(' ');
    const url = new URL(target, 'http://x');
    const handler = ROUTES[`${method} ${url.pathname}`];
    const host = this.pool.hosts[0];
    if (handler === undefined || host === undefined) {
      socket.destroy();
      return;
    }
    const outcome = await handler(
      {
        method: method === 'PUT' ? 'PUT' : 'GET',
        path: url.pathname,
        target,
        query: [...url.searchParams],
        headers: lines.map((line) => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
        }),
        httpVersion: '1.1',
        socket,
        buffered: head.subarray(end + 4),
        host,
      },
      this.pool,
    );
    if (outcome.connection === 'next-request') {
      // What the listener of a pool does: the body is no head, and longer than a head may be.
      this.nextRequests.push(outcome.buffered);
      socket.end(
        'HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncache-control: no-cache, no-store\r\n\r\n',
        () => socket.destroy(),
      );
    }
  }
}
