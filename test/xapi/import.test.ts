import { Pool, type DiskImport, type Ref } from '../../lib/xapi';
import { FakePool, SR, VDI, type Transfer } from './fake-pool';

const REQUEST = { vdi: VDI as Ref<'VDI'>, sr: SR as Ref<'SR'>, label: 'run 1 of job nightly' };
const HEAD =
  'HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\ntask-id:OpaqueRef:x\r\n' +
  'content-type: application/octet-stream\r\n\r\n';
const TERMINATOR_BYTES = 12;

describe('writing a disk', () => {
  let fake: FakePool;
  let pool: Pool;
  let upload: DiskImport | undefined;

  beforeEach(async () => {
    fake = await FakePool.start();
    pool = await Pool.connect(fake.endpoint());
  });

  afterEach(async () => {
    await upload?.abort();
    upload = undefined;
    await pool.disconnect();
    await fake.close();
  });

  interface Receiver {
    readonly seen: Transfer[];
    body: Buffer;
  }

  /** Collects the body; ends the task when the terminator has come, unless it is to go on. */
  function receive(onPiece: (transfer: Transfer, receiver: Receiver) => void = endAtTerminator): Receiver {
    const receiver: Receiver = { seen: [], body: Buffer.alloc(0) };
    fake.onTransfer = (transfer) => {
      receiver.seen.push(transfer);
      transfer.socket.write(HEAD);
      transfer.socket.on('data', (piece: Buffer) => {
        receiver.body = Buffer.concat([receiver.body, piece]);
        onPiece(transfer, receiver);
      });
      transfer.socket.resume();
    };
    return receiver;
  }

  function taskOf({ url }: Transfer): string {
    return url.searchParams.get('task_id') ?? '';
  }

  function endAtTerminator(transfer: Transfer, { body }: Receiver): void {
    const ended =
      body.length >= TERMINATOR_BYTES && body.subarray(-TERMINATOR_BYTES).every((byte) => byte === 0);
    if (ended) fake.endTask(taskOf(transfer), 'success', [], `<value>${VDI}</value>`);
  }

  function giveUp(transfer: Transfer, answer: string): void {
    fake.endTask(taskOf(transfer), 'failure', ['VDI_IO_ERROR', 'Device I/O errors']);
    transfer.socket.end(answer);
  }

  async function writeUntilItFails(): Promise<void> {
    upload = await pool.openImport(REQUEST);
    const frame = new Uint8Array(512 * 1024).fill(1);
    for (let offset = 0; offset < 2 ** 40; offset += frame.length) await upload.write(offset, frame);
  }

  it('announces neither length nor chunked coding, in a head that every host takes', async () => {
    const { seen } = receive();
    upload = await pool.openImport(REQUEST);
    expect(Object.fromEntries(seen[0]?.url.searchParams ?? [])).toEqual({
      format: 'raw',
      chunked: 'true',
      vdi: VDI,
      session_id: fake.session,
      task_id: [...fake.tasks.keys()][0],
    });
    expect(seen[0]?.method).toBe('PUT');
    expect(seen[0]?.headers).not.toMatch(/content-length|transfer-encoding/i);
    expect(seen[0]?.headBytes).toBeLessThan(1024);
  });

  it('sends offset, length and data of each frame, then twelve zero bytes', async () => {
    const receiver = receive();
    upload = await pool.openImport(REQUEST);
    await upload.write(0x1_2345_6600, Buffer.alloc(512, 'a'));
    await upload.write(0, Buffer.alloc(1024, 'b'));
    await upload.finish();
    const header = (hex: string): Buffer => Buffer.from(hex, 'hex');
    expect(receiver.body).toEqual(
      Buffer.concat([
        header('0066452301000000' + '00020000'),
        Buffer.alloc(512, 'a'),
        header('0000000000000000' + '00040000'),
        Buffer.alloc(1024, 'b'),
        Buffer.alloc(TERMINATOR_BYTES),
      ]),
    );
    expect(upload.bytesSent).toBe(receiver.body.length);
    expect(fake.tasks.size).toBe(0);
  });

  it.each([64 * 1024, 512])(
    'a header never travels alone: frames of %i bytes arrive together with it',
    async (length) => {
      const pieces: number[] = [];
      receive((transfer, receiver) => {
        pieces.push(receiver.body.length);
        endAtTerminator(transfer, receiver);
      });
      upload = await pool.openImport(REQUEST);
      await upload.write(512, Buffer.alloc(length, 'a'));
      await upload.finish();
      // The first record that arrives holds the header and as much of the data as fits.
      expect(pieces[0]).toBeGreaterThan(TERMINATOR_BYTES);
    },
  );

  it.each([
    { name: 'an odd offset', offset: 100, length: 512 },
    { name: 'an odd length', offset: 0, length: 513 },
    { name: 'no data, which would end the transfer', offset: 0, length: 0 },
    { name: 'a negative offset', offset: -512, length: 512 },
    { name: 'an offset that is no integer any more', offset: 2 ** 60, length: 512 },
  ])('refuses $name before it reaches the server', async ({ offset, length }) => {
    const receiver = receive();
    upload = await pool.openImport(REQUEST);
    await expect(upload.write(offset, new Uint8Array(length))).rejects.toBeInstanceOf(RangeError);
    expect(upload.bytesSent).toBe(0);
    expect(receiver.body.length).toBe(0);
  });

  it('counts only if the task succeeds', async () => {
    receive((transfer) => {
      fake.endTask(taskOf(transfer), 'failure', ['VDI_IO_ERROR', 'Device I/O errors']);
    });
    upload = await pool.openImport(REQUEST);
    await upload.write(0, Buffer.alloc(512, 'a'));
    await expect(upload.finish()).rejects.toMatchObject({
      code: 'VDI_IO_ERROR',
      method: 'PUT /import_raw_vdi',
    });
    expect(fake.tasks.size).toBe(0);
  });

  it('waits in finish() no longer than its bound', async () => {
    receive(() => undefined);
    upload = await pool.openImport(REQUEST);
    await expect(upload.finish({ timeoutMs: 50 })).rejects.toMatchObject({ kind: 'timeout' });
  });

  it('a server that closes its side after success does no harm', async () => {
    receive((transfer, receiver) => {
      endAtTerminator(transfer, receiver);
      if (fake.tasks.get(taskOf(transfer))?.['status'] === 'success') transfer.socket.end();
    });
    upload = await pool.openImport(REQUEST);
    await upload.write(0, Buffer.alloc(512, 'a'));
    await upload.finish();
  });

  describe('a server that gives up in the middle', () => {
    it('with messages after its 200: the task tells why', async () => {
      receive((transfer) =>
        giveUp(transfer, 'HTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1 500 Internal Error\r\n\r\n'),
      );
      await expect(writeUntilItFails()).rejects.toMatchObject({ code: 'VDI_IO_ERROR' });
    });

    it('without a word: the task tells why', async () => {
      receive((transfer) => {
        fake.endTask(taskOf(transfer), 'failure', ['SR_BACKEND_FAILURE_44', '', 'no space']);
        transfer.socket.destroy();
      });
      await expect(writeUntilItFails()).rejects.toMatchObject({ code: 'SR_BACKEND_FAILURE_44' });
    });

    it('finish() fails for the same reason as the write before it', async () => {
      receive((transfer) => giveUp(transfer, ''));
      await expect(writeUntilItFails()).rejects.toMatchObject({ code: 'VDI_IO_ERROR' });
      await expect(upload?.finish()).rejects.toMatchObject({ code: 'VDI_IO_ERROR' });
      expect(fake.tasks.size).toBe(0);
    });

    it('with another status than 200: nothing is sent', async () => {
      fake.onTransfer = (transfer) => giveUp(transfer, 'HTTP/1.0 404 Not Found\r\n\r\n');
      await expect(pool.openImport(REQUEST)).rejects.toMatchObject({ code: 'VDI_IO_ERROR' });
      expect(fake.tasks.size).toBe(0);
    });
  });

  describe('stopping', () => {
    it('abort() closes socket and task, and may be called twice', async () => {
      const { seen } = receive();
      upload = await pool.openImport(REQUEST);
      const left = new Promise((resolve) => seen[0]?.socket.once('close', resolve));
      await Promise.all([upload.abort(), upload.abort()]);
      await left;
      expect(fake.tasks.size).toBe(0);
      await expect(upload.write(0, new Uint8Array(512))).rejects.toThrow('after finish() or abort()');
      await expect(upload.finish()).rejects.toMatchObject({ kind: 'aborted' });
    });

    it('the signal of the transfer ends a write that waits for a server which takes nothing', async () => {
      const controller = new AbortController();
      fake.onTransfer = ({ socket }) => {
        socket.write(HEAD);
        socket.pause();
      };
      upload = await pool.openImport(REQUEST, { signal: controller.signal });
      const writing = upload.write(0, new Uint8Array(64 * 1024 * 1024));
      setImmediate(() => controller.abort());
      await expect(writing).rejects.toMatchObject({ kind: 'aborted' });
      await expect(upload.finish()).rejects.toMatchObject({ kind: 'aborted' });
      expect(fake.tasks.size).toBe(0);
    });

    it('abort() while finish() waits for the task ends that wait', async () => {
      receive(() => undefined);
      upload = await pool.openImport(REQUEST);
      const polled = new Promise<void>((resolve) => {
        fake.handlers.set('task.get_record', () => {
          resolve();
          return { status: 'pending', error_info: [] };
        });
      });
      const failed = expect(upload.finish()).rejects.toMatchObject({ kind: 'aborted' });
      await polled;
      await upload.abort();
      await failed;
    });
  });
});
