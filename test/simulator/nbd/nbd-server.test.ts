import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { makeCertificate } from '../../../lib/simulator/http/certificate';
import { startNbdServer, type NbdServer } from '../../../lib/simulator/nbd';
import { describeWithTool } from '../../foreign-tools';
import { pattern } from '../storage/open-store';
import { SESSION, TestPool } from '../transfer/transfer-pool';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const GREETING = Buffer.from('NBDMAGICIHAVEOPT\0\x01', 'latin1');

interface Fixture extends AsyncDisposable {
  readonly pool: TestPool;
  readonly server: NbdServer;
}

/** A server with one disk `disk` of 4 MiB that begins with the pattern A. */
async function start(purpose: TestPool['purpose']): Promise<Fixture> {
  const pool = await TestPool.open();
  pool.purpose = purpose;
  await pool.addVdi('disk', 4 * MIB);
  await pool.store.write('disk', 0, pattern('A', 0, 4096));
  const host = pool.hosts[0];
  if (host === undefined) throw new Error('the test pool has no host');
  const { keyPem, certificatePem } = makeCertificate('nbd.test', ['127.0.0.1']);
  const server = await startNbdServer(
    { host, address: '127.0.0.1', port: 0, key: keyPem, cert: certificatePem },
    pool,
  );
  return {
    pool,
    server,
    async [Symbol.asyncDispose]() {
      await server.close();
      await pool.close();
    },
  };
}

/** Sends bytes and gives all that comes back until the server closes, or until `enough` bytes are there. */
async function talk(server: NbdServer, bytes: Buffer, enough = Infinity): Promise<Buffer> {
  const socket = connect({ port: server.port, host: server.address });
  const got: Buffer[] = [];
  socket.on('error', () => undefined);
  socket.write(bytes);
  const closed = once(socket, 'close');
  socket.on('data', (chunk: Buffer) => {
    got.push(chunk);
    if (Buffer.concat(got).length >= enough) socket.destroy();
  });
  await closed;
  return Buffer.concat(got);
}

function option(code: number, data = ''): Buffer {
  const head = Buffer.alloc(16);
  head.write('IHAVEOPT', 'latin1');
  head.writeUInt32BE(code, 8);
  head.writeUInt32BE(Buffer.byteLength(data), 12);
  return Buffer.concat([Buffer.from([0, 0, 0, 1]), head, Buffer.from(data)]);
}

function command(type: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(0x25609513, 0);
  bytes.writeUInt16BE(type, 6);
  bytes.writeBigUInt64BE(77n, 8);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

function optionReply(code: number, type: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeBigUInt64BE(0x0003e889045565a9n, 0);
  bytes.writeUInt32BE(code, 8);
  bytes.writeUInt32BE(type, 12);
  return bytes;
}

const NAME = `/disk?session_id=${SESSION}`;
const EXPORT_HEAD_BYTES = 8 + 2 + 124;

describe('quirk 37: NBD, before the greeting', () => {
  it('closes as long as no network has a purpose', async () => {
    await using fixture = await start(null);
    expect(await talk(fixture.server, option(3))).toEqual(Buffer.alloc(0));
  });

  it('closes the seventeenth connection at once', async () => {
    await using fixture = await start('insecure_nbd');
    const held = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const socket = connect({ port: fixture.server.port, host: '127.0.0.1' });
        await once(socket, 'data');
        return socket;
      }),
    );
    expect(await talk(fixture.server, Buffer.alloc(0))).toEqual(Buffer.alloc(0));
    for (const socket of held) socket.destroy();
  });
});

describe('quirk 37: NBD, options in clear', () => {
  it.each([
    ['LIST', 3, 0x80000002],
    ['STARTTLS', 5, 0x80000002],
    ['INFO', 6, 0x80000001],
    ['GO', 7, 0x80000001],
    ['STRUCTURED_REPLY', 8, 0x80000001],
    ['SET_META_CONTEXT', 10, 0x80000001],
    ['an unknown one', 99, 0x80000001],
  ])('%s is refused', async (_name, code, type) => {
    await using fixture = await start('insecure_nbd');
    const expected = Buffer.concat([GREETING, optionReply(code, type)]);
    expect(await talk(fixture.server, option(code, NAME), expected.length)).toEqual(expected);
  });

  it('ABORT is acknowledged, then the server closes', async () => {
    await using fixture = await start('insecure_nbd');
    expect(await talk(fixture.server, option(2))).toEqual(Buffer.concat([GREETING, optionReply(2, 1)]));
  });

  it.each([
    ['an unknown disk', `/other?session_id=${SESSION}`],
    ['a bad session', '/disk?session_id=OpaqueRef:x'],
    ['no session', '/disk'],
    ['no leading slash', NAME.slice(1)],
    ['an empty name', ''],
  ])('EXPORT_NAME with %s closes without a word', async (_what, name) => {
    await using fixture = await start('insecure_nbd');
    expect(await talk(fixture.server, option(1, name))).toEqual(GREETING);
    expect(fixture.pool.events).not.toContain('attach disk RO to host1');
  });

  it('EXPORT_NAME gives size, read-only flags and 124 zeros that cannot be switched off', async () => {
    await using fixture = await start('insecure_nbd');
    const noZeroes = Buffer.concat([
      Buffer.from([0, 0, 0, 3]),
      option(1, NAME).subarray(4),
      command(2, 0, 0),
    ]);
    const expected = Buffer.alloc(EXPORT_HEAD_BYTES);
    expected.writeBigUInt64BE(BigInt(4 * MIB), 0);
    expected.writeUInt16BE(3, 8);
    expect(await talk(fixture.server, noZeroes)).toEqual(Buffer.concat([GREETING, expected]));
  });
});

