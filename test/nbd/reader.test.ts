import type { Socket } from 'node:net';
import { NbdReach } from '../../lib/nbd';
import { selfSigned } from '../xapi/certificates';
import { fakeNbd, joined, mib, openReader, readAll, say, serverAt, simulatedNbd } from './servers';
import type { FakeScript, Request } from './servers';
import { makeCertificate } from '../../lib/simulator/http/certificate';

const whole = [{ offsetBytes: 0, lengthBytes: 4 * mib }];

describe('reading from a host of a pool', () => {
  test('yields exactly what is on the disk, in order, and detaches the disk', async () => {
    await using nbd = await simulatedNbd();
    const reader = await openReader([nbd.server]);
    const pieces = await readAll(reader, [
      { offsetBytes: 512, lengthBytes: 1024 },
      { offsetBytes: mib, lengthBytes: 2 * mib },
    ]);
    await reader.close();

    expect(reader.sizeBytes).toBe(4 * mib);
    expect(reader.bytesRead).toBe(1024 + 2 * mib);
    const wanted = Buffer.concat([nbd.content.subarray(512, 1536), nbd.content.subarray(mib, 3 * mib)]);
    expect(joined(pieces).equals(wanted)).toBe(true);
    expect(nbd.pool.attached).toEqual([]);
  });

  test('opens several connections where there is enough to read, and one where there is not', async () => {
    await using nbd = await simulatedNbd();
    const attachments = (): number => nbd.pool.events.filter((event) => event.startsWith('attach')).length;

    const small = await openReader([nbd.server], { connections: 3 });
    await readAll(small, [{ offsetBytes: 0, lengthBytes: 512 }]);
    await small.close();
    expect(attachments()).toBe(1);

    const large = await openReader([nbd.server], { connections: 3, requestBytesMax: 64 * 1024 });
    expect(joined(await readAll(large, whole)).equals(nbd.content)).toBe(true);
    await large.close();
    expect(attachments()).toBeGreaterThan(1);
    expect(nbd.pool.attached).toEqual([]);
  });

  test('a connection that is cut in the middle is opened again, and nothing is lost or doubled', async () => {
    await using nbd = await simulatedNbd();
    nbd.pool.faults.push({ kind: 'cut', afterBytes: 700_000 }, { kind: 'cut', afterBytes: 1_000_000 });
    const reader = await openReader([nbd.server]);

    expect(joined(await readAll(reader, whole)).equals(nbd.content)).toBe(true);
    await reader.close();
    expect(nbd.pool.attached).toEqual([]);
  });

  test('as many connections come about again after all of them broke', async () => {
    const asked = new Set<Socket>();
    await using fake = await fakeNbd({
      exportHead: say.exportHead(64 * mib),
      answer: ({ handle, lengthBytes }, socket) => {
        asked.add(socket);
        socket.write(Buffer.concat([say.reply(handle), Buffer.alloc(lengthBytes)]));
      },
    });
    const reader = await openReader([serverAt(fake.port)], { requestBytesMax: 4096 });
    const usedAtOnce: number[] = [];
    for await (const piece of reader.read([{ offsetBytes: 0, lengthBytes: 64 * mib }])) {
      expect(piece.data.length).toBe(4096);
      if (asked.size < 2) continue;
      usedAtOnce.push(asked.size);
      if (usedAtOnce.length === 2) break;
      for (const socket of asked) socket.destroy();
      asked.clear();
    }
    expect(usedAtOnce).toEqual([2, 2]);
    expect(fake.connections()).toBe(4);
  });

  test('a server that has no room for a second connection does not keep the first from working', async () => {
    await using nbd = await simulatedNbd();
    let asked = 0;
    const reader = await openReader([], {
      connections: 4,
      requestBytesMax: 64 * 1024,
      servers: () => {
        asked += 1;
        return Promise.resolve(asked === 1 ? [nbd.server] : [serverAt(1), serverAt(1)]);
      },
    });

    expect(joined(await readAll(reader, whole)).equals(nbd.content)).toBe(true);
    await reader.close();
  });

  test('a slow consumer stops the server: no more than the window is under way', async () => {
    const asked: Request[] = [];
    await using fake = await fakeNbd({
      exportHead: say.exportHead(64 * mib),
      answer: (request, socket) => {
        asked.push(request);
        socket.write(Buffer.concat([say.reply(request.handle), Buffer.alloc(request.lengthBytes)]));
      },
    });
    const reader = await openReader([serverAt(fake.port)], { connections: 1 });
    const pieces = reader.read([{ offsetBytes: 0, lengthBytes: 64 * mib }])[Symbol.asyncIterator]();
    await pieces.next();
    await pieces.next();

    expect(asked.length).toBeLessThanOrEqual(2 + 8);
    await pieces.return?.();
  });

  test('replies may come in any order', async () => {
    const held: Request[] = [];
    await using fake = await fakeNbd({
      answer: (request, socket) => {
        held.push(request);
        if (held.length < 4) return;
        for (const { handle, lengthBytes, offsetBytes } of held.splice(0).reverse()) {
          const data = Buffer.alloc(lengthBytes, offsetBytes / lengthBytes);
          socket.write(Buffer.concat([say.reply(handle), data]));
        }
      },
    });
    const reader = await openReader([serverAt(fake.port)], { connections: 1 });
    const pieces = await readAll(reader, [{ offsetBytes: 0, lengthBytes: mib }]);
    await reader.close();

    expect(pieces.map(({ data }) => data[0])).toEqual([0, 1, 2, 3]);
  });

  test('stopping early, and aborting, close every connection', async () => {
    await using nbd = await simulatedNbd();
    const stopped = await openReader([nbd.server]);
    for await (const piece of stopped.read(whole)) {
      expect(piece.offsetBytes).toBe(0);
      break;
    }
    const stop = new AbortController();
    const aborted = await openReader([nbd.server], { signal: stop.signal });
    const reading = readAll(aborted, whole);
    stop.abort();

    await expect(reading).rejects.toMatchObject({ name: 'NbdError', kind: 'aborted' });
  });
});

