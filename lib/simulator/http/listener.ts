import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Release } from '../datamodel/releases';
import type { HostCertificate } from './certificate';
import { serveConnection, type ConnectionContext } from './connection';

/** Connections that a host serves at a time; more are accepted and wait. */
const connectionLimit = 800;

/** A listening host. */
export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Cuts every connection, as when the host loses power. */
  cut(): void;
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** Null: plain HTTP. */
  readonly certificate: HostCertificate | null;
  readonly release: Release;
  /** Looked up per connection, since the context is made after the port is known. */
  readonly context: () => ConnectionContext | null;
}

/** Starts listening. Rejects with the socket's error (`EADDRINUSE`, `EADDRNOTAVAIL`). */
export async function listen(options: ListenOptions): Promise<Listener> {
  const sockets = new Set<Socket>();
  const waiting: (() => void)[] = [];
  const accept = (socket: Socket): void => {
    const context = options.context();
    if (context === null || isOff(context)) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => {
      sockets.delete(socket);
      waiting.shift()?.();
    });
    if (sockets.size > connectionLimit) waiting.push(() => void serveConnection(socket, context));
    else void serveConnection(socket, context);
  };
  const server = makeServer(options, accept);
  const raw = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    const context = options.context();
    if (context !== null && isOff(context)) {
      socket.destroy();
      return;
    }
    raw.add(socket);
    socket.on('close', () => raw.delete(socket));
  });
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.address, port: options.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of [...sockets, ...raw]) socket.destroy();
  };
  return { address: options.address, port, cut, close: () => closeServer(server, cut) };
}

/** Switched off, a host answers nobody: not even those that connect again. */
function isOff({ pool, host }: ConnectionContext): boolean {
  return pool.offline.has(host.ref);
}

function makeServer(options: ListenOptions, accept: (socket: Socket) => void): Server {
  if (options.certificate === null) return createServer({ allowHalfOpen: true }, accept);
  const old = options.release === '6.5';
  return createTlsServer(
    {
      key: options.certificate.keyPem,
      cert: options.certificate.certificatePem,
      allowHalfOpen: true,
      minVersion: old ? 'TLSv1' : 'TLSv1.2',
      ...(old ? { maxVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
    },
    accept,
  );
}

async function closeServer(server: Server, cut: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  cut();
  await closed;
}
