import { XapiError } from '../../lib/xapi';
import { ExportStream } from '../../lib/xapi/export-stream';
import { RunningTransfer } from '../../lib/xapi/running-transfer';
import { socketPair, type SocketPair } from './socket-pair';
import { TaskStub } from './task-stub';

const realTimers = [
  'Date',
  'hrtime',
  'nextTick',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setTimeout',
  'clearTimeout',
] as const;
const limitMs = 20_000;

describe('the body of a download', () => {
  let pair: SocketPair;
  let task: TaskStub;
  let download: ExportStream;

  beforeEach(async () => {
    // What measures silence is driven; sockets, and the pauses between two looks at the task, are real.
    jest.useFakeTimers({ doNotFake: [...realTimers] });
    pair = await socketPair();
    task = new TaskStub();
    const transfer = new RunningTransfer(
      { wire: pair.client, inlet: pair.inlet },
      task.facts('GET /export_raw_vdi'),
    );
    download = new ExportStream(transfer, 'paris', limitMs);
  });

  afterEach(async () => {
    task.end('failure');
    await download.abort();
    pair.close();
    jest.useRealTimers();
  });

  async function readAll(): Promise<number> {
    let bytes = 0;
    for await (const piece of download.body) bytes += piece.length;
    return bytes;
  }

  it("fails with the task's reason where the connection breaks", async () => {
    task.end('failure', ['VDI_IO_ERROR', 'Device I/O errors']);
    const failed = readAll();
    pair.client.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    await expect(failed).rejects.toBeInstanceOf(XapiError);
    await expect(failed).rejects.toMatchObject({ code: 'VDI_IO_ERROR', method: 'GET /export_raw_vdi' });
  });

  it('fails as a lost connection where the task knows no reason', async () => {
    task.end('success');
    const failed = readAll();
    pair.client.destroy(new Error('read ECONNRESET'));
    await expect(failed).rejects.toMatchObject({ kind: 'connection', retry: 'later' });
  });

  it('is given up when no byte comes for too long', async () => {
    task.end('success');
    const failed = readAll();
    jest.advanceTimersByTime(1.1 * limitMs);
    await expect(failed).rejects.toMatchObject({ kind: 'timeout', retry: 'later' });
    await expect(failed).rejects.toThrow('no byte came for 20000 ms');
  });

  it('is not given up because its consumer takes its time', async () => {
    pair.server.write('first');
    const iterator = download.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>;
    expect(Buffer.from((await iterator.next()).value ?? []).toString()).toBe('first');
    jest.advanceTimersByTime(3 * limitMs);
    pair.server.end('second');
    expect(Buffer.from((await iterator.next()).value ?? []).toString()).toBe('second');
    expect((await iterator.next()).done).toBe(true);
  });
});
