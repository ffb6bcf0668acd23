import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { ReceivedBy } from '../../lib/xapi/dial';
import type { Ref } from '../../lib/xapi';
import { openTransfer } from '../../lib/xapi/transfer-request';
import { Trust } from '../../lib/xapi/trust';

const coordinator = {
  ref: 'OpaqueRef:host' as Ref<'host'>,
  name: 'host',
  address: '127.0.0.1',
  isCoordinator: true,
  plugged: true,
  enabled: true,
  live: true,
};

/** Between the request and the head of its answer nobody reads yet: what ends the connection must reach who waits, and no one else. */
describe.each<ReceivedBy>(['this-thread', 'own-thread'])(
  'before the answer, received by %s',
  (receivedBy) => {
    let listener: Server;
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);

    beforeEach(async () => {
      unhandled.length = 0;
      process.on('uncaughtException', note);
      listener = createServer().listen(0, '127.0.0.1');
      await once(listener, 'listening');
    });

    afterEach(async () => {
      listener.close();
      await once(listener, 'close');
      process.off('uncaughtException', note);
      expect(unhandled).toEqual([]);
    });

    function open(signal?: AbortSignal): ReturnType<typeof openTransfer> {
      const { port } = listener.address() as AddressInfo;
      const trust = new Trust({
        name: 'paris',
        url: 'http://127.0.0.1',
        username: 'root',
        password: () => Promise.resolve(''),
        tls: { kind: 'insecure' },
        legacyTls: false,
      });
      return openTransfer({
        target: { method: 'GET', path: '/export_raw_vdi', query: {} },
        credentials: { session_id: 's', task_id: 't' },
        hosts: [],
        host: coordinator,
        coordinator: { hostname: '127.0.0.1', port },
        dial: { poolName: 'paris', trust, secure: false, signal },
        receivedBy,
        headTimeoutMs: 60_000,
      });
    }

    /** The other end, once it has heard the request. */
    async function asked(): Promise<Socket> {
      const [socket] = (await once(listener, 'connection')) as [Socket];
      socket.on('error', () => undefined);
      await once(socket, 'data');
      return socket;
    }

    test('a connection that breaks fails the transfer', async () => {
      const [opening, heard] = [open(), asked()];
      const refused = expect(opening).rejects.toMatchObject({ kind: 'connection' });
      const socket = await heard;
      socket.resetAndDestroy();
      await refused;
    });

    test('a wish to stop ends it', async () => {
      const stop = new AbortController();
      const [opening, heard] = [open(stop.signal), asked()];
      const refused = expect(opening).rejects.toMatchObject({ kind: 'aborted' });
      const socket = await heard;
      const closed = once(socket, 'close');
      stop.abort();
      await Promise.all([refused, closed]);
    });
  },
);
