import { once } from 'node:events';

import { pattern } from '../storage/open-store';
import { frame, open, requestHead, send, TERMINATOR } from './client';
import { bytesOf } from './recorded-bodies';
import { SESSION } from './transfer-pool';
import { TransferServer } from './transfer-server';

const MIB = 1024 * 1024;
const IO_ERROR = ['VDI_IO_ERROR', 'Device I/O errors'];

/** A server with one disk `disk` of 4 MiB, filled with the pattern Old. */
async function startWithDisk(): Promise<TransferServer> {
  const server = await TransferServer.start();
  await server.pool.addVdi('disk', 4 * MIB);
  await server.pool.store.write('disk', 0, pattern('Old', 0, 8192));
  return server;
}

/** Uploads to `disk` and gives the error of the task, `[]` for success. */
async function importInto(
  server: TransferServer,
  query: Record<string, string>,
  body: Buffer,
  more: { readonly finish?: 'half'; readonly headers?: readonly string[] } = {},
): Promise<readonly string[]> {
  const task_id = server.pool.addTask();
  await send(
    server,
    'PUT',
    '/import_raw_vdi',
    { vdi: 'disk', task_id, ...query },
    {
      headers: [`Content-Length: ${body.length}`],
      body,
      ...more,
    },
  );
  await server.settled();
  return server.pool.task(task_id).error_info;
}

function vhd(blocks: readonly number[], size = 4 * MIB): Buffer {
  return bytesOf({
    kind: 'vhd',
    size,
    blocks: blocks.map((index) => ({
      index,
      data: { kind: 'pattern', tag: 'New', first: index * 4096, count: 4096 },
    })),
  });
}

