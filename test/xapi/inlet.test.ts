import fc from 'fast-check';
import { socketPair, type SocketPair } from './socket-pair';

describe('what a socket receives', () => {
  let pair: SocketPair;

  beforeEach(async () => {
    pair = await socketPair();
  });

  afterEach(() => {
    pair.close();
  });

  /** Reads to the end; every few pieces lets the sender go on alone for a while. */
  async function readAll(pauseEvery: number): Promise<Buffer> {
    const all: Buffer[] = [];
    for (let piece = await pair.inlet.read(); piece !== null; piece = await pair.inlet.read()) {
      // Copied, since it is only ours until the next call.
      all.push(Buffer.from(piece));
      if (all.length % pauseEvery === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return Buffer.concat(all);
  }

  it('comes whole and in order, however it was sent and however slowly it is read', async () => {
    pair.close();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 700_000 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        async (lengths, pauseEvery) => {
          pair = await socketPair();
          const sent = lengths.map((length, nth) =>
            Buffer.from(Array.from({ length: 97 }, (_, at) => (at * 31 + nth * 7) % 251))
              .toString('latin1')
              .repeat(Math.ceil(length / 97))
              .slice(0, length),
          );
          for (const text of sent) pair.server.write(text, 'latin1');
          pair.server.end();
          expect((await readAll(pauseEvery)).equals(Buffer.from(sent.join(''), 'latin1'))).toBe(true);
          pair.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is not taken from the line as long as nobody reads: memory does not grow with what is sent', async () => {
    const sentBytes = 64 * 1024 * 1024;
    pair.server.end(Buffer.alloc(sentBytes, 7));
    // Some turns of the loop: whatever is taken without a reader is taken by then.
    await pair.inlet.arrival();
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(pair.client.bytesRead).toBeLessThanOrEqual(2 * 1024 * 1024);
    expect(await readAll(3)).toHaveLength(sentBytes);
  });

  it('ends with null, again and again', async () => {
    pair.server.end('all');
    expect(String(await pair.inlet.read())).toBe('all');
    expect(await pair.inlet.read()).toBeNull();
    expect(await pair.inlet.read()).toBeNull();
  });

  it('is followed by what the socket failed with', async () => {
    pair.server.write('all that came');
    await pair.inlet.arrival();
    pair.client.destroy(new Error('read ECONNRESET'));
    await new Promise((resolve) => pair.client.once('close', resolve));
    expect(String(await pair.inlet.read())).toBe('all that came');
    await expect(pair.inlet.read()).rejects.toThrow('read ECONNRESET');
  });

  it('fails where the socket is closed before the end', async () => {
    const reading = pair.inlet.read();
    pair.client.destroy();
    await expect(reading).rejects.toThrow('closed before its end');
  });

  it('can be waited for, with a bound', async () => {
    expect(await pair.inlet.arrival(1)).toBe(false);
    pair.server.write('late');
    expect(await pair.inlet.arrival(60_000)).toBe(true);
    expect(String(await pair.inlet.read())).toBe('late');
  });

  it('can be given back: the next read begins with it', async () => {
    pair.server.write('more');
    pair.inlet.unread(Buffer.from('second '));
    pair.inlet.unread(Buffer.from('first '));
    expect(String(await pair.inlet.read())).toBe('first second ');
    expect(String(await pair.inlet.read())).toBe('more');
  });
});
