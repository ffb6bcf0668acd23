import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';

import type { Line } from '../line';
import { Connection, ConnectionLostError } from '../transfer/connection';
import type { TransferHost, TransferPool } from '../transfer/pool-side';
import { openExport, serveCommands } from './nbd-export';
import { greeting, Negotiation, type Step } from './nbd-negotiation';

export interface NbdServerOptions {
  readonly host: TransferHost;
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** PEM of the host's key and certificate, for STARTTLS. */
  readonly key: string;
  readonly cert: string;
  /** False while the host is switched off. Default: always true. */
  readonly takesConnections?: () => boolean;
}

export interface NbdServer {
  readonly address: string;
  readonly port: number;
  /** Cuts every connection, as when the host loses power. */
  cut(): void;
  /** Rejects with whatever went wrong in the server itself since it was started. */
  close(): Promise<void>;
}

/** A connection beyond these is accepted and closed at once, without a byte. */
const MOST_CONNECTIONS = 16;

/**
 * Starts the NBD server of one host. As long as no network has a purpose, or networks of both kinds have one, every connection is
 * closed before the greeting; with purpose `nbd` nothing but STARTTLS is answered in clear.
 */
export async function startNbdServer(options: NbdServerOptions, pool: TransferPool): Promise<NbdServer> {
  const secureContext = createSecureContext({ key: options.key, cert: options.cert });
  const sockets = new Set<Socket>();
  const served = new Set<Promise<void>>();
  const defects: unknown[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (sockets.size >= MOST_CONNECTIONS || options.takesConnections?.() === false) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const serving = serveConnection(socket, secureContext, options.host, pool)
      .catch((error: unknown) => void defects.push(error))
      .finally(() => {
        socket.destroy();
        served.delete(serving);
      });
    served.add(serving);
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(options.port, options.address);
  await once(server, 'listening');
  return {
    address: options.address,
    port: (server.address() as AddressInfo).port,
    cut,
    async close() {
      server.close();
      cut();
      await Promise.all(served);
      if (defects.length > 0) throw new AggregateError(defects, 'the NBD server failed');
    },
  };
}

/** One client from greeting to disconnect. Whatever it does wrong ends the connection, as the real server does without a word. */
async function serveConnection(
  socket: Socket,
  secureContext: SecureContext,
  host: TransferHost,
  pool: TransferPool,
): Promise<void> {
  const purpose = pool.nbdPurpose();
  if (purpose === null) return;
  let connection = new Connection(socket, Buffer.alloc(0), host.line);
  const negotiation = new Negotiation(purpose === 'nbd');
  try {
    await connection.send(greeting());
    await negotiation.readClientFlags(connection);
    for (;;) {
      const step: Step = await negotiation.nextStep(connection);
      if (step.kind === 'end') return;
      if (step.kind === 'start-tls') connection = await secured(connection, socket, secureContext, host.line);
      if (step.kind === 'export') {
        const exported = openExport(step.name, host, pool);
        if (exported !== null) await serveCommands(connection, exported, host, pool);
        return;
      }
    }
  } catch (error) {
    if (!(error instanceof ConnectionLostError)) throw error;
  } finally {
    await connection.finish();
  }
}

async function secured(
  plain: Connection,
  socket: Socket,
  secureContext: SecureContext,
  line: Line,
): Promise<Connection> {
  // Bytes that came in together with the option are the beginning of the handshake.
  const early = plain.release();
  if (early.length > 0) socket.unshift(early);
  const secure = new TLSSocket(socket, { isServer: true, secureContext });
  await new Promise<void>((resolve, reject) => {
    const lost = (): void => {
      secure.destroy();
      socket.destroy();
      reject(new ConnectionLostError());
    };
    secure.once('secure', resolve);
    secure.once('error', lost);
    secure.once('close', lost);
    socket.once('close', lost);
    // What a failed handshake is called while the socket belongs to no TLS server.
    secure.once('_tlsError', lost);
  });
  return new Connection(secure, Buffer.alloc(0), line);
}
