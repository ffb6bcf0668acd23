import { EventEmitter, once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import workerThreads from 'node:worker_threads';
import fc from 'fast-check';
import { dialToReceive, type Received, type ReceivedBy } from '../../lib/xapi/dial';
import { Trust } from '../../lib/xapi/trust';
import { selfSigned, type Certificate } from './certificates';

const mib = 1024 * 1024;
const ways: readonly { readonly receivedBy: ReceivedBy; readonly secure: boolean }[] = [
  { receivedBy: 'this-thread', secure: true },
  { receivedBy: 'this-thread', secure: false },
  { receivedBy: 'own-thread', secure: true },
  { receivedBy: 'own-thread', secure: false },
];

interface Line extends Received {
  readonly server: Socket;
  /** Resolves when nothing is left of it at either end. */
  readonly closed: Promise<unknown>;
}

function closing(end: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => end.once('close', () => resolve()));
}

describe.each(ways)('what a connection receives by $receivedBy, TLS: $secure', ({ receivedBy, secure }) => {
  let certificate: Certificate;
  let listener: Server;
  let line: Line;

  beforeAll(async () => {
    certificate = await selfSigned('host');
    listener = secure ? createTlsServer(certificate) : createServer();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
  });

  afterAll(async () => {
    listener.close();
    await once(listener, 'close');
  });

  beforeEach(async () => {
    line = await open();
  });

  afterEach(() => close(line));

  function dialled(fingerprint = certificate.fingerprint): Promise<Received> {
    const { port } = listener.address() as AddressInfo;
    const trust = new Trust({
      name: 'paris',
      url: 'https://127.0.0.1',
      username: 'root',
      password: () => Promise.resolve(''),
      tls: { kind: 'fingerprints', sha256: [fingerprint] },
      legacyTls: false,
    });
    return dialToReceive({ hostname: '127.0.0.1', port }, receivedBy, { poolName: 'paris', trust, secure });
  }

  async function open(): Promise<Line> {
    const accepted = once(listener, secure ? 'secureConnection' : 'connection') as Promise<[Socket]>;
    const [received, [server]] = await Promise.all([dialled(), accepted]);
    server.on('error', () => undefined);
    received.wire.on('error', () => undefined);
    return { ...received, server, closed: Promise.all([closing(server), closing(received.wire)]) };
  }

  async function close({ wire, server, closed }: Line): Promise<void> {
    wire.destroy();
    server.destroy();
    await closed;
  }

  /** Reads to the end; every few pieces lets the sender go on alone for a while. */
  async function readAll(pauseEvery: number): Promise<Buffer> {
    const all: Buffer[] = [];
    for (let piece = await line.inlet.read(); piece !== null; piece = await line.inlet.read()) {
      // It stays as it is until the next call, whatever comes meanwhile.
      if (all.length % pauseEvery === 0) await new Promise((resolve) => setImmediate(resolve));
      all.push(Buffer.from(piece));
    }
    return Buffer.concat(all);
  }

  it('comes whole and in order, however it was sent and however slowly it is read', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 * mib }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        async (lengths, pauseEvery) => {
          await close(line);
          line = await open();
          const sent = lengths.map((length, nth) =>
            Buffer.alloc(
              length,
              Buffer.from(Array.from({ length: 97 }, (_, at) => (at * 31 + nth * 7) % 251)),
            ),
          );
          for (const bytes of sent) line.server.write(bytes);
          line.server.end();
          expect((await readAll(pauseEvery)).equals(Buffer.concat(sent))).toBe(true);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('goes on after any number of pauses: many times what there is memory for', async () => {
    const period = Buffer.from(Array.from({ length: 1021 }, (_, at) => (at * 7) % 256));
    const sent = Buffer.alloc(48 * mib, period);
    line.server.end(sent);
    expect((await readAll(2)).equals(sent)).toBe(true);
  });

  it('is not taken from the line as long as nobody reads: memory does not grow with what is sent', async () => {
    const sentBytes = 128 * mib;
    line.server.end(Buffer.alloc(sentBytes, 7));
    // The line is full once the sender has stopped getting rid of anything, for as long as it takes to send all of it.
    let leftBytes = sentBytes;
    for (let turn = 0; turn < 400; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      leftBytes = line.server.writableLength;
    }
    // The kernel holds some on both sides, too.
    expect(leftBytes).toBeGreaterThan(sentBytes / 2);
    expect(await readAll(3)).toHaveLength(sentBytes);
  });

  it('ends with null, again and again', async () => {
    line.server.end('all');
    expect(String(await line.inlet.read())).toBe('all');
    expect(await line.inlet.read()).toBeNull();
    expect(await line.inlet.read()).toBeNull();
  });

  it('is followed by what ended it', async () => {
    line.server.write('all that came');
    await line.inlet.arrival();
    line.wire.destroy(new Error('read ECONNRESET'));
    await closing(line.wire);
    expect(String(await line.inlet.read())).toBe('all that came');
    await expect(line.inlet.read()).rejects.toThrow('read ECONNRESET');
  });

  it('fails where the connection is closed before the end', async () => {
    const reading = line.inlet.read();
    line.wire.destroy();
    await expect(reading).rejects.toThrow('closed before its end');
  });

  it('can be waited for, with a bound', async () => {
    expect(await line.inlet.arrival(1)).toBe(false);
    line.server.write('late');
    expect(await line.inlet.arrival(60_000)).toBe(true);
    expect(String(await line.inlet.read())).toBe('late');
  });

  it('can be given back: the next read begins with it', async () => {
    line.server.write('more');
    line.inlet.unread(Buffer.from('second '));
    line.inlet.unread(Buffer.from('first '));
    expect(String(await line.inlet.read())).toBe('first second ');
    expect(String(await line.inlet.read())).toBe('more');
  });

  it('is asked for over the same connection', async () => {
    const request = once(line.server, 'data') as Promise<[Buffer]>;
    const written = new Promise((resolve) => line.wire.write('GET /', resolve));
    expect(String((await request)[0])).toBe('GET /');
    expect((await written) ?? null).toBeNull();
  });

  it('ends for both sides when it is destroyed, and once only', async () => {
    const ends: string[] = [];
    line.wire.on('close', () => ends.push('close'));
    line.server.resume();
    line.wire.destroy();
    line.wire.destroy(new Error('too late'));
    await line.closed;
    await new Promise((resolve) => setImmediate(resolve));
    expect(ends).toEqual(['close']);
  });

  if (secure) {
    it('is nothing where the host is not the one that was pinned, which is sent nothing', async () => {
      const heard: Buffer[] = [];
      listener.once('secureConnection', (socket: Socket) => socket.on('data', (data) => heard.push(data)));
      const stranger = await selfSigned('stranger');
      await expect(dialled(stranger.fingerprint)).rejects.toMatchObject({ kind: 'tls', retry: 'never' });
      expect(heard).toEqual([]);
    });
  }
});

test.each(['this-thread', 'own-thread'] as const)(
  'a host that is not there is told as one, by %s',
  async (receivedBy) => {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    listener.close();
    await once(listener, 'close');
    const dialled = dialToReceive({ hostname: '127.0.0.1', port }, receivedBy, {
      poolName: 'paris',
      trust: insecure(),
      secure: true,
    });
    await expect(dialled).rejects.toMatchObject({ kind: 'connection', retry: 'later' });
    await expect(dialled).rejects.toThrow('ECONNREFUSED');
  },
);

test.each<readonly [string, () => EventEmitter]>([
  [
    'is to be had',
    () => {
      throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
    },
  ],
  [
    'gets as far as to connect',
    () => {
      const thread = Object.assign(new EventEmitter(), {
        terminate: () => Promise.resolve(1),
        postMessage: () => undefined,
      });
      setImmediate(() => thread.emit('error', new Error('Worker terminated due to reaching memory limit')));
      return thread;
    },
  ],
])('where no thread %s, this one receives', async (_when, start) => {
  const started = jest.spyOn(workerThreads, 'Worker').mockImplementation(start as never);
  const listener = createServer((socket) => socket.end('all of it')).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const { wire, inlet } = await dialToReceive({ hostname: '127.0.0.1', port }, 'own-thread', {
    poolName: 'paris',
    trust: insecure(),
    secure: false,
  });
  expect(started).toHaveBeenCalledTimes(1);
  started.mockRestore();
  expect(String(await inlet.read())).toBe('all of it');
  expect(await inlet.read()).toBeNull();
  wire.destroy();
  listener.close();
  await once(listener, 'close');
});

function insecure(): Trust {
  return new Trust({
    name: 'paris',
    url: 'https://127.0.0.1',
    username: 'root',
    password: () => Promise.resolve(''),
    tls: { kind: 'insecure' },
    legacyTls: false,
  });
}