describe('what is refused', () => {
  const one = [{ offsetBytes: 0, lengthBytes: 4096 }];

  test('a host that shows another certificate than the pool announced, though it bears the name', async () => {
    await using nbd = await simulatedNbd();
    const other = makeCertificate('nbd.test', ['127.0.0.1']).certificatePem;
    await expect(openReader([{ ...nbd.server, certificatePem: other }])).rejects.toMatchObject({
      kind: 'tls',
      retry: 'never',
    });
    // The export name carries the session: it must not have been sent.
    expect(nbd.pool.events).toEqual([]);
  });

  test('a certificate without the announced name, and one that cannot be read', async () => {
    await using nbd = await simulatedNbd();
    await expect(openReader([{ ...nbd.server, subject: 'another.host' }])).rejects.toMatchObject({
      kind: 'tls',
    });
    await expect(openReader([{ ...nbd.server, certificatePem: 'none' }])).rejects.toMatchObject({
      kind: 'tls',
    });
    expect(nbd.pool.events).toEqual([]);
  });

  test('but not a name that the certificate bears as it is written: a wildcard of two labels, an address as its CN', async () => {
    const named = async (certificatePem: string, keyPem: string, subject: string): Promise<number> => {
      await using fake = await fakeNbd({ shown: { keyPem, certificatePem } });
      const reader = await openReader([serverAt(fake.port, { certificatePem, subject })]);
      await reader.close();
      return reader.sizeBytes;
    };
    const wild = makeCertificate('*.lan', []);
    expect(await named(wild.certificatePem, wild.keyPem, '*.lan')).toBe(mib);
    const numbered = await selfSigned('10.0.0.7');
    expect(await named(numbered.cert, numbered.key, '10.0.0.7')).toBe(mib);
    await expect(named(numbered.cert, numbered.key, '10.0.0.8')).rejects.toMatchObject({ kind: 'tls' });
  });

  test('a server that serves in clear only', async () => {
    await using nbd = await simulatedNbd();
    nbd.pool.purpose = 'insecure_nbd';
    await expect(openReader([nbd.server])).rejects.toMatchObject({
      kind: 'tls',
      message: expect.stringContaining('nothing is read in clear') as string,
    });
  });

  test('a network without a purpose, a session that ended, a disk that is gone', async () => {
    await using nbd = await simulatedNbd();
    const refused = { ...nbd.server, exportName: '/disk?session_id=OpaqueRef:ended' };
    const failure = await openReader([refused]).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: 'refused' });
    // The name of the export is as good as the password.
    expect(String(failure)).not.toContain('OpaqueRef');
    nbd.pool.purpose = null;
    await expect(openReader([nbd.server])).rejects.toMatchObject({ kind: 'connection' });
  });

  const broken: readonly (readonly [string, FakeScript, string])[] = [
    ['a greeting that is none', { greeting: Buffer.alloc(18, 'x') }, 'protocol'],
    ['old style', { greeting: Buffer.from('NBDMAGICIHAVEOPT\0\0', 'latin1') }, 'protocol'],
    ['a reply to another option', { startTls: say.optionReply(7, 1) }, 'protocol'],
    ['STARTTLS unknown', { startTls: say.optionReply(5, 0x80000001) }, 'tls'],
    [
      'words in clear after STARTTLS',
      { startTls: Buffer.concat([say.optionReply(5, 1), say.greeting]) },
      'protocol',
    ],
    ['padding that is not zero', { exportHead: Buffer.alloc(134, 1) }, 'protocol'],
    ['no flags', { exportHead: Buffer.alloc(134) }, 'protocol'],
  ];
  test.each(broken)('%s', async (_what, script, kind) => {
    await using fake = await fakeNbd(script);
    await expect(openReader([serverAt(fake.port)], { openFailuresMax: 0 })).rejects.toMatchObject({ kind });
  });

  const bad: readonly (readonly [string, NonNullable<FakeScript['answer']>, string])[] = [
    [
      'a handle that was never used',
      ({ lengthBytes }, socket) =>
        void socket.write(Buffer.concat([say.reply(99n), Buffer.alloc(lengthBytes)])),
      'protocol',
    ],
    ['an error', ({ handle }, socket) => void socket.write(say.reply(handle, 5)), 'refused'],
    [
      'something that is no reply',
      ({ handle }, socket) => void socket.write(say.reply(handle, 0, 0x668e33ef)),
      'protocol',
    ],
    [
      'less than was asked for',
      ({ handle }, socket) => void socket.end(Buffer.concat([say.reply(handle), Buffer.alloc(4095)])),
      'connection',
    ],
    ['nothing, and closes', (_request, socket) => void socket.destroy(), 'connection'],
  ];
  test.each(bad)(
    'a server that answers a read with %s: given up after the bound',
    async (_what, answer, kind) => {
      await using fake = await fakeNbd({ answer });
      const reader = await openReader([serverAt(fake.port)], { connections: 1 });
      await expect(readAll(reader, one)).rejects.toMatchObject({ name: 'NbdError', kind });
      expect(fake.connections()).toBe(3);
    },
  );

  test('a server that takes a connection and says nothing is tried twice, within the bound for connecting', async () => {
    await using mute = await fakeNbd({ greeting: null });
    const timings = { connectMaxMs: 100, openMaxMs: 200_000, silenceMaxMs: 200_000 };
    await expect(
      openReader([serverAt(mute.port)], { timings, failuresMax: 100, openFailuresMax: 1 }),
    ).rejects.toMatchObject({ kind: 'timeout', what: 'no TLS connection within 100 ms' });
    expect(mute.connections()).toBe(2);
  });

  test('silence: while opening, and while a reply is due', async () => {
    const timings = { connectMaxMs: 20_000, openMaxMs: 300, silenceMaxMs: 100 };
    await using mute = await fakeNbd({ greeting: null });
    await expect(openReader([serverAt(mute.port)], { timings, openFailuresMax: 0 })).rejects.toMatchObject({
      kind: 'timeout',
    });
    await using deaf = await fakeNbd({ answer: () => undefined });
    // On a machine that stands still the bound may be reached while opening.
    const reading = openReader([serverAt(deaf.port)], {
      timings: { connectMaxMs: 20_000, openMaxMs: 20_000, silenceMaxMs: 100 },
      failuresMax: 0,
    }).then((reader) => readAll(reader, one));
    await expect(reading).rejects.toMatchObject({ kind: 'timeout' });
  });

  test('a pool that names no server', async () => {
    await expect(openReader([])).rejects.toMatchObject({ kind: 'refused' });
  });
});

