import { once } from 'node:events';

import type { TransferFault } from '../../../lib/simulator/transfer';
import { pattern } from '../storage/open-store';
import { frame, open, requestHead, send, TERMINATOR } from './client';
import { SESSION } from './transfer-pool';
import { TransferServer } from './transfer-server';

const MIB = 1024 * 1024;
const IO_ERROR = ['VDI_IO_ERROR', 'Device I/O errors'];

async function startWithDisk(...faults: TransferFault[]): Promise<TransferServer> {
  const server = await TransferServer.start();
  await server.pool.addVdi('disk', 4 * MIB);
  await server.pool.store.write('disk', 0, pattern('Old', 0, 8192));
  server.pool.faults.push(...faults);
  return server;
}

/** Uploads frames and gives the error of the task. */
async function upload(server: TransferServer, body: Buffer): Promise<readonly string[]> {
  const task_id = server.pool.addTask();
  await send(
    server,
    'PUT',
    '/import_raw_vdi',
    { vdi: 'disk', task_id, chunked: '' },
    { body, finish: 'half' },
  );
  await server.settled();
  return server.pool.task(task_id).error_info;
}

/** Waits for what another connection is about to do. */
async function until(happened: () => boolean): Promise<void> {
  while (!happened()) await new Promise((resolve) => setImmediate(resolve));
}

const BODY = Buffer.concat([frame(0, pattern('New', 0, 8)), TERMINATOR]);

describe('frames that are cut short', () => {
  it.each([1, 4, 8, 9, 10])(
    '%d bytes of the first header, of a frame at 0, read as the end, and succeed',
    async (bytes) => {
      await using server = await startWithDisk();
      // 1 MiB at 0: 00 00 00 00 00 00 00 00 | 00 00 10 00
      const header = frame(0, Buffer.alloc(0), MIB).subarray(0, bytes);
      expect(await upload(server, header)).toEqual([]);
    },
  );

  it('11 bytes of it hold the length, so data are missed', async () => {
    await using server = await startWithDisk();
    expect(await upload(server, frame(0, Buffer.alloc(0), MIB).subarray(0, 11))).toEqual(IO_ERROR);
  });

  it('a later header keeps the tail of the one before it', async () => {
    await using server = await startWithDisk();
    const body = Buffer.concat([
      frame(4096, pattern('A', 8, 8)),
      frame(0, Buffer.alloc(0), 0).subarray(0, 8),
    ]);
    // The length of the first frame stands behind the offset of the second: data are waited for, and none come.
    expect(await upload(server, body)).toEqual(IO_ERROR);
  });

  it('data are filled up with what the buffer held before', async () => {
    await using server = await startWithDisk();
    const body = Buffer.concat([frame(MIB, pattern('A', 0, 8)), frame(0, pattern('B', 0, 2), 8 * 512)]);
    expect(await upload(server, body)).toEqual(IO_ERROR);
    expect(await server.pool.store.read('disk', 0, 4096)).toEqual(
      Buffer.concat([pattern('B', 0, 2), pattern('A', 2, 6)]),
    );
  });
});

describe('faults of an upload', () => {
  it('error: the task fails with the code, as when the disk cannot be attached', async () => {
    await using server = await startWithDisk({
      kind: 'error',
      code: 'SR_BACKEND_FAILURE_46',
      params: ['', 'x', ''],
    });
    expect(await upload(server, BODY)).toEqual(['SR_BACKEND_FAILURE_46', '', 'x', '']);
  });

  it('delay: the answer waits, the upload succeeds', async () => {
    await using server = await startWithDisk({ kind: 'delay', ms: 1000 });
    const uploaded = upload(server, BODY);
    await until(() => server.pool.sleeping.length === 1);
    expect(server.pool.attached).toEqual([]);
    server.pool.wake();
    expect(await uploaded).toEqual([]);
  });

  it('cut: the connection breaks in the middle; what came before is on the disk', async () => {
    await using server = await startWithDisk({ kind: 'cut', afterBytes: 12 + 1024 });
    expect(await upload(server, BODY)).toEqual(IO_ERROR);
    expect(await server.pool.store.read('disk', 0, 1024)).toEqual(pattern('New', 0, 2));
  });

  it('corrupt: one byte is another, nobody notices', async () => {
    await using server = await startWithDisk({ kind: 'corrupt', atByte: 12 + 700 });
    expect(await upload(server, BODY)).toEqual([]);
    const wrong = pattern('New', 0, 8);
    wrong[700] = (wrong[700] ?? 0) ^ 0xff;
    expect(await server.pool.store.read('disk', 0, 4096)).toEqual(wrong);
  });

  it('lie: success is reported, nothing was written', async () => {
    await using server = await startWithDisk({ kind: 'lie' });
    expect(await upload(server, BODY)).toEqual([]);
    expect(await server.pool.store.read('disk', 0, 4096)).toEqual(pattern('Old', 0, 8));
  });

  it('late-failure: everything was written, the task fails all the same', async () => {
    await using server = await startWithDisk({ kind: 'late-failure' });
    expect(await upload(server, BODY)).toEqual(IO_ERROR);
    expect(await server.pool.store.read('disk', 0, 4096)).toEqual(pattern('New', 0, 8));
  });

  it('error-page: the server gives up in the middle', async () => {
    await using server = await startWithDisk({ kind: 'error-page', afterBytes: 100 });
    const { statuses } = await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'disk', chunked: '' },
      { body: BODY },
    );
    expect(statuses).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 400 Bad Request', 'HTTP/1.1 500 Internal Error']);
  });

  it('stall: bytes are taken no more, until the client gives up', async () => {
    await using server = await startWithDisk({ kind: 'stall', afterBytes: 100 });
    const task_id = server.pool.addTask();
    const socket = open(server);
    socket.write(
      requestHead('PUT', '/import_raw_vdi', { session_id: SESSION, vdi: 'disk', task_id, chunked: '' }),
    );
    await once(socket, 'data');
    socket.write(BODY);
    await until(() => server.pool.bytes.import === 100);
    expect(server.pool.task(task_id).status).toBe('pending');
    socket.destroy();
    await server.settled();
    expect(server.pool.task(task_id).error_info).toEqual(IO_ERROR);
    expect(server.pool.attached).toEqual([]);
  });

  it('hang: no answer at all; the disk is not touched', async () => {
    await using server = await startWithDisk({ kind: 'hang' });
    const socket = open(server);
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    socket.write(requestHead('PUT', '/import_raw_vdi', { session_id: SESSION, vdi: 'disk', chunked: '' }));
    await until(() => server.pool.events.includes('import of disk'));
    socket.end();
    await server.settled();
    expect(Buffer.concat(got).length).toBe(0);
    expect(server.pool.events).toEqual(['import of disk']);
  });

  it('linger: an upload whose connection died writes after a newer one, and holds the disk until then', async () => {
    await using server = await startWithDisk({ kind: 'linger', ms: 1000 });
    const oldTask = server.pool.addTask();
    const dead = open(server);
    dead.write(
      requestHead('PUT', '/import_raw_vdi', {
        session_id: SESSION,
        vdi: 'disk',
        task_id: oldTask,
        chunked: '',
      }),
    );
    await once(dead, 'data');
    dead.end(frame(0, pattern('Dead', 0, 2), 8 * 512));
    await until(() => server.pool.sleeping.length === 1);

    const newTask = server.pool.addTask();
    await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'disk', task_id: newTask, chunked: '' },
      { body: BODY },
    );
    expect(server.pool.task(newTask).status).toBe('success');
    expect(await server.pool.store.read('disk', 0, 4096)).toEqual(pattern('New', 0, 8));
    expect(server.pool.attached).toEqual(['disk RW']);

    server.pool.wake();
    await server.settled();
    expect(server.pool.task(oldTask).error_info).toEqual(IO_ERROR);
    expect(await server.pool.store.read('disk', 0, 1024)).toEqual(pattern('Dead', 0, 2));
    expect(await server.pool.store.read('disk', 1024, 3072)).toEqual(Buffer.alloc(3072));
    expect(server.pool.attached).toEqual([]);
  });
});

