import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  blockSizeBytesDefault as blockBytes,
  encodeFixedVhd,
  encodeVhd,
  type VhdBlock,
  type VhdImage,
} from '../../lib/vhd';
import { describeWithPythonModule, describeWithTool, systemPython } from '../foreign-tools';
import { content, diskBytes } from './golden';
import { cut, gather, headerOf, decodeAll, restore, sha256 } from './restore';

/*
 * Witnesses from outside: our own writer must not be the only one to confirm our own reader. qemu takes the size
 * from the geometry unless told to use the size field; it ignores parents, so chains are libvhdi's task.
 */
const uniqueId = '0d15ea5e-0000-4000-8000-000000000001';
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vhd-foreign-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const sizes: [string, number][] = [
  ['16 MiB', diskBytes],
  ['two blocks and a half', 5 * 2 ** 20],
  ['a size that ends within a block, by single sectors', 5 * 2 ** 20 + 1536],
  ['one sector', 512],
];

/** A disk with data at its start and end, and a hole between where there is room for one. */
function diskOf(sizeBytes: number): Uint8Array {
  const disk = new Uint8Array(sizeBytes);
  disk.set(content('child').subarray(0, Math.min(sizeBytes, 2_000_000)));
  disk.fill(0x5a, Math.max(0, sizeBytes - 70_000));
  return disk;
}

/** Everything that is not zero, as an image. */
function imageOf(disk: Uint8Array, more: Partial<VhdImage> = {}): [VhdImage, VhdBlock[]] {
  const blocks: VhdBlock[] = [];
  for (let index = 0; index * blockBytes < disk.length; index += 1) {
    const data = disk.subarray(index * blockBytes, (index + 1) * blockBytes);
    if (data.some((byte) => byte !== 0)) {
      blocks.push({ index, data });
    }
  }
  const indices = blocks.map((block) => block.index);
  return [{ sizeBytes: disk.length, parent: null, blocks: indices, uniqueId, ...more }, blocks];
}

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describeWithTool('qemu-img', () => {
  const convert = (...args: string[]): unknown => execFileSync('qemu-img', ['convert', ...args]);

  it.each(sizes)('reads our dynamic image of %s as the same disk', async (_name, sizeBytes) => {
    const disk = diskOf(sizeBytes);
    const path = write('ours.vhd', await gather(encodeVhd(...imageOf(disk))));
    const source = `driver=vpc,file.driver=file,file.filename=${path},force_size_calc=current_size`;
    convert('--image-opts', source, '-O', 'raw', join(folder, 'out.raw'));

    expect(sha256(readFileSync(join(folder, 'out.raw')))).toBe(sha256(disk));
  });

  it('reads it without being told about the size, where the creator is one that it believes', async () => {
    const disk = diskOf(diskBytes);
    const path = write('ours.vhd', await gather(encodeVhd(...imageOf(disk, { creator: 'win ' }))));
    convert('-f', 'vpc', '-O', 'raw', path, join(folder, 'out.raw'));

    expect(sha256(readFileSync(join(folder, 'out.raw')))).toBe(sha256(disk));
  });

  it('reads our fixed image as the same disk', async () => {
    const disk = diskOf(diskBytes);
    const image = { sizeBytes: diskBytes, uniqueId, creator: 'win ' };
    const path = write('ours.vhd', await gather(encodeFixedVhd(image, [disk])));
    convert('-f', 'vpc', '-O', 'raw', path, join(folder, 'out.raw'));

    expect(sha256(readFileSync(join(folder, 'out.raw')))).toBe(sha256(disk));
  });

  describe.each(sizes)('makes of a disk of %s', (_name, sizeBytes) => {
    const made = (subformat: string): Uint8Array => {
      const raw = write('in.raw', diskOf(sizeBytes));
      const path = join(folder, 'theirs.vhd');
      convert('-f', 'raw', '-O', 'vpc', '-o', `subformat=${subformat},force_size=on`, raw, path);
      return readFileSync(path);
    };

    it('a dynamic image that we read as the same disk', () => {
      const bytes = made('dynamic');
      const { disk, header } = restore(cut(bytes, 60_000), new Uint8Array(sizeBytes));

      expect(header).toMatchObject({ diskType: 'dynamic', sizeBytes, lengthBytes: bytes.length });
      expect(sha256(disk)).toBe(sha256(diskOf(sizeBytes)));
    });

    it('a fixed image that we read as the same disk', () => {
      const bytes = made('fixed');
      const { disk, header } = restore(cut(bytes, 60_000), new Uint8Array(sizeBytes), { acceptFixed: true });

      expect(header).toMatchObject({ diskType: 'fixed', sizeBytes, lengthBytes: bytes.length });
      expect(sha256(disk)).toBe(sha256(diskOf(sizeBytes)));
    });
  });
});