describe('uploads', () => {
  it('quirk 1: 200 OK comes before a byte of the body; only the task tells of success', async () => {
    await using server = await startWithDisk();
    const task_id = server.pool.addTask();
    const socket = open(server);
    socket.write(
      requestHead('PUT', '/import_raw_vdi', { session_id: SESSION, vdi: 'disk', task_id }, [
        'Content-Length: 512',
      ]),
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(server.pool.task(task_id).status).toBe('pending');
    socket.end(pattern('New', 0, 1));
    await server.settled();
    expect(server.pool.task(task_id)).toMatchObject({
      status: 'success',
      result: '<value>OpaqueRef:disk</value>',
    });
  });

  it('quirk 2: a failure behind the 200 is two more messages in the same connection', async () => {
    await using server = await startWithDisk();
    const { statuses } = await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'disk', format: 'vhd' },
      {
        headers: ['Content-Length: 512'],
        body: Buffer.alloc(512),
      },
    );
    expect(statuses).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 400 Bad Request', 'HTTP/1.1 500 Internal Error']);
  });

  it('quirk 4: any Transfer-Encoding is refused with 404 and a failed task', async () => {
    await using server = await startWithDisk();
    const task_id = server.pool.addTask();
    const { statuses } = await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'disk', task_id },
      {
        headers: ['Transfer-Encoding: identity'],
      },
    );
    expect(statuses).toEqual(['HTTP/1.0 404 Not Found']);
    expect(server.pool.task(task_id).error_info).toEqual([
      'INTERNAL_ERROR',
      'Cannot handle encoding: identity',
    ]);
  });

  it.each(['true', 'false', ''])(
    'quirk 5: chunked=%s means framed, numbers little-endian',
    async (chunked) => {
      await using server = await startWithDisk();
      const body = Buffer.concat([frame(1024, pattern('New', 2, 1)), TERMINATOR]);
      expect(await importInto(server, { chunked }, body)).toEqual([]);
      expect(await server.pool.store.read('disk', 512, 1536)).toEqual(
        Buffer.concat([pattern('Old', 1, 1), pattern('New', 2, 1), pattern('Old', 3, 1)]),
      );
    },
  );

  it('quirk 6: a VHD needs its exact Content-Length', async () => {
    await using server = await startWithDisk();
    expect(await importInto(server, { format: 'vhd' }, vhd([0]))).toEqual([]);
    expect(await importInto(server, { format: 'vhd' }, vhd([0]), { headers: [], finish: 'half' })).toEqual(
      IO_ERROR,
    );
    const tooLong = [`Content-Length: ${vhd([0]).length + 512}`];
    expect(
      await importInto(server, { format: 'vhd' }, vhd([0]), { headers: tooLong, finish: 'half' }),
    ).toEqual(IO_ERROR);
  });

  it('quirk 6: a VHD zeroes nothing, and neither its size nor its parent is looked at', async () => {
    await using server = await startWithDisk();
    const larger = vhd([1], 64 * MIB);
    larger.writeUInt8(0x77, 512 + 40);
    larger.writeUInt32BE(larger.readUInt32BE(512 + 36) - 0x77, 512 + 36);
    expect(await importInto(server, { format: 'vhd' }, larger)).toEqual([]);
    expect((await server.pool.store.read('disk', 0, 2 * MIB)).equals(pattern('Old', 0, 4096))).toBe(true);
    expect((await server.pool.store.read('disk', 2 * MIB, 2 * MIB)).equals(pattern('New', 4096, 4096))).toBe(
      true,
    );
  });

  it('quirk 7: a failed upload leaves what it wrote', async () => {
    await using server = await startWithDisk();
    const body = Buffer.concat([
      frame(0, pattern('New', 0, 8)),
      frame(8 * MIB, pattern('New', 0, 1)),
      TERMINATOR,
    ]);
    expect(await importInto(server, { chunked: '' }, body)).toEqual(IO_ERROR);
    expect(await server.pool.store.read('disk', 0, 4096)).toEqual(pattern('New', 0, 8));
  });

  it.each<[string, Record<string, string>, Buffer]>([
    ['garbage', { format: 'vhd' }, Buffer.alloc(2048, 'x')],
    ['a block behind the end', { format: 'vhd' }, vhd([2], 8 * MIB)],
    [
      'a frame behind the end',
      { chunked: '' },
      Buffer.concat([frame(4 * MIB, pattern('A', 0, 1)), TERMINATOR]),
    ],
    [
      'a frame that is no whole sector',
      { chunked: '' },
      Buffer.concat([frame(0, Buffer.alloc(100)), TERMINATOR]),
    ],
    ['no terminator', { chunked: '' }, frame(0, pattern('A', 0, 1))],
    ['more bytes than the disk has', {}, pattern('A', 0, 8193)],
    ['nothing', {}, Buffer.alloc(0)],
  ])('quirk 8: %s is VDI_IO_ERROR like everything else', async (_what, query, body) => {
    await using server = await startWithDisk();
    expect(await importInto(server, query, body, { finish: 'half' })).toEqual(IO_ERROR);
  });

  it('quirk 8: a disk without zeroes guaranteed takes no VHD', async () => {
    await using server = await startWithDisk();
    server.pool.record('disk', { prezeroed: false });
    expect(await importInto(server, { format: 'vhd' }, vhd([0]))).toEqual(IO_ERROR);
  });

  it('quirk 9: the disk hangs on the control domain while it is written, and no longer when the task ends', async () => {
    await using server = await startWithDisk();
    const task_id = server.pool.addTask();
    const socket = open(server);
    socket.write(
      requestHead('PUT', '/import_raw_vdi', { session_id: SESSION, vdi: 'disk', task_id, chunked: '' }),
    );
    await once(socket, 'data');
    expect(server.pool.attached).toEqual(['disk RW']);
    socket.end(TERMINATOR);
    await server.settled();
    expect(server.pool.attached).toEqual([]);
    expect(server.pool.task(task_id).status).toBe('success');
  });

  it('quirk 10: a host that does not see the SR sends the client to another one, and leaves the task alone', async () => {
    await using server = await startWithDisk();
    const task_id = server.pool.addTask();
    server.pool.plugged = server.pool.hosts.slice(1);
    const { head } = await send(server, 'PUT', '/import_raw_vdi', { vdi: 'disk', task_id });
    expect(head[0]).toBe('HTTP/1.1 302 Found');
    const query = new URLSearchParams({ session_id: SESSION, vdi: 'disk', task_id }).toString();
    expect(head).toContain(`Location: https://127.9.9.2/import_raw_vdi?${query}`);
    expect(server.pool.task(task_id).status).toBe('pending');
    server.pool.plugged = [];
    await send(server, 'PUT', '/import_raw_vdi', { vdi: 'disk', task_id });
    expect(server.pool.task(task_id).error_info).toEqual(['NO_HOSTS_AVAILABLE']);
  });

  it('quirk 13: a bad session is 401 and leaves the task pending', async () => {
    await using server = await startWithDisk();
    const task_id = server.pool.addTask();
    const { statuses } = await send(server, 'PUT', '/import_raw_vdi', {
      vdi: 'disk',
      task_id,
      session_id: 'OpaqueRef:no',
    });
    expect(statuses).toEqual(['HTTP/1.1 401 Unauthorised']);
    expect(server.pool.task(task_id).status).toBe('pending');
  });

  it('quirk 15: a framed upload shows no progress, a plain one does', async () => {
    await using server = await startWithDisk();
    const { pool } = server;
    /** Progress of an upload in which `body` was sent so far and `taken` bytes were dealt with. */
    const progressAt = async (
      query: Record<string, string>,
      body: Buffer,
      taken: () => boolean,
    ): Promise<number> => {
      const task_id = pool.addTask();
      const socket = open(server).on('error', () => undefined);
      const headers = [`Content-Length: ${4 * MIB}`];
      socket.write(
        requestHead(
          'PUT',
          '/import_raw_vdi',
          { session_id: SESSION, vdi: 'disk', task_id, ...query },
          headers,
        ),
      );
      await once(socket, 'data');
      socket.write(body);
      while (!taken() && pool.task(task_id).progress === 0)
        await new Promise((resolve) => setImmediate(resolve));
      const { progress } = pool.task(task_id);
      socket.destroy();
      await server.settled();
      return progress;
    };
    expect(await progressAt({}, Buffer.alloc(2 * MIB), () => false)).toBe(0.5);
    pool.bytes.import = 0;
    const frames = Buffer.concat([frame(0, Buffer.alloc(2 * MIB)), frame(0, Buffer.alloc(512))]);
    // The second header is read after the first frame was written.
    expect(await progressAt({ chunked: '' }, frames, () => pool.bytes.import > 12 + 2 * MIB)).toBe(0);
  });
});

