/** Back-pressure of a thin line: whoever is ahead of it waits, and what waits is not gathered. */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { Line } from '../../../lib/simulator/line';
import { Connection, ConnectionLostError } from '../../../lib/simulator/transfer/connection';
import { DrivenTime } from '../driven-time';

const chunkBytes = 16 * 1024;
const bytesPerSecond = 1_000_000;

/** The near end of a socket: hands out as many chunks as it is asked for, and takes what is written. */
class Socket extends Duplex {
  handedOut = 0;
  readonly written: Buffer[] = [];

  constructor(private readonly chunks: number) {
    super({ allowHalfOpen: true, highWaterMark: chunkBytes });
  }

  override _read(): void {
    if (this.handedOut === this.chunks) this.push(null);
    else this.push(Buffer.alloc(chunkBytes, ++this.handedOut));
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.written.push(Buffer.from(bytes));
    done();
  }

  get writtenBytes(): number {
    return Buffer.concat(this.written).length;
  }
}

let time: DrivenTime;
let line: Line;
beforeEach(() => {
  time = new DrivenTime();
  line = new Line(time);
  line.setSpeed(bytesPerSecond);
});

function connect(chunks: number, buffered = Buffer.alloc(0)): { socket: Socket; connection: Connection } {
  const socket = new Socket(chunks);
  return { socket, connection: new Connection(socket, buffered, line) };
}

/** Reads to the end of the stream. */
async function readAll(connection: Connection, lengthBytes: number): Promise<Buffer> {
  const target = Buffer.alloc(lengthBytes);
  return target.subarray(0, await connection.read(target));
}

describe('what comes in', () => {
  it('is read off the socket no faster than the line carries it, and arrives whole and in order', async () => {
    const chunks = 200;
    const { socket, connection } = connect(chunks);
    const reading = readAll(connection, chunks * chunkBytes + 1);
    for (let round = 0; round < 10; round += 1) {
      await time.advance(100);
      const passed = (bytesPerSecond * time.nowMs()) / 1000;
      // What one reading gives, and what the stream reads ahead.
      expect(socket.handedOut * chunkBytes).toBeLessThanOrEqual(passed + 3 * chunkBytes);
    }
    line.setSpeed(null);
    const expected = Buffer.concat(
      Array.from({ length: chunks }, (_, at) => Buffer.alloc(chunkBytes, at + 1)),
    );
    expect((await reading).equals(expected)).toBe(true);
  });

  it('together with the head of the request has the line before it, too', async () => {
    const { connection } = connect(0, Buffer.alloc(50_000, 7));
    let arrived = false;
    const reading = readAll(connection, 50_000).then((bytes) => {
      arrived = true;
      return bytes;
    });
    await time.advance(40);
    expect(arrived).toBe(false);
    await time.advance(20);
    expect((await reading).equals(Buffer.alloc(50_000, 7))).toBe(true);
  });

  it('is all there before the end of the stream is told of', async () => {
    const { connection } = connect(3);
    const reading = readAll(connection, 4 * chunkBytes);
    await time.advance(1000);
    expect((await reading).length).toBe(3 * chunkBytes);
  });

  it('is lost where the connection breaks while it waits', async () => {
    const { socket, connection } = connect(100);
    const reading = readAll(connection, 100 * chunkBytes);
    await time.advance(1);
    socket.destroy();
    await once(socket, 'close');
    expect((await reading).length).toBe(0);
  });

  it('is given back where somebody else goes on with the socket', async () => {
    const { socket, connection } = connect(100);
    void connection.read(Buffer.alloc(1));
    await time.advance(1);
    const rest = connection.release();
    await time.advance(1000);
    expect(rest.equals(Buffer.alloc(rest.length, 1))).toBe(true);
    expect(rest.length).toBeGreaterThan(0);
    expect(socket.isPaused()).toBe(true);
  });
});

describe('what goes out', () => {
  it('reaches the socket no faster than the line carries it', async () => {
    const { socket, connection } = connect(0);
    const bytes = Buffer.from(Array.from({ length: 500_000 }, (_, at) => at % 251));
    const sending = connection.send(bytes);
    for (let round = 0; round < 4; round += 1) {
      await time.advance(100);
      expect(socket.writtenBytes).toBeLessThanOrEqual((bytesPerSecond * time.nowMs()) / 1000);
      expect(socket.writtenBytes).toBeGreaterThan((bytesPerSecond * time.nowMs()) / 1000 - chunkBytes);
    }
    await time.advance(200);
    await sending;
    expect(Buffer.concat(socket.written).equals(bytes)).toBe(true);
  });

  it('does not ask for the line while the client does not take what was sent', async () => {
    const { socket, connection } = connect(0);
    const taken: (() => void)[] = [];
    socket._write = (_bytes, _encoding, done): void => void taken.push(done);
    void connection.send(Buffer.alloc(1_000_000)).catch(() => undefined);
    await time.advance(60_000);
    expect(taken).toHaveLength(1);
    expect(socket.writableLength).toBeLessThanOrEqual(line.sent.pieceBytes);
  });

  it('fails once the client has gone', async () => {
    const { socket, connection } = connect(0);
    const sending = connection.send(Buffer.alloc(1_000_000));
    const failed = expect(sending).rejects.toThrow(ConnectionLostError);
    await time.advance(10);
    socket.destroy();
    await time.advance(10_000);
    await failed;
  });
});
