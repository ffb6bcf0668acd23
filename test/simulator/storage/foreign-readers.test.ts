import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describeWithPythonModule, describeWithTool, systemPython } from '../../foreign-tools';
import { MIB, openTestStore, pattern } from './open-store';

/** libvhdi reads chains, given each parent by hand; it prints the SHA-256 of the whole disk. */
const READ_CHAIN = `
import sys, hashlib, pyvhdi
child = None; files = []
for name in sys.argv[1:]:
    f = pyvhdi.file(); f.open(name); files.append(f)
for f, parent in zip(files, files[1:]): f.set_parent(parent)
disk, digest = files[0], hashlib.sha256()
left = disk.get_media_size()
while left > 0:
    data = disk.read_buffer(min(left, 1 << 20)); digest.update(data); left -= len(data)
print(digest.hexdigest())
`;

describeWithTool('qemu-img', () => {
  it('qemu-img converts a disk to the same raw content', async () => {
    await using fixture = await openTestStore();
    const { store, folder } = fixture;
    await store.create('disk', 16 * MIB);
    await store.write('disk', 3 * MIB, pattern('A', 0, 5000));
    await store.write('disk', 16 * MIB - 512, pattern('Z', 0, 1));
    const raw = join(folder, 'disk.raw');
    const source = `driver=vpc,file.driver=file,file.filename=${join(folder, 'disk.vhd')},force_size_calc=current_size`;
    execFileSync('qemu-img', ['convert', '--image-opts', source, '-O', 'raw', raw]);
    expect(createHash('sha256').update(readFileSync(raw)).digest('hex')).toBe(
      (await store.digest('disk')).sha256,
    );
  });
});

describeWithTool('vhdiinfo', () => {
  it('vhdiinfo names size, kind and parent', async () => {
    await using fixture = await openTestStore();
    const { store, folder } = fixture;
    await store.create('disk', 16 * MIB);
    await store.snapshot('disk', 'snapshot', 'base');
    const info = execFileSync('vhdiinfo', [join(folder, 'disk.vhd')], { encoding: 'utf8' });
    expect(info).toMatch(/Disk type\s*: Differential/);
    expect(info).toMatch(/Media size\s*: 16 MiB \(16777216 bytes\)/);
    expect(info).toMatch(/Parent filename\s*: base\.vhd/);
  });
});

describeWithPythonModule('pyvhdi', () => {
  it('libvhdi reads a chain of whole blocks to the same content', async () => {
    await using fixture = await openTestStore();
    const { store, folder } = fixture;
    await store.create('disk', 16 * MIB);
    await store.write('disk', 0, pattern('A', 0, 3 * 4096));
    await store.snapshot('disk', 'snapshot', 'base');
    await store.write('disk', 2 * MIB, pattern('B', 0, 4096));
    const files = store.chain('disk').map((id) => join(folder, `${id}.vhd`));
    const digest = execFileSync(systemPython, ['-c', READ_CHAIN, ...files], {
      encoding: 'utf8',
    }).trim();
    expect(digest).toBe((await store.digest('disk')).sha256);
  });
});
