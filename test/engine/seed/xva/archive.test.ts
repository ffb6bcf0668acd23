/** Archives that Python's tarfile, gzip and zstd wrote around the description of a real one. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { XvaArchive } from '../../../../lib/engine/seed/xva/archive';
import { describeWithPythonModule, describeWithTool, systemPython } from '../../../foreign-tools';

const mib = 1024 ** 2;
const diskBytes = 8 * mib;
type Member = readonly [name: string, content: Buffer | string];

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xenrepl-xva-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The description that a real server wrote, of a VM with one disk of 8 MiB, `Ref:4`. */
const ova = ((): string => {
  const tar = gunzipSync(readFileSync(join(__dirname, '../../../vectors/vhd/vm1.xva.gz')));
  return tar.toString('utf8', 512, 512 + parseInt(tar.toString('latin1', 124, 135), 8));
})();

/** Content that compresses badly, the same each time. */
function noise(lengthBytes: number, seed: number): Buffer {
  const key = (index: number): Buffer =>
    createHash('sha512')
      .update(`${String(seed)} ${String(index)}`)
      .digest();
  return Buffer.concat(Array.from({ length: lengthBytes / 64 }, (_, index) => key(index)));
}

const first = noise(mib, 1);
const fourth = noise(mib, 4);
const last = Buffer.alloc(mib, 'z');

function chunk(number: number, data: Buffer, ref = 'Ref:4'): readonly Member[] {
  const name = `${ref}/${String(number).padStart(8, '0')}`;
  return [
    [name, data],
    [`${name}.checksum`, createHash('sha1').update(data).digest('hex')],
  ];
}

const whole: readonly Member[] = [
  ['ova.xml', ova],
  ...chunk(0, first),
  ...chunk(3, fourth),
  ...chunk(7, last),
];

function written(members: readonly Member[]): string {
  const path = join(folder, 'vm.xva');
  const input = JSON.stringify(
    members.map(([name, content]) => [name, Buffer.from(content).toString('base64')]),
  );
  execFileSync(systemPython, [join(__dirname, 'write-tar.py'), path], { input });
  return path;
}

/** Content of each disk by device, as far as the archive gives it. */
async function read(path: string): Promise<ReadonlyMap<string, Buffer>> {
  const archive = await XvaArchive.open(createReadStream(path));
  const disks = new Map<string, Buffer>();
  for await (const { disk, extents } of archive.disks()) {
    const content = Buffer.alloc(disk.sizeBytes);
    for await (const { offsetBytes, data } of extents) content.set(data, offsetBytes);
    disks.set(disk.device, content);
  }
  return disks;
}

const content = Buffer.alloc(diskBytes);
content.set(first, 0);
content.set(fourth, 3 * mib);
content.set(last, 7 * mib);

function compressed(path: string, program: string, ...options: readonly string[]): string {
  const packed = execFileSync(program, [...options, '-c', path], { maxBuffer: 64 * mib });
  writeFileSync(path, packed);
  return path;
}

async function expectWhole(packed: (path: string) => string): Promise<void> {
  const disks = await read(packed(written(whole)));
  expect([...disks.keys()]).toEqual(['0']);
  expect(Buffer.compare(disks.get('0') ?? Buffer.alloc(0), content)).toBe(0);
}

