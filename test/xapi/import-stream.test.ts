import { once } from 'node:events';
import { ImportStream } from '../../lib/xapi/import-stream';
import { RunningTransfer } from '../../lib/xapi/running-transfer';
import { socketPair, type SocketPair } from './socket-pair';
import { TaskStub } from './task-stub';

const FRAME = new Uint8Array(512).fill(1);

describe('an upload whose answer has not come yet', () => {
  let pair: SocketPair;
  let task: TaskStub;
  let upload: ImportStream;
  let sessionRefused: boolean;

  /** Only a test that wants the limit to be reached gives a short one: a loaded machine may stand still that long. */
  async function start(idleTimeoutMs = 20_000): Promise<void> {
    pair = await socketPair();
    task = new TaskStub();
    sessionRefused = false;
    upload = new ImportStream(
      new RunningTransfer({ wire: pair.client, inlet: pair.inlet }, task.facts('PUT /import_raw_vdi')),
      {
        poolName: 'paris',
        accepted: false,
        idleTimeoutMs,
        onSessionRefused: () => {
          sessionRefused = true;
        },
      },
    );
  }

  afterEach(async () => {
    task.end('failure');
    await upload.abort();
    pair.close();
  });

  /** Writes until the upload breaks, and gives the error. */
  async function breakingError(): Promise<unknown> {
    for (;;) {
      const error: unknown = await upload.write(0, FRAME).then(
        () => null,
        (reason: unknown) => reason,
      );
      if (error !== null) return error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('goes on, and takes the answer when it comes, in pieces', async () => {
    await start();
    await upload.write(0, FRAME);
    await once(pair.server, 'data');
    pair.server.write('HTTP/1.1 200 OK\r\nConnec');
    await upload.write(512, FRAME);
    pair.server.write('tion: close\r\n\r\n');
    task.end('success');
    await upload.finish();
  });

  /** All that the server receives, once it is this much. */
  async function received(lengthBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of pair.server.iterator({ destroyOnReturn: false })) {
      pieces.push(piece as Buffer);
      if (pieces.reduce((sum, { length }) => sum + length, 0) >= lengthBytes) break;
    }
    return Buffer.concat(pieces);
  }

  it('sends frames in order, from where they stand when there is room before them, copied when there is none', async () => {
    await start();
    const memory = Buffer.alloc(512 + 2048, 7);
    await upload.write(1024, memory.subarray(512, 1536), 512);
    await upload.write(4096, FRAME);
    const bytes = await received(12 + 1024 + 12 + 512);
    expect(bytes.subarray(0, 12).toString('hex')).toBe('000400000000000000040000');
    expect(bytes.subarray(12, 1036).equals(Buffer.alloc(1024, 7))).toBe(true);
    expect(bytes.subarray(1036, 1048).toString('hex')).toBe('001000000000000000020000');
    expect(bytes.subarray(1048).equals(FRAME)).toBe(true);
    // The frame's header stands in the room, and nothing else was written to.
    expect(memory.subarray(500, 512).toString('hex')).toBe('000400000000000000040000');
    expect(memory.subarray(0, 500).equals(Buffer.alloc(500, 7))).toBe(true);
    expect(memory.subarray(512).equals(Buffer.alloc(2048, 7))).toBe(true);
    expect(upload.bytesSent).toBe(12 + 1024 + 12 + 512);
    expect(upload.bytesWritten).toBe(upload.bytesSent);
  });

  it('takes a frame or two ahead of the line, and says what has left', async () => {
    await start();
    pair.server.pause();
    const frame = new Uint8Array(2 * 1024 * 1024);
    const writes: Promise<void>[] = [];
    for (let nth = 0; nth < 16; nth += 1) {
      const write = upload.write(nth * frame.length, frame);
      writes.push(write);
      const waits = await Promise.race([
        write.then(() => false),
        new Promise((resolve) => setImmediate(() => resolve(true))),
      ]);
      if (waits === true) break;
    }
    const [sent, written] = [upload.bytesSent, upload.bytesWritten];
    expect(writes.length).toBeLessThan(16);
    expect(sent - written).toBeGreaterThan(3 * 1024 * 1024);
    expect(sent - written).toBeLessThan(6 * 1024 * 1024);
    pair.server.resume();
    await Promise.all(writes);
    expect(upload.bytesWritten).toBeGreaterThan(written);
  });

  it('breaks with a refused session, which is then renewed; the task, still pending, is not waited for', async () => {
    await start();
    pair.server.write('HTTP/1.1 401 Unauthorised\r\n\r\n');
    expect(await breakingError()).toMatchObject({ kind: 'http', retry: 'now' });
    expect(sessionRefused).toBe(true);
    expect(task.calls).toEqual([]);
  });

  it('breaks with a redirect, since what was sent cannot be taken along', async () => {
    await start();
    task.end('success');
    pair.server.write('HTTP/1.1 302 Found\r\nLocation: https://192.0.2.1/\r\n\r\n');
    expect(await breakingError()).toMatchObject({ kind: 'http', retry: 'later' });
  });

  it('breaks with what is no HTTP', async () => {
    await start();
    task.end('success');
    pair.server.write('SSH-2.0-OpenSSH\r\n');
    expect(await breakingError()).toMatchObject({ kind: 'connection', retry: 'later' });
  });

  it('breaks with an error message that follows the answer at once', async () => {
    await start();
    task.end('failure', ['VDI_IO_ERROR', 'Device I/O errors']);
    pair.server.write('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await breakingError()).toMatchObject({ code: 'VDI_IO_ERROR' });
  });

  it('is given up when the server takes no byte for too long', async () => {
    await start(100);
    pair.server.pause();
    const stuck = upload.write(0, new Uint8Array(64 * 1024 * 1024));
    await expect(stuck).rejects.toMatchObject({ kind: 'timeout', retry: 'later' });
    await expect(stuck).rejects.toThrow('the server took no byte for 100 ms');
  });
});
