/** VHDs that qemu-img made, and what becomes of them when a byte of their structures is wrong. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openVhdFile, vhdFacts } from '../../../../lib/engine/seed/files/vhd-file';
import { describeWithTool } from '../../../foreign-tools';

const mib = 1024 ** 2;
const sizeBytes = 10 * mib;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xenrepl-vhd-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Data in the blocks 0, 2 and 4 of 2 MiB, the last of which ends with the disk. */
const content = Buffer.alloc(sizeBytes);
content.fill('first', 0, 4096);
content.fill('third', 5 * mib - 512, 5 * mib + 1024);
content.fill('last', sizeBytes - 512);

function made(...options: readonly string[]): string {
  const raw = join(folder, 'raw');
  const path = join(folder, 'disk.vhd');
  writeFileSync(raw, content);
  const all = ['force_size=on', ...options].join(',');
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'vpc', '-o', all, raw, path]);
  return path;
}

function patch(path: string, atBytes: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, atBytes);
  closeSync(file);
}

async function read(path: string): Promise<Buffer> {
  const reader = await openVhdFile(path);
  const disk = Buffer.alloc(reader.sizeBytes);
  try {
    for await (const { offsetBytes, data } of reader.extents()) disk.set(data, offsetBytes);
    await reader.finish();
    return disk;
  } catch (error) {
    await reader.abort();
    throw error;
  }
}

describeWithTool('qemu-img', () => {
  test.each([['dynamic'], ['fixed']])('a %s one gives the disk, byte for byte', async (subformat) => {
    const path = made(`subformat=${subformat}`);
    expect((await read(path)).equals(content)).toBe(true);
    const { sizeBytes: found, dataBytes } = await vhdFacts(path);
    expect([found, dataBytes]).toEqual([sizeBytes, subformat === 'fixed' ? sizeBytes : 6 * mib]);
  });

  describe('is refused, with what is wrong', () => {
    const entry = (sector: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(sector);
      return bytes;
    };
    const tableAt = 1536;
    const sectorOf = (path: string, block: number): number =>
      readFileSync(path).readUInt32BE(tableAt + 4 * block);

    test.each<readonly [string, (path: string) => void, string]>([
      ['cut short', (path) => truncateSync(path, 3 * mib), 'conectix'],
      [
        'without its last byte',
        (path) => truncateSync(path, readFileSync(path).length - 1),
        'cannot be used',
      ],
      ['a changed footer', (path) => patch(path, 20, Buffer.from('x')), 'checksum'],
      ['a changed header', (path) => patch(path, 512 + 40, Buffer.from('x')), 'checksum'],
      [
        'two blocks at one place',
        (path) => patch(path, tableAt + 8, entry(sectorOf(path, 0))),
        'block 2 starts at',
      ],
      ['a block over the table', (path) => patch(path, tableAt, entry(2)), 'over the table'],
      [
        'a block behind the end',
        (path) => patch(path, tableAt + 16, entry(1_000_000)),
        'its block 4 ends at byte',
      ],
      [
        'the footer of another disk',
        (path) => {
          const mine = readFileSync(path);
          const other = readFileSync(made());
          writeFileSync(path, Buffer.concat([mine.subarray(0, -512), other.subarray(-512)]));
        },
        'uniqueId',
      ],
      ['something else', (path) => writeFileSync(path, Buffer.alloc(4096)), 'conectix'],
      ['nothing', (path) => writeFileSync(path, ''), 'it has only 0 bytes'],
    ])('dynamic: %s', async (_, damage, said) => {
      const path = made();
      damage(path);
      await expect(read(path)).rejects.toMatchObject({
        code: 'seed-file',
        message: expect.stringContaining(said) as string,
      });
    });

    test('fixed: cut short, and with something before its footer', async () => {
      const path = made('subformat=fixed');
      const whole = readFileSync(path);
      truncateSync(path, 4 * mib);
      await expect(read(path)).rejects.toMatchObject({ code: 'seed-file' });
      writeFileSync(path, Buffer.concat([whole.subarray(0, -512), Buffer.alloc(512), whole.subarray(-512)]));
      await expect(read(path)).rejects.toThrow('10486272 come before it');
    });

    test('a file that is not there', async () => {
      await expect(read(join(folder, 'nothing.vhd'))).rejects.toThrow('ENOENT');
    });
  });
});
