import { Writable } from 'node:stream';
import { Output } from '../../../lib/cli/output/output';
import { Screen } from '../call';

/** Takes nothing until it is told to. */
class SleepingReader extends Writable {
  readonly taken: string[] = [];
  #wake: (() => void)[] = [];

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.#wake.push(() => {
      this.taken.push(chunk.toString());
      done();
    });
  }

  wakeUp(): void {
    for (let next = this.#wake.shift(); next !== undefined; next = this.#wake.shift()) next();
  }
}

/** Fails as a pipe does whose other end was closed. */
function closedPipe(code: string): Writable {
  return new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`write ${code}`), { code })),
  });
}

test('has a width on a terminal only: what goes to a file is never cut', () => {
  const width = (screen: Screen): number | null => new Output(screen, () => undefined).width;
  expect(width(new Screen(97))).toBe(97);
  expect(width(new Screen())).toBeNull();
});

test('progress is left out while the reader sleeps; results wait for it', async () => {
  const reader = new SleepingReader();
  const output = new Output(reader, () => undefined);
  const line = 'x'.repeat(1023);
  const written = Array.from({ length: 10_000 }, () => output.lineIfReady(line)).filter(Boolean).length;
  output.line('result');
  expect(written).toBeGreaterThan(0);
  expect(reader.writableLength).toBeLessThan(70 * 1024);
  const flushed = output.flushed();
  reader.wakeUp();
  await flushed;
  const taken = reader.taken.filter((text) => text !== '');
  expect(taken).toHaveLength(written + 1);
  // Not compared as a whole: what jest would print is as long as what was written.
  expect(taken.at(-1)).toBe('result\n');
});

test('tells once that the reader has left, and writes nothing more', async () => {
  const told: (string | undefined)[] = [];
  const output = new Output(closedPipe('EPIPE'), ({ code }) => told.push(code));
  output.line('one');
  await output.flushed();
  output.line('two');
  expect(output.lineIfReady('three')).toBe(false);
  await output.flushed();
  expect(told).toEqual(['EPIPE']);
});
