/** Three pages for machines: metrics, whether the agent lives, whether it has seen its pools. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>;

export interface Served extends AsyncDisposable {
  /** With the port that was given, where any was asked for. */
  readonly url: string;
}

/** Who asks slowly is not waited for; these pages are small. */
const requestWithinMs = 10_000;
const connectionsMax = 64;

/**
 * Serves pages at `host:port`, to GET and HEAD.
 * @throws where the address cannot be understood, or is taken
 */
export async function serve(address: string, pages: Pages): Promise<Served> {
  const { host, port } = parseAddress(address);
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const page = request.method === 'GET' || request.method === 'HEAD' ? pages[path] : undefined;
    // A page that fails is told without its reason: it is for the log, and a stranger may be asking.
    void Promise.resolve(page?.() ?? { status: 404, type: 'text/plain', text: 'no such page\n' })
      .catch(() => ({ status: 500, type: 'text/plain', text: 'the page cannot be made\n' }))
      .then(({ status, type, text }) => {
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
        response.end(request.method === 'HEAD' ? undefined : text);
      });
  });
  server.requestTimeout = requestWithinMs;
  server.headersTimeout = requestWithinMs;
  server.maxConnections = connectionsMax;
  await listening(server, host, port);
  const bound = server.address() as AddressInfo;
  const shown = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `http://${shown}:${String(bound.port)}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** `127.0.0.1:9464`, `[::1]:9464`, `:9464` for this machine only. @throws Error naming what is wrong */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error(
      `Cannot serve metrics at "${address}": write host:port, such as 127.0.0.1:9464, [::1]:9464 or 0.0.0.0:9464`,
    );
  }
  return { host: match[1] ?? (match[2] === '' || match[2] === undefined ? '127.0.0.1' : match[2]), port };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new Error(`Cannot serve metrics at ${host}:${String(port)}: ${error.message}`, { cause: error }),
      ),
    );
    server.listen(port, host, () => resolve());
  });
}