describe('quirk 37: NBD, while TLS is forced', () => {
  it.each([
    ['LIST', 3],
    ['INFO', 6],
    ['GO', 7],
    ['an unknown option', 99],
  ])('%s is answered with TLS_REQD', async (_name, code) => {
    await using fixture = await start('nbd');
    const expected = Buffer.concat([GREETING, optionReply(code, 0x80000005)]);
    expect(await talk(fixture.server, option(code), expected.length)).toEqual(expected);
  });

  it.each([
    ['EXPORT_NAME', option(1, NAME)],
    ['ABORT', option(2)],
  ])('%s in clear closes without a word', async (_name, bytes) => {
    await using fixture = await start('nbd');
    expect(await talk(fixture.server, bytes)).toEqual(GREETING);
  });
});

describe('quirk 37: NBD, STARTTLS', () => {
  it('is acknowledged; a client that does not speak TLS then is dropped', async () => {
    await using fixture = await start('nbd');
    const bytes = Buffer.concat([option(5), Buffer.from('this is no ClientHello')]);
    const got = await talk(fixture.server, bytes);
    expect(got.subarray(0, 38)).toEqual(Buffer.concat([GREETING, optionReply(5, 1)]));
  });

  it('does not keep the server from closing while a client says nothing', async () => {
    const fixture = await start('nbd');
    const socket = connect({ port: fixture.server.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.write(option(5));
    await once(socket, 'data');
    await fixture[Symbol.asyncDispose]();
    socket.destroy();
  });
});

describe('quirk 37: NBD, commands', () => {
  const begin = option(1, NAME);
  const lead = GREETING.length + EXPORT_HEAD_BYTES;

  it.each([
    ['a read at an offset that is no whole sector', command(0, 100, 512), 22],
    ['a read of a length that is no whole sector', command(0, 0, 100), 22],
    ['WRITE', command(1, 0, 512), 1],
    ['FLUSH', command(3, 0, 0), 22],
    ['TRIM', command(4, 0, 512), 22],
    ['BLOCK_STATUS', command(7, 0, 512), 22],
  ])('%s is answered with an error, then the server closes', async (_name, bytes, error) => {
    await using fixture = await start('insecure_nbd');
    const got = (await talk(fixture.server, Buffer.concat([begin, bytes, command(0, 0, 512)]))).subarray(
      lead,
    );
    expect(got.length).toBe(16);
    expect(got.readUInt32BE(0)).toBe(0x67446698);
    expect(got.readUInt32BE(4)).toBe(error);
    expect(got.readBigUInt64BE(8)).toBe(77n);
  });

  it('a read beyond the end closes without a reply', async () => {
    await using fixture = await start('insecure_nbd');
    expect((await talk(fixture.server, Buffer.concat([begin, command(0, 4 * MIB, 512)]))).length).toBe(lead);
  });

  it('the disk is attached while the client is there and detached afterwards', async () => {
    await using fixture = await start('insecure_nbd');
    await talk(fixture.server, Buffer.concat([begin, command(0, 0, 512), command(2, 0, 0)]));
    expect(fixture.pool.events).toEqual(['nbd of disk', 'attach disk RO to host1', 'detach disk RO']);
  });

  it('a disk may stay attached for a while after its client has left', async () => {
    await using fixture = await start('insecure_nbd');
    const { pool, server } = fixture;
    pool.faults.push({ kind: 'linger', ms: 1000 });
    const talked = talk(server, Buffer.concat([begin, command(0, 0, 512), command(2, 0, 0)]));
    while (pool.sleeping.length === 0) await new Promise(setImmediate);
    expect(pool.events).toEqual(['nbd of disk', 'attach disk RO to host1']);
    pool.wake();
    await talked;
    expect(pool.events).toContain('detach disk RO');
  });

  it('a fault in the data breaks the connection there', async () => {
    await using fixture = await start('insecure_nbd');
    fixture.pool.faults.push({ kind: 'cut', afterBytes: 600 });
    const got = await talk(fixture.server, Buffer.concat([begin, command(0, 0, 4096)]));
    expect(got.length).toBeLessThanOrEqual(lead + 16 + 600);
  });
});

describe('quirk 37: NBD, the tools of libnbd', () => {
  const uri = (server: NbdServer, scheme: string, more = ''): string =>
    `${scheme}://127.0.0.1:${server.port}/%2Fdisk%3Fsession_id%3D${encodeURIComponent(SESSION)}${more}`;

  describeWithTool('nbdcopy', () => {
    it.each([
      ['insecure_nbd', 'nbd', ''],
      ['nbd', 'nbds', '?tls-verify-peer=false'],
    ] as const)('nbdcopy reads the whole disk with purpose %s', async (purpose, scheme, more) => {
      await using fixture = await start(purpose);
      const file = join(tmpdir(), `nbdcopy-${process.pid}-${fixture.server.port}.raw`);
      try {
        await run('nbdcopy', [uri(fixture.server, scheme, more), file]);
        expect(readFileSync(file).equals(await fixture.pool.store.read('disk', 0, 4 * MIB))).toBe(true);
      } finally {
        rmSync(file, { force: true });
      }
    });
  });

  describeWithTool('nbdinfo', () => {
    it('nbdinfo sees a read-only export of the right size', async () => {
      await using fixture = await start('insecure_nbd');
      const { stdout } = await run('nbdinfo', [uri(fixture.server, 'nbd')]);
      expect(stdout).toContain('export-size: 4194304');
      expect(stdout).toContain('is_read_only: true');
    });
  });
});
