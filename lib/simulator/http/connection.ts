import type { Duplex } from 'node:stream';
import type { Host } from '../pool/host';
import type { Pool } from '../pool/pool';
import { transferHost } from '../pool/transfer-vdi';
import { dispatch } from '../rpc/dispatch';
import type { TransferHandler, TransferPool } from '../transfer';
import { serveExport, serveExportRawVdi, serveImport, serveImportRawVdi } from '../transfer';
import { headerOf, parseHead, type Head } from './head';
import { errorPage } from './pages';
import { SocketReader } from './reader';
import { BodyError, readJsonBody, readXmlBody, type BodyCall } from './rpc-body';

/** Largest body of an RPC request. */
const bodyLimitBytes = 300 * 1024;
/** The first head of a connection must be there within this time. */
const firstHeadMs = 60_000;

export interface ConnectionContext {
  readonly pool: Pool;
  readonly transfers: TransferPool;
  readonly host: Host;
}

/** Serves the requests of one connection until it ends. Never rejects. */
export async function serveConnection(socket: Duplex, context: ConnectionContext): Promise<void> {
  const closed = new AbortController();
  socket.on('error', () => socket.destroy());
  socket.on('close', () => closed.abort(new Error('the client closed the connection')));
  const connection = new Connection(socket, context, closed.signal);
  try {
    await connection.serve();
    socket.end();
  } catch (error) {
    if (closed.signal.aborted || context.pool.lifetime.aborted) socket.destroy();
    else socket.end(errorPage(500, error instanceof Error ? error.message : String(error)));
  }
}

type Next = 'again' | 'close' | 'handed-over';

/** Transfer handlers by method and path; a path matches by its beginning and the longest wins. */
const transferRoutes: readonly (readonly [method: 'GET' | 'PUT', path: string, TransferHandler])[] = [
  ['GET', '/export_raw_vdi', serveExportRawVdi],
  ['GET', '/export_metadata', serveExport],
  ['GET', '/export', serveExport],
  ['PUT', '/import_raw_vdi', serveImportRawVdi],
  ['PUT', '/import_metadata', serveImport],
  ['PUT', '/import', serveImport],
];

class Connection {
  readonly #socket: Duplex;
  readonly #context: ConnectionContext;
  readonly #signal: AbortSignal;
  readonly #reader: SocketReader;

  constructor(socket: Duplex, context: ConnectionContext, signal: AbortSignal) {
    this.#socket = socket;
    this.#context = context;
    this.#signal = signal;
    this.#reader = new SocketReader(socket);
  }

