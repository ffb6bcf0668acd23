import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createSecureServer, createServer } from 'node:http2';
import type { Http2Server, Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { ConnectRouter } from '@connectrpc/connect';
import { GRPCController, GRPCStdio } from '../wire/generated/plugin_pb';
import { Provider } from '../wire/generated/tfplugin6_pb';
import type { ProviderServer } from '../framework/provider-server';
import { providerService } from '../protocol/provider-service';
import type { ServerCertificate } from './certificate';

/** What happens to the connection; each may be told more than once. */
export interface ListenerEvents {
  readonly onConnect: () => void;
  /** Terraform asked for the end; it hangs up once it has our answer. */
  readonly onShutdown: () => void;
  /** Terraform's end of the connection closed: it is done, or it died. */
  readonly onDisconnect: () => void;
}

export interface Mutual {
  readonly server: ServerCertificate;
  /** The only client to let in, as PEM. */
  readonly clientCertificatePem: string;
}

export interface Listener {
  readonly socketPath: string;
  /** Resolves as soon as nobody is connected. */
  readonly disconnected: () => Promise<void>;
  /** Cuts all connections and removes the socket with its folder. */
  readonly close: () => void;
}

/** Room for large states in flight; the protocol's default of 64 KiB makes both ends wait for each other. */
const windowBytes = 1024 * 1024;

/**
 * Serves gRPC over a unix socket in a folder that only this user can enter. With `mutual` over TLS and for the one
 * client whose certificate Terraform gave us, else in clear text.
 */
export async function listen<Configured>(
  server: ProviderServer<Configured>,
  mutual: Mutual | null,
  events: ListenerEvents,
): Promise<Listener> {
  const folder = mkdtempSync(join(tmpdir(), 'tfp-'));
  const socketPath = join(folder, 's');
  const sessions = new Set<ServerHttp2Session>();
  const http2 = createHttp2Server(mutual, requestListener(server, events));
  http2.on('session', (session) => {
    sessions.add(session);
    events.onConnect();
    session.on('close', () => {
      sessions.delete(session);
      if (sessions.size === 0) events.onDisconnect();
    });
    // A reset by a dying Terraform; 'close' follows.
    session.on('error', () => undefined);
  });
  const disconnected = async () => {
    if (sessions.size === 0) return;
    await Promise.all([...sessions].map((session) => once(session, 'close')));
  };
  const close = () => {
    http2.close();
    for (const session of sessions) session.destroy();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => http2.once('error', reject).listen(socketPath, resolve));
  } catch (failure) {
    close();
    throw failure;
  }
  return { socketPath, disconnected, close };
}

type RequestListener = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

function createHttp2Server(mutual: Mutual | null, onRequest: RequestListener): Http2Server {
  const settings = { initialWindowSize: windowBytes };
  if (mutual === null) return createServer({ settings }, onRequest);
  const { server, clientCertificatePem } = mutual;
  return createSecureServer(
    {
      settings,
      key: server.keyPem,
      cert: server.certificatePem,
      ca: clientCertificatePem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    onRequest,
  );
}

function requestListener<Configured>(
  server: ProviderServer<Configured>,
  events: ListenerEvents,
): RequestListener {
  return connectNodeAdapter({
    grpc: true,
    grpcWeb: false,
    connect: false,
    routes: (router) => addServices(router, server, events),
  });
}

function addServices<Configured>(
  router: ConnectRouter,
  server: ProviderServer<Configured>,
  events: ListenerEvents,
): void {
  router.service(Provider, providerService(server));
  router.service(GRPCController, {
    shutdown: () => {
      events.onShutdown();
      return {};
    },
  });
  router.service(GRPCStdio, {
    // Nothing is ever sent on it; that it ends tells that Terraform is gone, also when it was killed.
    async *streamStdio(_request, { signal }) {
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      events.onDisconnect();
      yield* [];
    },
  });
}