describe('faults of a download', () => {
  const download = async (
    server: TransferServer,
    query: Record<string, string> = {},
  ): Promise<{ body: Buffer; error: readonly string[] }> => {
    const task_id = server.pool.addTask();
    const { body } = await send(server, 'GET', '/export_raw_vdi', { vdi: 'disk', task_id, ...query });
    await server.settled();
    return { body, error: server.pool.task(task_id).error_info };
  };

  it('cut: the body ends early, and the task knows', async () => {
    await using server = await startWithDisk({ kind: 'cut', afterBytes: MIB });
    const { body, error } = await download(server);
    expect(body.length).toBeLessThanOrEqual(MIB);
    expect(error).toEqual(IO_ERROR);
  });

  it('corrupt: one byte is another, the task succeeds', async () => {
    await using server = await startWithDisk({ kind: 'corrupt', atByte: 3 * MIB });
    const { body, error } = await download(server);
    expect(error).toEqual([]);
    const content = await server.pool.store.read('disk', 0, 4 * MIB);
    expect(body.equals(content)).toBe(false);
    body[3 * MIB] = (body[3 * MIB] ?? 0) ^ 0xff;
    expect(body.equals(content)).toBe(true);
  });

  it('lie: a well-formed VHD without its last block', async () => {
    await using server = await startWithDisk({ kind: 'lie' });
    const { body, error } = await download(server, { format: 'vhd' });
    expect(error).toEqual([]);
    expect(body.length).toBe(2048 + 512 + 512 + 2 * MIB + 512);
  });

  it('late-failure: the whole body, then an error page behind it', async () => {
    await using server = await startWithDisk({ kind: 'late-failure' });
    const { body, error } = await download(server);
    expect(error).toEqual(IO_ERROR);
    expect(body.subarray(4 * MIB).toString()).toMatch(/^HTTP\/1\.1 500 Internal Error/);
  });

  it('error-page: an error page in the middle of the body', async () => {
    await using server = await startWithDisk({ kind: 'error-page', afterBytes: 1000 });
    const { body, error } = await download(server, { format: 'vhd' });
    expect(error).toEqual(IO_ERROR);
    expect(body.subarray(1000).toString()).toMatch(/^HTTP\/1\.1 500 Internal Error/);
  });

  it('stall: no more bytes come, until the client gives up', async () => {
    await using server = await startWithDisk({ kind: 'stall', afterBytes: 1000 });
    const task_id = server.pool.addTask();
    const socket = open(server);
    socket.write(requestHead('GET', '/export_raw_vdi', { session_id: SESSION, vdi: 'disk', task_id }));
    let got = 0;
    socket.on('data', (chunk: Buffer) => (got += chunk.length));
    while (got < 1000) await once(socket, 'data');
    // Another download from beginning to end: time enough for more bytes, if there were any.
    await send(server, 'GET', '/export_raw_vdi', { vdi: 'disk' });
    expect(server.pool.bytes.export).toBe(1000 + 4 * MIB);
    expect(server.pool.task(task_id).status).toBe('pending');
    socket.destroy();
    await server.settled();
    expect(server.pool.task(task_id).error_info).toEqual(IO_ERROR);
  });
});
