import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Inlet } from '../../lib/xapi/inlet';
import { SocketInlet } from '../../lib/xapi/socket-inlet';

/** Two ends of one connection. */
export interface SocketPair {
  readonly client: Socket;
  /** What the client receives. */
  readonly inlet: Inlet;
  readonly server: Socket;
  close(): void;
}

export async function socketPair(): Promise<SocketPair> {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const inlet = new SocketInlet();
  const { port } = listener.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', onread: inlet.onread });
  inlet.attach(client);
  const [server] = await accepted;
  server.on('error', () => undefined);
  return {
    client,
    inlet,
    server,
    close: () => {
      client.destroy();
      server.destroy();
      listener.close();
    },
  };
}