describeWithTool('qemu-io', () => {
  it('writes blocks in the order of time: we read them in any', () => {
    const path = join(folder, 'theirs.vhd');
    execFileSync('qemu-img', ['create', '-q', '-f', 'vpc', '-o', 'force_size=on', path, String(diskBytes)]);
    const writes = ['write -q -P 3 14M 64k', 'write -q -P 1 0 4k', 'write -q -P 2 8M 1M'];
    execFileSync('qemu-io', ['-f', 'vpc', ...writes.flatMap((command) => ['-c', command]), path]);
    const { disk, blocks } = restore(cut(readFileSync(path), 10_007), new Uint8Array(diskBytes));
    const wanted = new Uint8Array(diskBytes);
    wanted.fill(3, 14 * 2 ** 20, 14 * 2 ** 20 + 65_536);
    wanted.fill(1, 0, 4096);
    wanted.fill(2, 8 * 2 ** 20, 9 * 2 ** 20);

    expect(blocks).toEqual([7, 0, 4]);
    expect(sha256(disk)).toBe(sha256(wanted));
  });
});

describeWithTool('vhdiinfo', () => {
  it('tells of our delta what we wrote', async () => {
    const parent = { uniqueId: '0d15ea5e-0000-4000-8000-00000000000a', name: 'base.vhd' };
    const path = write('ours.vhd', await gather(encodeVhd(...imageOf(content('child'), { parent }))));
    const told = execFileSync('vhdiinfo', [path], { encoding: 'utf8' });

    expect(told).toMatch(/Disk type\s*: Differential/);
    expect(told).toMatch(/Media size\s*: 16 MiB \(16777216 bytes\)/);
    expect(told).toMatch(/Identifier\s*: 0d15ea5e-0000-4000-8000-000000000001/);
    expect(told).toMatch(/Parent identifier\s*: 0d15ea5e-0000-4000-8000-00000000000a/);
    expect(told).toMatch(/Parent filename\s*: base\.vhd/);
  });
});

/** Opens a chain of images, base first, and prints the digest of the whole disk seen through the last one. */
const readChain = `
import hashlib, sys, pyvhdi
images = []
for path in sys.argv[1:]:
    image = pyvhdi.file()
    image.open(path)
    if images:
        image.set_parent(images[-1])
    images.append(image)
disk = images[-1]
print(hashlib.sha256(disk.read_buffer(disk.get_media_size())).hexdigest())
`;

describeWithPythonModule('pyvhdi', () => {
  const idOf = (nth: number): string => `0d15ea5e-0000-4000-8000-00000000000${nth}`;

  /** Blocks that differ from what was there before, whole: the bitmaps that libvhdi reads rightly are full ones. */
  function deltaOf(nth: number, before: Uint8Array, after: Uint8Array): [VhdImage, VhdBlock[]] {
    const [image, blocks] = imageOf(after.map((byte, at) => (byte === before[at] ? 0 : 1)));
    const own = blocks.map(({ index }) => ({
      index,
      data: after.subarray(index * blockBytes, (index + 1) * blockBytes),
    }));
    const parent = nth === 0 ? null : { uniqueId: idOf(nth - 1), name: `${nth - 1}.vhd` };
    return [{ ...image, uniqueId: idOf(nth), parent }, own];
  }

  it('reads our chain of a full image and two deltas as the same disk', async () => {
    const states = [new Uint8Array(diskBytes), content('base'), content('child'), content('grand')];
    const paths: string[] = [];
    const seen: string[] = [];
    for (const [nth, after] of states.slice(1).entries()) {
      const before = states[nth] ?? new Uint8Array(diskBytes);
      const bytes = await gather(encodeVhd(...deltaOf(nth, before, after)));
      expect(headerOf(decodeAll([bytes])).parentUniqueId).toBe(nth === 0 ? null : idOf(nth - 1));
      paths.push(write(`${nth}.vhd`, bytes));
      seen.push(execFileSync(systemPython, ['-c', readChain, ...paths], { encoding: 'utf8' }).trim());
    }

    expect(seen).toEqual(states.slice(1).map(sha256));
  });
});
