import { once } from 'node:events';
import { Pool, TransportError, type DiskExport, type PoolEndpoint, type Ref } from '../../lib/xapi';
import { ApiFailure, FakePool, SR, VDI, type Transfer } from './fake-pool';

const REQUEST = { vdi: VDI as Ref<'VDI'>, sr: SR as Ref<'SR'>, label: 'run 1 of job nightly' };
const HEAD =
  'HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\ntask-id:OpaqueRef:x\r\n' +
  'content-type:application/vhd\r\ncontent-disposition: attachment; filename="x.vhd"\r\n\r\n';

describe('reading a disk', () => {
  let fake: FakePool;
  let pool: Pool;

  async function start(hosts = 1, changes: Partial<PoolEndpoint> = {}): Promise<void> {
    fake = await FakePool.start({ hosts });
    pool = await Pool.connect(fake.endpoint(changes));
  }

  afterEach(async () => {
    await pool.disconnect();
    await fake.close();
  });

  /** Serves `body` in one piece and ends the task that was passed along. */
  function serve(body: string, ...end: [status: string, errorInfo?: readonly string[]]): void {
    fake.onTransfer = ({ socket, url }) => {
      fake.endTask(url.searchParams.get('task_id') ?? '', ...end);
      socket.end(HEAD + body);
    };
  }

  async function read(download: DiskExport): Promise<string> {
    const pieces: Uint8Array[] = [];
    for await (const piece of download.body) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces).toString();
  }

  it('asks for a VHD with session, task and base, in a head that every host takes', async () => {
    await start();
    const seen: Transfer[] = [];
    fake.onTransfer = (transfer) => {
      seen.push(transfer);
      transfer.socket.write(HEAD);
    };
    const download = await pool.openExport({ ...REQUEST, base: 'OpaqueRef:base' as Ref<'VDI'> });
    const task = [...fake.tasks.keys()][0];
    expect(fake.tasks.get(task ?? '')).toMatchObject({ name_label: 'run 1 of job nightly' });
    expect(Object.fromEntries(seen[0]?.url.searchParams ?? [])).toEqual({
      format: 'vhd',
      vdi: VDI,
      base: 'OpaqueRef:base',
      session_id: fake.session,
      task_id: task,
    });
    expect(seen[0]?.headers.toLowerCase()).toContain('connection: close');
    expect(seen[0]?.headBytes).toBeLessThan(1024);
    await download.abort();
  });

  it('gives the bytes, then the outcome, and leaves no task behind', async () => {
    await start();
    serve('conectix…', 'success');
    const download = await pool.openExport(REQUEST);
    expect(await read(download)).toBe('conectix…');
    await download.finish();
    expect(fake.tasks.size).toBe(0);
  });

  it('gives what came in the same packet as the head', async () => {
    await start();
    fake.onTransfer = ({ socket, url }) => {
      fake.endTask(url.searchParams.get('task_id') ?? '', 'success');
      socket.write(`${HEAD}first `);
      socket.end('second');
    };
    expect(await read(await pool.openExport(REQUEST))).toBe('first second');
  });

  it('fails in finish() where the task failed after a body that looked whole', async () => {
    await start();
    serve('conectix…', 'failure', ['VDI_IO_ERROR', 'Device I/O errors']);
    const download = await pool.openExport(REQUEST);
    await read(download);
    await expect(download.finish()).rejects.toMatchObject({
      code: 'VDI_IO_ERROR',
      method: 'GET /export_raw_vdi',
    });
    expect(fake.tasks.size).toBe(0);
  });

  it('waits in finish() no longer than its bound', async () => {
    await start();
    fake.forgetsTransfers = true;
    serve('conectix…', 'pending');
    const download = await pool.openExport(REQUEST);
    await read(download);
    await expect(download.finish({ timeoutMs: 50 })).rejects.toMatchObject({ kind: 'timeout' });
  });

  it('a body that ends early is noticed in finish()', async () => {
    await start();
    fake.onTransfer = ({ socket, url }) => {
      fake.endTask(url.searchParams.get('task_id') ?? '', 'failure', ['VDI_IO_ERROR', 'Device I/O errors']);
      socket.write(`${HEAD}conec`, () => socket.destroy());
    };
    const download = await pool.openExport(REQUEST);
    await read(download);
    await expect(download.finish()).rejects.toMatchObject({ code: 'VDI_IO_ERROR' });
  });

  describe('an answer that is no disk', () => {
    it.each([
      {
        name: 'status 500',
        answer: 'HTTP/1.1 500 Internal Error\r\ncontent-length: 0\r\n\r\n',
        error: {
          kind: 'http',
          retry: 'later',
          message: expect.stringContaining('HTTP 500 Internal Error') as string,
        },
      },
      {
        name: 'status 403',
        answer: 'HTTP/1.1 403 Forbidden\r\n\r\n',
        error: { kind: 'http', retry: 'never' },
      },
      {
        name: 'status 404',
        answer: 'HTTP/1.0 404 Not Found\r\n\r\n',
        error: { kind: 'http', retry: 'later' },
      },
      {
        name: 'another content',
        answer: 'HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n',
        error: {
          kind: 'protocol',
          message: expect.stringContaining('application/octet-stream instead') as string,
        },
      },
      {
        name: 'another protocol',
        answer: 'SSH-2.0-OpenSSH_7.4\r\n',
        error: { kind: 'protocol', retry: 'never' },
      },
      { name: 'nothing', answer: '', error: { kind: 'connection', retry: 'later' } },
      {
        name: 'a head without end',
        answer: `HTTP/1.1 200 OK\r\n${'x'.repeat(17_000)}`,
        error: { kind: 'protocol', message: expect.stringContaining('longer than 16384 bytes') as string },
      },
    ])('$name is refused', async ({ answer, error }) => {
      await start();
      fake.onTransfer = ({ socket, url }) => {
        fake.endTask(url.searchParams.get('task_id') ?? '', 'success');
        socket.end(answer);
      };
      await expect(pool.openExport(REQUEST)).rejects.toMatchObject(error);
      expect(fake.tasks.size).toBe(0);
    });

    it('is explained by the task where that knows more', async () => {
      await start();
      fake.onTransfer = ({ socket, url }) => {
        const task = url.searchParams.get('task_id') ?? '';
        fake.endTask(task, 'failure', ['INTERNAL_ERROR', 'Unknown format']);
        socket.end('HTTP/1.0 404 Not Found\r\n\r\n');
      };
      await expect(pool.openExport(REQUEST)).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    });

    it('401 means that the session has ended: the task is not waited for, the next call logs in again', async () => {
      await start();
      fake.forgetsTransfers = true;
      fake.onTransfer = ({ socket }) => socket.end('HTTP/1.1 401 Unauthorised\r\n\r\n');
      await expect(pool.openExport(REQUEST)).rejects.toMatchObject({ kind: 'http', retry: 'now' });
      expect(fake.count('task.get_record')).toBe(0);
      expect(fake.count('session.login_with_password')).toBe(2);
    });
  });

  describe('redirects', () => {
    function redirect(location: (transfer: Transfer) => string): Transfer[] {
      const served: Transfer[] = [];
      fake.onTransfer = (transfer) => {
        if (transfer.host === fake.host(1)) served.push(transfer);
        const answer =
          transfer.host === fake.host(1)
            ? HEAD
            : `HTTP/1.1 302 Found\r\nLocation: ${location(transfer)}\r\n\r\n`;
        transfer.socket.write(answer);
      };
      return served;
    }

    it('are followed to a host of the pool, with our own session and task', async () => {
      await start(2);
      const served = redirect(({ url }) => {
        const query = new URLSearchParams(url.searchParams);
        query.set('session_id', 'OpaqueRef:somebody-else');
        query.set('task_id', 'OpaqueRef:another-task');
        query.set('added', 'by the server');
        return `${fake.url(fake.host(1))}${url.pathname}?${query.toString()}`;
      });
      const download = await pool.openExport(REQUEST);
      expect(Object.fromEntries(served[0]?.url.searchParams ?? [])).toEqual({
        format: 'vhd',
        vdi: VDI,
        added: 'by the server',
        session_id: fake.session,
        task_id: [...fake.tasks.keys()][0],
      });
      await download.abort();
    });

    it.each([
      ['http://127.0.0.2:PORT/export_raw_vdi', 'it leaves TLS'],
      ['https://192.0.2.7/export_raw_vdi', 'it leads to no host of this pool'],
      ['https://127.0.0.2:PORT/import_raw_vdi', 'it leads to another path'],
      ['/export_raw_vdi', 'it has no Location'],
      ['https://127.0.0.1:PORT/export_raw_vdi', 'too many redirects'],
    ])('to %s are refused: %s', async (location, reason) => {
      await start(2);
      const served = redirect(() => location.replace('PORT', String(fake.port)));
      const refused = pool.openExport(REQUEST);
      await expect(refused).rejects.toThrow(reason);
      await expect(refused).rejects.toMatchObject({ kind: 'protocol' });
      expect(served).toEqual([]);
      expect(fake.tasks.size).toBe(0);
    });
  });

  it('goes straight to a member where only that has the storage plugged', async () => {
    await start(2);
    const plugged = { SR, host: fake.host(1).ref, currently_attached: true };
    const unplugged = { SR, host: fake.coordinator.ref, currently_attached: false };
    fake.handlers.set('PBD.get_all_records', () => ({ a: unplugged, b: plugged }));
    const served: string[] = [];
    fake.onTransfer = ({ host, socket }) => {
      served.push(host.ref);
      socket.write(HEAD);
    };
    await (await pool.openExport(REQUEST)).abort();
    expect(served).toEqual([fake.host(1).ref]);
  });

  it('says which hosts cannot serve the storage, and why, where none can', async () => {
    await start(2);
    fake.handlers.set('PBD.get_all_records', () => ({
      b: { SR, host: fake.host(1).ref, currently_attached: true },
    }));
    fake.handlers.set('host_metrics.get_all_records', () => ({}));
    const refused = pool.openExport(REQUEST);
    await expect(refused).rejects.toThrow(
      'no host can serve storage "fast" (00000000-0000-4000-8000-00000000000b): host-0: storage not plugged, host-1: not live',
    );
    await expect(refused).rejects.toMatchObject({ retry: 'later' });
    expect(fake.count('task.create')).toBe(0);
  });

  describe('stopping', () => {
    /** A server that never stops sending, and tells when it was left. */
    function flood(): { readonly left: Promise<unknown>; readonly sentBytes: () => number } {
      let sentBytes = 0;
      let socketLeft = (): void => undefined;
      const left = new Promise<void>((resolve) => {
        socketLeft = resolve;
      });
      fake.onTransfer = ({ socket }) => {
        socket.on('close', socketLeft);
        socket.write(HEAD);
        const piece = Buffer.alloc(256 * 1024);
        const pump = (): void => {
          while (!socket.destroyed && socket.write(piece)) sentBytes += piece.length;
          sentBytes += piece.length;
          if (!socket.destroyed) void once(socket, 'drain').then(pump, () => undefined);
        };
        pump();
      };
      return { left, sentBytes: () => sentBytes };
    }

    it('a consumer that breaks out closes the socket', async () => {
      await start();
      const { left } = flood();
      const download = await pool.openExport(REQUEST);
      for await (const piece of download.body) if (piece.length > 0) break;
      await left;
      await download.abort();
    });

    it('abort() closes socket and task, ends the reading, and may be called twice', async () => {
      await start();
      const { left } = flood();
      const download = await pool.openExport(REQUEST);
      const reading = (async () => {
        for await (const piece of download.body) if (piece.length > 0) await download.abort();
      })();
      await expect(reading).rejects.toMatchObject({ kind: 'aborted' });
      await download.abort();
      await left;
      expect(fake.tasks.size).toBe(0);
      await expect(download.finish()).rejects.toBeInstanceOf(TransportError);
    });

    it('the signal of the transfer ends it at any time', async () => {
      await start();
      const { left } = flood();
      const controller = new AbortController();
      const download = await pool.openExport(REQUEST, { signal: controller.signal });
      const reading = (async () => {
        for await (const piece of download.body) if (piece.length > 0) controller.abort();
      })();
      await expect(reading).rejects.toMatchObject({ kind: 'aborted' });
      await left;
      await expect(download.finish()).rejects.toMatchObject({ kind: 'aborted' });
      expect(fake.tasks.size).toBe(0);
    });

    it('leaving the pool ends what still runs', async () => {
      await start();
      const { left } = flood();
      await pool.openExport(REQUEST);
      await pool.disconnect();
      await left;
      expect(fake.tasks.size).toBe(0);
    });

    it('a slow consumer is felt by the server: no more than the buffers between them is sent ahead', async () => {
      await start();
      const { sentBytes } = flood();
      const download = await pool.openExport(REQUEST);
      const iterator = download.body[Symbol.asyncIterator]();
      await iterator.next();
      let before = -1;
      while (sentBytes() !== before) {
        before = sentBytes();
        await new Promise((resolve) => setImmediate(resolve));
        // A round trip, in which a server without back-pressure would go on sending.
        await pool.call('pool.get_record', [pool.ref]);
      }
      expect(sentBytes()).toBeLessThan(32 * 1024 * 1024);
      await iterator.return?.();
      await download.abort();
    });
  });

  it('leaves no task behind where the request cannot even be made', async () => {
    await start();
    fake.handlers.set('host.get_all_records', () => {
      throw new ApiFailure('RBAC_PERMISSION_DENIED', 'host.get_all_records', 'no');
    });
    await expect(pool.openExport(REQUEST)).rejects.toMatchObject({
      code: 'RBAC_PERMISSION_DENIED',
      retry: 'never',
    });
    expect(fake.tasks.size).toBe(0);
  });
});