describeWithPythonModule('tarfile', () => {
  describe('an archive with SHA-1 sums, as older releases write them', () => {
    test.each<readonly [string, (path: string) => string]>([
      ['plain', (path) => path],
      ['gzip', (path) => compressed(path, 'gzip')],
      [
        'two members of gzip, one after the other',
        (path) => {
          const tar = readFileSync(path);
          const parts = [tar.subarray(0, 100_000), tar.subarray(100_000)].map((part) =>
            execFileSync('gzip', ['-c'], { input: part, maxBuffer: 64 * mib }),
          );
          writeFileSync(path, Buffer.concat(parts));
          return path;
        },
      ],
    ])('%s', (_, packed) => expectWhole(packed));

    describeWithTool('zstd', () => {
      test.each<readonly [string, (path: string) => string]>([
        ['zstd', (path) => compressed(path, 'zstd')],
        ['zstd, its best', (path) => compressed(path, 'zstd', '-19')],
        ['zstd with a window of 128 MiB', (path) => compressed(path, 'zstd', '--long=27')],
        [
          'two frames of zstd, one after the other',
          (path) => {
            const tar = readFileSync(path);
            const parts = [tar.subarray(0, 100_000), tar.subarray(100_000)].map((part) =>
              execFileSync('zstd', ['-c'], { input: part, maxBuffer: 64 * mib }),
            );
            writeFileSync(path, Buffer.concat(parts));
            return path;
          },
        ],
      ])('%s', (_, packed) => expectWhole(packed));
    });

    test('with an empty chunk, which a server sends so that a slow export is not taken for a dead one', async () => {
      const members = [
        ['ova.xml', ova] as const,
        ...chunk(0, first),
        ...chunk(2, Buffer.alloc(0)),
        ...chunk(3, fourth),
        ...chunk(7, last),
      ];
      expect((await read(written(members))).get('0')?.equals(content)).toBe(true);
    });
  });

  describe('is refused, with what is wrong', () => {
    const [head, ...chunks] = whole;
    if (head === undefined) throw new Error('no description');
    const without = (name: string): readonly Member[] => whole.filter(([found]) => found !== name);

    test.each<readonly [string, readonly Member[], string]>([
      ['a chunk that was changed', whole.with(3, ['Ref:4/00000003', last]), 'The sum of "Ref:4/00000003" is'],
      ['a sum that is missing', without('Ref:4/00000003.checksum'), 'has no sum for "Ref:4/00000003"'],
      ['a chunk that is missing', without('Ref:4/00000003'), '"Ref:4/00000003.checksum" is not where'],
      ['a first chunk that is missing', [head, ...chunks.slice(4)], 'is not where or what it should be'],
      ['last chunks that are missing', whole.slice(0, 5), 'ends at byte 4194304 of 8388608'],
      [
        'chunks in another order',
        [head, ...chunk(0, first), ...chunk(7, last), ...chunk(3, fourth)],
        '"Ref:4/00000003" is not where',
      ],
      ['a chunk twice', [head, ...chunk(0, first), ...chunk(0, first)], '"Ref:4/00000000" is not where'],
      ['a chunk behind the end', [...whole, ...chunk(8, last)], '"Ref:4/00000008" is not where'],
      ['a disk that nothing is known of', [...whole, ...chunk(0, first, 'Ref:9')], 'does not name'],
      ['something else', [...whole, ['notes.txt', 'x']], 'holds "notes.txt", which is no part of a disk'],
      ['no description', chunks, 'begins with "Ref:4/00000000", expected "ova.xml"'],
      ['an older description', [['ova.xml', '<appliance version="0.1"/>']], 'ova.xml cannot be read'],
      [
        'a description without a VM',
        [['ova.xml', ova.replaceAll('<value>VM<', '<value>VX<')]],
        'holds no VM',
      ],
    ])('%s', async (_, members, said) => {
      await expect(read(written(members))).rejects.toMatchObject({
        code: 'seed-file',
        message: expect.stringContaining(said) as string,
      });
    });

    test.each([100, 600, 25_000, 1_000_000, 2 * mib, -512 * 21])('cut short at %i', async (atBytes) => {
      const path = written(whole);
      const { length } = readFileSync(path);
      truncateSync(path, atBytes < 0 ? length + atBytes : atBytes);
      await expect(read(path)).rejects.toMatchObject({ code: 'seed-file' });
    });

    describe.each(['gzip', 'zstd'])('%s', (program) =>
      describeWithTool(program, () => {
        test('cut short, or damaged', async () => {
          const path = compressed(written(whole), program);
          const packed = readFileSync(path);
          for (const atBytes of [3, 1000, packed.length >> 1, packed.length - 20]) {
            writeFileSync(path, packed.subarray(0, atBytes));
            await expect(read(path)).rejects.toMatchObject({ code: 'seed-file' });
          }
          packed[packed.length >> 1] = (packed[packed.length >> 1] ?? 0) ^ 0x10;
          writeFileSync(path, packed);
          await expect(read(path)).rejects.toMatchObject({ code: 'seed-file' });
        });
      }),
    );

    test.each([
      ['nothing at all', ''],
      ['an error page', 'HTTP/1.1 500 Internal Server Error\r\n\r\n'.padEnd(2000, ' ')],
      ['noise', noise(4096, 9)],
    ])('%s', async (_, found) => {
      const path = join(folder, 'vm.xva');
      writeFileSync(path, found);
      await expect(read(path)).rejects.toMatchObject({ code: 'seed-file' });
    });
  });
});
