import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartialFile, writeWhole } from '../../../../lib/engine/seed/files/partial-file';
import { assertRoom } from '../../../../lib/engine/seed/files/space';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xenrepl-file-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('a file is not in its place before all of it is durable', async () => {
  const path = join(folder, 'disk');
  const file = await PartialFile.create(path);
  for (let count = 0; count < 40; count += 1) await file.write(Buffer.alloc(70_000, count));
  expect(existsSync(path)).toBe(false);
  await file.commit();
  const whole = Buffer.concat(Array.from({ length: 40 }, (_, count) => Buffer.alloc(70_000, count)));
  expect(readFileSync(path).equals(whole)).toBe(true);
  expect(readdirSync(folder)).toEqual(['disk']);
});

test('discarded, nothing of it stays, and what an older try left is dropped', async () => {
  writeFileSync(join(folder, 'disk.partial'), 'older');
  const file = await PartialFile.create(join(folder, 'disk'));
  await file.write(Buffer.from('new'));
  await file.discard();
  expect(readdirSync(folder)).toEqual([]);
});

describe('on a full disk', () => {
  test('it says so, and what to do', async () => {
    symlinkSync('/dev/full', join(folder, 'disk.partial'));
    const file = await PartialFile.create(join(folder, 'disk'));
    await expect(file.write(Buffer.alloc(2 * 1024 * 1024))).rejects.toMatchObject({
      code: 'seed-file',
      message: `Cannot write ${join(folder, 'disk')}: the disk is full (ENOSPC)`,
      hint: expect.stringContaining('free space there') as string,
    });
    await file.discard();
  });

  test('nothing is begun', async () => {
    // A file system without a free byte.
    await expect(assertRoom('/proc', 1, 'an archive')).rejects.toMatchObject({
      code: 'seed-file',
      message: 'Cannot write an archive to /proc: it needs 0.01 MiB, 0.00 MiB are free',
    });
    await assertRoom(folder, 1, 'an archive');
  });
});

test('what a file system refuses for other reasons stays what it is', async () => {
  mkdirSync(join(folder, 'seed.json.partial'));
  await expect(writeWhole(join(folder, 'seed.json'), '{}')).rejects.toMatchObject({ code: 'EISDIR' });
});