  async serve(): Promise<void> {
    const timer = setTimeout(() => this.#socket.end(errorPage(408)), firstHeadMs);
    try {
      for (let next: Next = 'again'; next === 'again';) {
        const head = await this.#reader.head(this.#context.pool.facts.headerLimitBytes);
        clearTimeout(timer);
        if (head === null) return;
        if (head !== 'too-long') await this.#context.host.line.received.pass(head.text.length);
        next = await this.#request(head);
        if (next === 'handed-over') return;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #request(read: { readonly text: string } | 'too-long'): Promise<Next> {
    if (read === 'too-long') {
      this.#write(errorPage(431));
      return 'close';
    }
    const head = parseHead(read.text);
    if (head === null) return 'close';
    switch (head.method) {
      case 'POST':
        return this.#rpc(head);
      case 'GET':
      case 'PUT':
        return this.#transfer(head);
      case 'OPTIONS':
        return this.#options(head);
      default:
        this.#write(errorPage(501, head.method));
        return 'close';
    }
  }

  async #rpc(head: Head): Promise<Next> {
    const length = Number(headerOf(head, 'content-length') ?? Number.NaN);
    if (!Number.isInteger(length) || length < 0)
      return this.#fail('Failure("We require a content-length: HTTP header")');
    if (length > bodyLimitBytes) return this.#fail('Http_svr.Client_requested_size_over_limit');
    const body = await this.#reader.body(length);
    if (body === null) return 'close';
    await this.#context.host.line.received.pass(body.length);
    let call: BodyCall;
    try {
      const read = head.path.startsWith('/jsonrpc')
        ? readJsonBody(body, this.#context.pool.facts.jsonRpc2)
        : readXmlBody(body);
      if ('refused' in read)
        return await this.#answer(head, read.refused, ['content-type: application/json']);
      call = read;
    } catch (error) {
      if (error instanceof BodyError) return this.#fail(error.message);
      throw error;
    }
    return this.#carryOut(head, call);
  }

  async #carryOut(head: Head, call: BodyCall): Promise<Next> {
    const { pool, host } = this.#context;
    // It was read whole, but the host went off before it could do anything.
    if (pool.offline.has(host.ref)) return 'close';
    const taskId = headerOf(head, 'task-id') ?? null;
    const reply = await dispatch(pool, { ...call, host, taskId, signal: this.#signal });
    if (this.#signal.aborted) return 'close';
    if (reply.kind === 'silence') {
      if (reply.how === 'hang') return 'handed-over';
      this.#socket.destroy();
      return 'handed-over';
    }
    return this.#answer(head, call.frame(pool, reply), [
      `content-type: ${call.contentType}`,
      'Access-Control-Allow-Origin: *',
      'Access-Control-Allow-Headers: X-Requested-With',
    ]);
  }

  async #answer(head: Head, body: string, headers: readonly string[]): Promise<Next> {
    const alive = keepsAlive(head);
    const answer = [
      `HTTP/${head.version} 200 OK`,
      `content-length: ${Buffer.byteLength(body)}`,
      `connection: ${alive ? 'keep-alive' : 'close'}`,
      'cache-control: no-cache, no-store',
      ...headers,
      '',
      body,
    ].join('\r\n');
    await this.#context.host.line.sent.pass(Buffer.byteLength(answer));
    this.#write(answer);
    return alive ? 'again' : 'close';
  }

  #options(head: Head): Promise<Next> {
    const asked = headerOf(head, 'access-control-request-headers');
    const allowed = asked === undefined ? 'X-Requested-With' : `${asked}, X-Requested-With`;
    return this.#answer(head, '', [
      'Access-Control-Allow-Origin: *',
      `Access-Control-Allow-Headers: ${allowed}`,
      'Access-Control-Allow-Methods: PUT',
    ]);
  }

  async #transfer(head: Head): Promise<Next> {
    const route = transferRoutes.find(
      ([method, path]) => method === head.method && head.path.startsWith(path),
    );
    if (route === undefined) return this.#noRoute(head);
    const [method, path, handler] = route;
    const { host, transfers } = this.#context;
    const outcome = await handler(
      {
        method,
        path,
        target: head.target,
        query: head.query,
        headers: head.headers,
        httpVersion: head.version,
        socket: this.#socket,
        buffered: this.#reader.takeBuffered(),
        host: transferHost(host),
      },
      transfers,
    );
    if (outcome.connection === 'closed') return 'handed-over';
    this.#reader.give(outcome.buffered);
    return 'again';
  }

  #noRoute(head: Head): Next {
    if (head.method === 'PUT') {
      this.#write(errorPage(403));
      return 'close';
    }
    const host = headerOf(head, 'host') ?? this.#context.host.location;
    this.#write(
      [
        'HTTP/1.1 301 Moved Permanently',
        'content-length: 0',
        `location: https://${host}${head.target}`,
        '',
        '',
      ].join('\r\n'),
    );
    return keepsAlive(head) ? 'again' : 'close';
  }

  #fail(information: string): Next {
    this.#write(errorPage(500, information));
    return 'close';
  }

  #write(text: string): void {
    if (this.#socket.writable) this.#socket.write(text);
  }
}

function keepsAlive(head: Head): boolean {
  const connection = headerOf(head, 'connection')?.toLowerCase();
  return head.version === '1.1' ? connection !== 'close' : connection === 'keep-alive';
}