describe('what readers learn of a server for each other', () => {
  async function learned(script: FakeScript, reach = new NbdReach()): Promise<readonly string[]> {
    await using fake = await fakeNbd(script);
    const reader = await openReader([serverAt(fake.port)], { reach }).catch(() => null);
    await reader?.close();
    return [...reach.unreached().values()];
  }

  test('that it is no NBD server, or will not speak TLS with us', async () => {
    expect(await learned({ greeting: Buffer.alloc(18, 'x') })).toHaveLength(1);
    expect(await learned({ startTls: say.optionReply(5, 0x80000001) })).toHaveLength(1);
  });

  test('that nobody listens', async () => {
    const reach = new NbdReach();
    await expect(openReader([serverAt(1)], { reach })).rejects.toMatchObject({ kind: 'connection' });
    expect([...reach.unreached().keys()]).toEqual(['127.0.0.1:1']);
  });

  test('nothing, where one disk is refused, or a host that is full closes without a word', async () => {
    expect(await learned({ exportHead: Buffer.alloc(134) })).toEqual([]);
    expect(await learned({ greeting: Buffer.alloc(0), greetingEnds: true })).toEqual([]);
    await using nbd = await simulatedNbd();
    const reach = new NbdReach();
    const other = { ...nbd.server, exportName: '/another?session_id=OpaqueRef:ended' };
    await expect(openReader([other], { reach })).rejects.toMatchObject({ kind: 'refused' });
    expect(reach.unreached().size).toBe(0);
  });

  test('nothing of a server that was reached before; and one that is reached again is forgiven', async () => {
    await using nbd = await simulatedNbd();
    const reach = new NbdReach();
    const strange = { ...nbd.server, subject: 'another.host' };
    await expect(openReader([strange], { reach })).rejects.toMatchObject({ kind: 'tls' });
    expect(reach.unreached().size).toBe(1);
    await (await openReader([nbd.server], { reach })).close();
    expect(reach.unreached().size).toBe(0);
    await expect(openReader([strange], { reach })).rejects.toMatchObject({ kind: 'tls' });
    expect(reach.unreached().size).toBe(0);
  });
});
