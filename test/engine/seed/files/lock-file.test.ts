import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemClock } from '../../../../lib/engine';
import { underLockFile } from '../../../../lib/engine/seed/files/lock-file';
import { Folder } from '../carried-files';

const context = { who: 'xenrepl of ann', clock: systemClock, signal: new AbortController().signal };

describe('a lock beside files', () => {
  let folder: Folder;
  let path: string;

  beforeEach(() => {
    folder = new Folder();
    path = folder.in('lock');
  });

  afterEach(() => folder[Symbol.dispose]());

  const under = <T>(work: () => Promise<T>): Promise<T> =>
    underLockFile(path, 'export to usb', context, work);

  function left(changes: object): void {
    const since = '2026-11-24T00:00:00.000Z';
    const holder = { kind: 'xenrepl lock', who: 'xenrepl of bob', host: hostname(), pid: 1, since };
    writeFileSync(path, JSON.stringify({ ...holder, ...changes }));
  }

  test('lets one in, names it to the others, and is gone when it is done', async () => {
    await under(async () => {
      expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() });
      await expect(under(() => Promise.resolve())).rejects.toMatchObject({
        code: 'locked',
        message: expect.stringMatching(
          /^Cannot export to usb: xenrepl of ann \(since .*\) is doing so/,
        ) as string,
        hint: expect.stringContaining('delete that file') as string,
      });
      expect(existsSync(path)).toBe(true);
    });
    expect(await under(() => Promise.resolve(7))).toBe(7);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('is gone where the work fails', async () => {
    await expect(under(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.each([
    [
      'of a process that died on this machine',
      () => left({ pid: spawnSync(process.execPath, ['-e', '']).pid }),
    ],
    ['of a process that had our number before us', () => left({ pid: process.pid })],
    [
      'that was never written to its end',
      () => {
        writeFileSync(path, '{"kind"');
        utimesSync(path, 1000, 1000);
      },
    ],
  ])('is taken over: one %s', async (_what, leave) => {
    leave();
    expect(await under(() => Promise.resolve(7))).toBe(7);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.each([
    ['of a process that lives', { pid: process.ppid }],
    ['of another machine, of which nothing is known', { host: 'elsewhere' }],
  ])('stands: one %s', async (_what, changes) => {
    left(changes);
    await expect(under(() => Promise.resolve())).rejects.toThrow('xenrepl of bob');
    expect(readdirSync(folder.path)).toEqual(['lock']);
  });

  test('of two that find a dead one, one gets in', async () => {
    left({ pid: spawnSync(process.execPath, ['-e', '']).pid });
    let inside = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      expect(inside).toBe(1);
      await systemClock.sleep(20, context.signal);
      inside -= 1;
    };
    const results = await Promise.allSettled([under(work), under(work), under(work)]);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(1);
    expect(readdirSync(folder.path)).toEqual([]);
  });
});
