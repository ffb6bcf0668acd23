import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verbs, type PoolControl, type Verb } from './api';

/** Largest request body: a disk write of 64 MiB as base64. */
const bodyLimitBytes = 96 * 1024 * 1024;

export interface ControlServer {
  readonly url: string;
  close(): Promise<void>;
}

/** What `GET /` tells about a pool: all that a client needs to reach it, secrets of the simulation included. */
export interface PoolDescription {
  readonly name: string;
  readonly url: string;
  readonly plainUrl: string | null;
  readonly username: string;
  readonly password: string;
  readonly hosts: readonly { readonly name: string; readonly url: string; readonly fingerprint: string }[];
}

/** Serves the control verbs: `POST /<pool>/<verb>` with the arguments as a JSON array; `GET /` describes the pools. */
export async function serveControl(
  pools: ReadonlyMap<string, PoolControl>,
  describe: () => readonly PoolDescription[],
): Promise<ControlServer> {
  const server = createServer((request, response) => {
    void answer(request, pools, describe).then(
      (body) => send(response, 200, body),
      (error: unknown) =>
        send(response, 400, { error: error instanceof Error ? error.message : String(error) }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => close(server) };
}

async function answer(
  request: IncomingMessage,
  pools: ReadonlyMap<string, PoolControl>,
  describe: () => readonly PoolDescription[],
): Promise<unknown> {
  if (request.method === 'GET') return { pools: describe() };
  const [, poolName = '', verbName = ''] = (request.url ?? '').split('/').map(decodeURIComponent);
  const control = pools.get(poolName);
  if (control === undefined)
    throw new Error(`there is no pool "${poolName}"; known: ${[...pools.keys()].join(', ')}`);
  const verb = verbs.find((known) => known === verbName);
  if (verb === undefined) throw new Error(`there is no verb "${verbName}"; known: ${verbs.join(', ')}`);
  const body = await readBody(request);
  const parsed: unknown = body === '' ? [] : JSON.parse(body);
  if (!Array.isArray(parsed)) throw new Error('the body must be a JSON array of arguments');
  return { result: encode(await invoke(control, verb, parsed.map(decode))) };
}

/** Arguments come from JSON; each verb checks what it is given. */
function invoke(control: PoolControl, verb: Verb, parameters: readonly unknown[]): Promise<unknown> {
  const methods = control as unknown as Record<Verb, (...parameters: readonly unknown[]) => Promise<unknown>>;
  return methods[verb](...parameters);
}

/** Bytes travel as `{ "$base64": "…" }`. */
export function encode(value: unknown): unknown {
  return value instanceof Uint8Array ? { $base64: Buffer.from(value).toString('base64') } : (value ?? null);
}

export function decode(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const bytes = (value as { $base64?: unknown }).$base64;
  return typeof bytes === 'string' ? Buffer.from(bytes, 'base64') : value;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > bodyLimitBytes) throw new Error(`the body is larger than ${bodyLimitBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function send(response: ServerResponse, status: number, body: unknown): void {
  // Kept open, it would be closed after some idle seconds, just as a program that was busy meanwhile sends its next call:
  // such a call fails, and nobody could tell whether it was carried out.
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify(body));
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
