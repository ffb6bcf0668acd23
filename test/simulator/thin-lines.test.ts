/** Pools whose hosts have a line of a stated speed, over real sockets. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { startSimulator } from '../../lib/simulator';
import { describeWithTool } from '../foreign-tools';
import { MIB, PoolUnderTest, smallPool } from './pool-under-test';

const run = promisify(execFile);
/** More than the kernel keeps for a connection. */
const sizeBytes = 64 * MIB;
const slowest = 1;

/** A disk that is about to be read, and what it holds. */
interface Read {
  readonly own: PoolUnderTest & AsyncDisposable;
  readonly vdi: string;
  readonly uuid: string;
  readonly expected: Buffer;
}

let pool: PoolUnderTest;
let disk: string;
beforeEach(async () => {
  pool = await PoolUnderTest.start();
  disk = await pool.createVdi({ virtual_size: sizeBytes });
});
afterEach(() => pool.close());

function upload(body: Buffer, sent: () => void): Socket {
  const { hostname, port } = new URL(pool.url);
  const socket = connect({ host: hostname, port: Number(port) });
  const path = `/import_raw_vdi?session_id=${pool.session}&vdi=${disk}&format=raw`;
  socket.write(`PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${String(body.length)}\r\n\r\n`);
  socket.write(body, sent);
  socket.on('error', () => undefined);
  return socket.resume();
}

describe('a line that stands still', () => {
  it('makes who uploads and who calls wait; once it is lifted both go on and the disk is right', async () => {
    const { control } = pool.pool;
    const body = Buffer.alloc(sizeBytes, 'thin line ');
    await control.setLineSpeed('host1', slowest);
    const happened: string[] = [];
    const socket = upload(body, () => happened.push('sent'));
    const call = pool.call('pool.get_all').then(() => happened.push('answered'));

    // The control API is not of the pool: it has no line.
    for (let round = 0; round < 50; round += 1) await control.counters();
    expect(happened).toEqual([]);
    expect(await control.counters()).toMatchObject({ bytesImported: 0 });

    await control.setLineSpeed('host1', null);
    await Promise.all([once(socket, 'close'), call]);
    expect(happened.sort()).toEqual(['answered', 'sent']);
    const uuid = await pool.ref('VDI.get_uuid', disk);
    expect(body.equals(await control.readDisk(uuid, 0, sizeBytes))).toBe(true);
  });

  it('holds nobody up when the pool is closed', async () => {
    await pool.pool.control.setLineSpeed('host1', slowest);
    const socket = upload(Buffer.alloc(sizeBytes), () => undefined);
    await once(socket, 'connect');
    await pool.close();
    if (!socket.destroyed) await once(socket, 'close');
  });
});

describe('a disk that is read over a line', () => {
  async function withLine(): Promise<Read> {
    const spec = { ...smallPool, hosts: [{ name: 'host1', lineBytesPerSecond: 20_000_000 }] };
    const networks = [{ name: 'network', purpose: 'insecure_nbd' as const }];
    const own = disposable(await PoolUnderTest.start({ ...spec, networks }));
    const vdi = await own.createVdi({ virtual_size: 4 * MIB });
    const uuid = await own.ref('VDI.get_uuid', vdi);
    await own.pool.control.fillDisk(uuid, 0, 3 * MIB);
    const expected = Buffer.from(await own.pool.control.readDisk(uuid, 0, 4 * MIB));
    return { own, vdi, uuid, expected };
  }

  async function exported(own: PoolUnderTest, vdi: string): Promise<Buffer> {
    const query = `session_id=${own.session}&vdi=${vdi}&format=raw`;
    return Buffer.from(await (await fetch(`${own.url}/export_raw_vdi?${query}`)).arrayBuffer());
  }

  test('is the same by export, and by many at once', async () => {
    const disk = await withLine();
    await using own = disk.own;
    const copies = await Promise.all([1, 2, 3].map(() => exported(own, disk.vdi)));
    expect(copies.map((copy) => copy.equals(disk.expected))).toEqual([true, true, true]);
  });

  describeWithTool('nbdcopy', () => {
    test('is the same by NBD, while it is exported', async () => {
      const disk = await withLine();
      await using own = disk.own;
      const { hostname } = new URL(own.pool.url);
      const name = encodeURIComponent(`/${disk.uuid}?session_id=${own.session}`);
      const nbd = `nbd://${hostname}:${String(own.pool.hosts[0]?.nbdPort)}/${name}`;
      const overNbd = run('nbdcopy', [nbd, '-'], { encoding: 'buffer', maxBuffer: 8 * MIB });
      const copies = await Promise.all([exported(own, disk.vdi), overNbd.then(({ stdout }) => stdout)]);
      expect(copies.map((copy) => copy.equals(disk.expected))).toEqual([true, true]);
    });
  });
});

describe('a speed', () => {
  it('that is no speed is refused, by the specification and by the control API', async () => {
    const hosts = [{ name: 'host1', lineBytesPerSecond: 0 }];
    await expect(startSimulator({ pools: [{ ...smallPool, hosts }] })).rejects.toThrow('lineBytesPerSecond');
    const { control } = pool.pool;
    await expect(control.setLineSpeed('host1', 0.5)).rejects.toThrow(
      'whole bytes a second, or null, not 0.5',
    );
    await expect(control.setLineSpeed('host9', 1)).rejects.toThrow('no host named "host9"; it has host1');
  });
});

function disposable(started: PoolUnderTest): PoolUnderTest & AsyncDisposable {
  return Object.assign(started, { [Symbol.asyncDispose]: () => started.close() });
}
