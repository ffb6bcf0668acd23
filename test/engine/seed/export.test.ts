import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { readAllDigests } from '../../../lib/engine';
import { describeWithTool } from '../../foreign-tools';
import { disksOf, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';
import { takeSnapshot } from './carried';
import { exported, Folder } from './carried-files';

const mib = 1024 ** 2;
const blockBytes = 2 * mib;
/** Exports that are opened to see how much data there is, one per disk, before the first that is written to a file. */
const measured = 2;

describe('exporting a seed', () => {
  let site: Site;
  let folder: Folder;

  beforeEach(async () => {
    site = await Site.start();
    folder = new Folder();
    await guestWrites(site.source.control, 'db1', 0, [
      { atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 },
      { atBytes: 32 * mib - 512, lengthBytes: 512, fill: 0x12 },
    ]);
    await guestWrites(site.source.control, 'db1', 1, [
      { atBytes: 40 * mib + 512, lengthBytes: 4096, fill: 0x22 },
      { atBytes: 50 * mib, lengthBytes: 4 * mib, fill: 0x23 },
    ]);
  });

  afterEach(async () => {
    folder[Symbol.dispose]();
    await site[Symbol.asyncDispose]();
  });

  /** What the manifest should say, from the disks themselves. */
  async function digestsOf(snapshot: string): Promise<ReadonlyMap<string, readonly (string | null)[]>> {
    const all = new Map<string, readonly (string | null)[]>();
    for (const [device, vdi] of await disksOf(site, 'source', snapshot)) {
      const { sizeBytes } = await site.source.control.digestDisk(vdi);
      const digests: (string | null)[] = [];
      for (let at = 0; at < sizeBytes; at += blockBytes) {
        const block = await site.source.control.readDisk(vdi, at, blockBytes);
        digests.push(
          block.every((byte) => byte === 0) ? null : createHash('sha256').update(block).digest('hex'),
        );
      }
      all.set(device, digests);
    }
    return all;
  }

  test.each([
    ['vhd', 'none', ['disk-0.digests.json', 'disk-0.vhd', 'disk-1.digests.json', 'disk-1.vhd', 'seed.json']],
    ['xva', 'none', ['disk-0.digests.json', 'disk-1.digests.json', 'seed.json', 'seed.xva']],
    ['xva', 'gzip', ['disk-0.digests.json', 'disk-1.digests.json', 'seed.json', 'seed.xva.gz']],
  ] as const)(
    'as %s, compression %s: files, and a digest of each block',
    async (format, compression, files) => {
      const { report } = await exported(site, folder.path, { format, compression });

      expect(readdirSync(folder.path).sort()).toEqual(files);
      const { manifest } = report;
      expect(manifest).toMatchObject({
        format,
        vm: { name: 'db1', uuid: await site.source.control.vmUuid('db1') },
        source: { pool: 'source' },
        disks: [
          { device: '0', sizeBytes: 32 * mib, bootable: true, dataBytes: 3 * blockBytes },
          { device: '1', sizeBytes: 64 * mib, bootable: false, dataBytes: 3 * blockBytes },
        ],
      });
      for (const { file, fileBytes } of [manifest, ...manifest.disks]) {
        if (file !== null) expect(statSync(folder.in(file)).size).toBe(fileBytes);
      }
      expect(await readAllDigests(folder.path, manifest)).toEqual(await digestsOf(manifest.snapshot.uuid));
      expect(await leftovers(site)).toEqual([]);
    },
  );

  describeWithTool('qemu-img', () => {
    test('qemu-img reads the disks', async () => {
      const { report } = await exported(site, folder.path);
      const vdi = (await disksOf(site, 'source', report.manifest.snapshot.uuid)).get('1');
      const raw = folder.in('raw');
      const image = `driver=vpc,file.driver=file,file.filename=${folder.in('disk-1.vhd')},force_size_calc=current_size`;
      execFileSync('qemu-img', ['convert', '--image-opts', image, '-O', 'raw', raw]);
      const { sha256 } = await site.source.control.digestDisk(vdi ?? '');
      expect(createHash('sha256').update(readFileSync(raw)).digest('hex')).toBe(sha256);
    });
  });

  test('takes a snapshot that stays, without keys of other copies', async () => {
    const source = await site.connect('source');
    const vm = await source.call('VM.get_by_uuid', [await site.source.control.vmUuid('db1')]);
    await source.call('VM.add_to_other_config', [vm, 'xo:backup:job', 'theirs']);

    const { report } = await exported(site, folder.path);

    const snapshot = await source.call('VM.get_record', [
      await source.call('VM.get_by_uuid', [report.manifest.snapshot.uuid]),
    ]);
    expect(snapshot).toMatchObject({ is_a_snapshot: true, is_a_template: false, snapshot_of: vm });
    expect(snapshot.name_label).toMatch(/^Seed of db1 /);
    expect(Object.keys(snapshot.other_config).sort()).toEqual(['mac_seed', 'xenrepl:seed']);
  });

  test('of a snapshot that was taken before takes none', async () => {
    const uuid = await takeSnapshot(site);
    const { report } = await exported(site, folder.path, { of: { kind: 'snapshot', uuid } });
    expect(report.manifest.snapshot).toMatchObject({ uuid, name: 'SEED do not delete' });
    const { VM = {} } = await site.source.control.inventory();
    expect(Object.values(VM).filter(({ is_a_snapshot: is }) => is === true)).toHaveLength(1);
  });

  test('into a folder that holds it already does nothing', async () => {
    await exported(site, folder.path);
    await site.source.control.resetCounters();
    expect((await exported(site, folder.path)).report.wasComplete).toBe(true);
    expect((await site.source.control.counters()).bytesExported).toBe(0);
  });

  test('by two at once is done by one; the other is told by whom', async () => {
    let other: Promise<unknown> = Promise.resolve();
    // Leaves time for the other to be turned away.
    await site.source.control.addFault({
      match: { method: 'VM.snapshot' },
      effect: { kind: 'delay', ms: 700 },
    });
    const context = {
      ...contextOf(),
      emit: ({ kind }: { kind: string }) => {
        if (kind !== 'seed-started') return;
        other = exported(site, folder.path).catch((error: unknown) => error);
      },
    };
    await exported(site, folder.path, { context });
    expect(await other).toMatchObject({
      code: 'locked',
      message: expect.stringContaining(context.who) as string,
    });
    expect(readdirSync(folder.path).filter((name) => name.includes('lock'))).toEqual([]);
  });

  describe('interrupted', () => {
    test('goes on with the disk that was not finished, from the same snapshot', async () => {
      await site.source.control.addFault({
        match: { transfer: 'export' },
        skip: measured + 1,
        effect: { kind: 'cut', afterBytes: 3 * mib },
      });
      await expect(exported(site, folder.path)).rejects.toThrow();
      expect(readdirSync(folder.path).sort()).toEqual([
        'disk-0.digests.json',
        'disk-0.vhd',
        'seed.unfinished.json',
      ]);

      const { report, events } = await exported(site, folder.path);

      expect(events.filter(({ kind }) => kind === 'seed-disk-done')).toMatchObject([
        { device: '0', skipped: true },
        { device: '1', skipped: false },
      ]);
      expect(await readAllDigests(folder.path, report.manifest)).toEqual(
        await digestsOf(report.manifest.snapshot.uuid),
      );
      const { VM = {} } = await site.source.control.inventory();
      expect(Object.values(VM).filter(({ is_a_snapshot: is }) => is === true)).toHaveLength(1);
      expect(existsSync(folder.in('seed.unfinished.json'))).toBe(false);
    });

    test('a finished disk whose file was lost since is exported again', async () => {
      await site.source.control.addFault({
        match: { transfer: 'export' },
        skip: measured + 1,
        effect: { kind: 'cut', afterBytes: 3 * mib },
      });
      await expect(exported(site, folder.path)).rejects.toThrow();
      truncateSync(folder.in('disk-0.vhd'), mib);
      const { events } = await exported(site, folder.path);
      const note = expect.stringContaining('disk 0 is exported again') as string;
      expect(events).toContainEqual({ kind: 'seed-note', text: note });
      expect(events.filter(({ kind }) => kind === 'seed-disk-done')).toMatchObject([
        { device: '0', skipped: false },
        { device: '1', skipped: false },
      ]);
    });

    test('an archive begins again, from the same snapshot, and says so', async () => {
      await site.source.control.addFault({
        match: { transfer: 'export' },
        skip: measured,
        effect: { kind: 'cut', afterBytes: 3 * mib },
      });
      const events: { kind: string; text?: string }[] = [];
      const context = { ...contextOf(), emit: (event: { kind: string }) => void events.push(event) };
      await expect(exported(site, folder.path, { format: 'xva', context })).rejects.toThrow();
      const told = events.slice(-2).map(({ text }) => text);
      expect(told[0]).toContain('an archive is sent as a whole');
      expect(told[1]).toContain('stays for the next try: with the same folder it is used again');
      expect(readdirSync(folder.path)).toEqual(['seed.unfinished.json']);

      const { report } = await exported(site, folder.path, { format: 'xva' });
      expect(await readAllDigests(folder.path, report.manifest)).toEqual(
        await digestsOf(report.manifest.snapshot.uuid),
      );
    });

    test('right after its snapshot was taken, it finds that one again by its name', async () => {
      await site.source.control.addFault({
        match: { method: 'VM.set_is_a_template' },
        effect: { kind: 'error', code: 'INTERNAL_ERROR' },
      });
      await expect(exported(site, folder.path)).rejects.toThrow();
      await exported(site, folder.path);
      const { VM = {} } = await site.source.control.inventory();
      const snapshots = Object.values(VM).filter(({ is_a_snapshot: is }) => is === true);
      expect(snapshots).toMatchObject([{ is_a_template: false }]);
    });

    test.each([
      ['a task that fails in the end', { kind: 'late-failure' }],
      ['an error page in the stream', { kind: 'error-page', afterBytes: 3 * mib }],
      ['a damaged stream', { kind: 'corrupt', atByte: 600 }],
    ] as const)('by %s, it leaves no file that looks whole', async (_, effect) => {
      await site.source.control.addFault({ match: { transfer: 'export' }, skip: measured, effect });
      await expect(exported(site, folder.path)).rejects.toThrow();
      expect(readdirSync(folder.path)).toEqual(['seed.unfinished.json']);
    });
  });

  describe('is refused', () => {
    test.each([
      [
        'a VM that is not there',
        { kind: 'vm', uuid: 'f0000000-0000-4000-8000-000000000000' },
        'has no VM f0',
      ],
      [
        'a snapshot that is not there',
        { kind: 'snapshot', uuid: 'f0000000-0000-4000-8000-000000000000' },
        'has no snapshot f0',
      ],
    ] as const)('for %s', async (_, of, said) => {
      await expect(exported(site, folder.path, { of })).rejects.toThrow(said);
    });

    test('for a VM named as a snapshot, and the other way round', async () => {
      const vm = await site.source.control.vmUuid('db1');
      await expect(exported(site, folder.path, { of: { kind: 'snapshot', uuid: vm } })).rejects.toThrow(
        'is no snapshot',
      );
      const uuid = await takeSnapshot(site);
      await expect(exported(site, folder.path, { of: { kind: 'vm', uuid } })).rejects.toThrow(
        'is a snapshot',
      );
    });

    test('into a folder that holds something else', async () => {
      await exported(site, folder.path);
      await expect(exported(site, folder.path, { format: 'xva' })).rejects.toThrow('holds another seed');
    });

    test('into a folder with files of others, which stay as they are', async () => {
      writeFileSync(folder.in('disk-1.vhd'), 'the only copy of something');
      await expect(exported(site, folder.path)).rejects.toMatchObject({
        code: 'seed-file',
        message: expect.stringContaining('no note of an export that could go on: disk-1.vhd') as string,
      });
      expect(readFileSync(folder.in('disk-1.vhd'), 'utf8')).toBe('the only copy of something');
      const { VM = {} } = await site.source.control.inventory();
      expect(Object.values(VM).filter(({ is_a_snapshot: is }) => is === true)).toEqual([]);
    });

    test('into a folder that holds it, less a file', async () => {
      await exported(site, folder.path);
      rmSync(folder.in('disk-1.vhd'));
      await expect(exported(site, folder.path)).rejects.toThrow('disk-1.vhd is missing');
    });

    test('where the snapshot that it began with is gone', async () => {
      const uuid = await takeSnapshot(site);
      await site.source.control.addFault({
        match: { transfer: 'export' },
        skip: measured,
        effect: { kind: 'late-failure' },
      });
      await expect(exported(site, folder.path, { of: { kind: 'snapshot', uuid } })).rejects.toThrow();
      const source = await site.connect('source');
      await source.call('VM.destroy', [await source.call('VM.get_by_uuid', [uuid])]);
      await expect(exported(site, folder.path)).rejects.toThrow('that this export began with is gone');
    });
  });
});

function contextOf(): NonNullable<Parameters<typeof exported>[2]>['context'] & object {
  return {
    runId: 'run-of-the-test',
    who: 'test',
    clock: { nowMs: () => 0, sleep: () => Promise.resolve() },
    signal: new AbortController().signal,
    emit: () => undefined,
  };
}