describe('downloads', () => {
  it('quirk 2: a failure behind the 200 is an error page inside the body', async () => {
    await using server = await startWithDisk();
    const answer = await send(server, 'GET', '/export_raw_vdi', {
      vdi: 'disk',
      format: 'vhd',
      base: 'unknown',
    });
    expect(answer.statuses).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 500 Internal Error']);
    expect(answer.body.toString()).toMatch(/^HTTP\/1\.1 500/);
  });

  it('quirk 3: no length is announced; the body ends with the connection', async () => {
    await using server = await startWithDisk();
    const { head, body } = await send(server, 'GET', '/export_raw_vdi', { vdi: 'disk' });
    expect(head).toContain('Connection: close');
    expect(head.filter((line) => /^(content-length|transfer-encoding)/i.test(line))).toEqual([]);
    expect(body.length).toBe(4 * MIB);
  });

  it('quirk 9: disk and base hang on the control domain, read-only', async () => {
    await using server = await startWithDisk();
    await server.pool.store.snapshot('disk', 'snapshot', 'base-copy');
    server.pool.record('snapshot');
    await send(server, 'GET', '/export_raw_vdi', { vdi: 'disk', format: 'vhd', base: 'snapshot' });
    expect(server.pool.events.filter((event) => event.startsWith('attach'))).toEqual([
      'attach disk RO to host1',
      'attach snapshot RO to host1',
    ]);
    expect(server.pool.attached).toEqual([]);
  });

  it('quirk 11: deltas are whole blocks of both sides, each with a new id, the parent being the file on the SR', async () => {
    await using server = await startWithDisk();
    const { pool } = server;
    await pool.store.snapshot('disk', 's0', 'b0');
    await pool.store.write('disk', 512, pattern('New', 1, 1));
    await pool.store.snapshot('disk', 's1', 'b1');
    pool.record('s0');
    pool.record('s1');
    const delta = async (vdi: string, base: string): Promise<Buffer> =>
      (await send(server, 'GET', '/export_raw_vdi', { vdi, format: 'vhd', base })).body;
    const first = await delta('s1', 's0');
    expect(first.length).toBe(2048 + 512 + 512 + 2 * MIB + 512);
    expect(first.subarray(512 + 40, 512 + 56)).toEqual(pool.store.uniqueId('s0'));
    expect(first.subarray(68, 84)).not.toEqual((await delta('s1', 's0')).subarray(68, 84));
    const back = await delta('s0', 's1');
    expect(back.subarray(2048 + 512 + 512).subarray(512, 1024)).toEqual(pattern('Old', 1, 1));
  });

  it('quirk 12: an export does not look at task.cancel', async () => {
    await using server = await startWithDisk();
    const task_id = server.pool.addTask();
    server.pool.events.push(`cancel ${task_id}`);
    const { body } = await send(server, 'GET', '/export_raw_vdi', { vdi: 'disk', task_id });
    expect(body.length).toBe(4 * MIB);
    expect(server.pool.task(task_id).status).toBe('success');
  });

  it('quirk 12: it ends when the client breaks the connection, and the task then says VDI_IO_ERROR', async () => {
    await using server = await startWithDisk();
    await server.pool.addVdi('large', 256 * MIB, { vhdBacked: false });
    const task_id = server.pool.addTask();
    const socket = open(server);
    socket.write(requestHead('GET', '/export_raw_vdi', { session_id: SESSION, vdi: 'large', task_id }));
    await once(socket, 'data');
    socket.destroy();
    await server.settled();
    expect(server.pool.task(task_id).error_info).toEqual(IO_ERROR);
    expect(server.pool.attached).toEqual([]);
  });
});

describe('before xapi 21.4', () => {
  it('the disk was attached before the 200, so that a failure to attach is an error status', async () => {
    await using server = await startWithDisk();
    server.pool.apiMinor = 15;
    server.pool.attachFailure = { code: 'SR_BACKEND_FAILURE_46', params: ['', 'attached elsewhere', ''] };
    const answer = await send(server, 'GET', '/export_raw_vdi', { vdi: 'disk' });
    expect(answer.statuses).toEqual(['HTTP/1.1 500 Internal Error']);
    server.pool.apiMinor = 21;
    const today = await send(server, 'GET', '/export_raw_vdi', { vdi: 'disk' });
    expect(today.statuses).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 500 Internal Error']);
  });

  it('6.5 gave no result and wanted the whole disk, whatever Content-Length said', async () => {
    await using server = await startWithDisk();
    server.pool.apiMinor = 3;
    expect(await importInto(server, {}, pattern('New', 0, 8), { finish: 'half' })).toEqual(IO_ERROR);
    const task_id = server.pool.addTask();
    const body = pattern('New', 0, 8192);
    await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'disk', task_id },
      { headers: ['Content-Length: 512'], body },
    );
    expect(server.pool.task(task_id)).toMatchObject({ status: 'success', result: '' });
  });
});
