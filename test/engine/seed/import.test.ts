import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { Ref } from '../../../lib/xapi';
import { readAllDigests } from '../../../lib/engine';
import { describeWithTool } from '../../foreign-tools';
import { compareNewest, disksOf, leftovers } from '../inspect';
import { defaultSpec, guestWrites, Site } from '../site';
import { attach, seedContext, seedJobOf, takeSnapshot } from './carried';
import { exported, Folder, imported } from './carried-files';

const mib = 1024 ** 2;
const execute = promisify(execFile);

async function writtenSite(spec = defaultSpec): Promise<Site> {
  const site = await Site.start(spec);
  await guestWrites(site.source.control, 'db1', 0, [
    { atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 },
    { atBytes: 32 * mib - 512, lengthBytes: 512, fill: 0x12 },
  ]);
  await guestWrites(site.source.control, 'db1', 1, [
    { atBytes: 40 * mib + 512, lengthBytes: 4096, fill: 0x22 },
    { atBytes: 50 * mib, lengthBytes: 8 * mib, fill: 0x23 },
  ]);
  return site;
}

async function digests(site: Site, side: 'source' | 'target', vm: string): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const [device, vdi] of await disksOf(site, side, vm)) {
    all[device] = (await site[side].control.digestDisk(vdi)).sha256;
  }
  return all;
}

describe('a seed carried as files', () => {
  let site: Site;
  let folder: Folder;

  beforeEach(async () => {
    site = await writtenSite();
    folder = new Folder();
  });

  afterEach(async () => {
    folder[Symbol.dispose]();
    await site[Symbol.asyncDispose]();
  });

  // Plain archives and single VHDs go this way in the tests of the command line.
  test('compressed: exported, imported, attached; the next run is a delta', async () => {
    const [format, compression] = ['xva', 'gzip'] as const;
    const job = await site.job({ initialCopy: 'seed' });
    const { manifest } = (await exported(site, folder.path, { format, compression })).report;
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 9 * mib, lengthBytes: 512, fill: 0x55 }]);

    const { report } = await imported(site, { kind: 'folder', path: folder.path });
    expect(report).toMatchObject({ checked: true, wasComplete: false, vm: { name: 'db1' } });
    expect(await digests(site, 'target', report.vm.uuid)).toEqual(
      await digests(site, 'source', manifest.snapshot.uuid),
    );
    await attach(site, { snapshot: manifest.snapshot.uuid, vm: report.vm.uuid }, seedJobOf(job), {
      verify: 'full',
      manifest: await readAllDigests(folder.path, manifest),
    });

    const run = (await site.run(job)).report;
    expect(run.vms[0]?.outcome).toMatchObject({ copyKind: 'delta', replica: { uuid: report.vm.uuid } });
    expect(run.vms[0]?.disks.map(({ changedBytes }) => changedBytes)).toEqual([2 * mib, 0]);
    for (const { source, target } of await compareNewest(site, run)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('the VM it makes is halted, bears the settings of the source, and refuses to start', async () => {
    await exported(site, folder.path);
    const { report } = await imported(site, { kind: 'folder', path: folder.path });
    const target = await site.connect('target');
    const ref = await target.call('VM.get_by_uuid', [report.vm.uuid]);
    const vm = await target.call('VM.get_record', [ref]);
    const source = await site.connect('source');
    const original = await source.call('VM.get_record', [
      await source.call('VM.get_by_uuid', [await site.source.control.vmUuid('db1')]),
    ]);
    expect(vm).toMatchObject({
      name_label: 'db1',
      power_state: 'Halted',
      is_a_template: false,
      memory_static_max: original.memory_static_max,
      VIFs: [],
    });
    await expect(target.call('VM.start', [ref, false, false])).rejects.toMatchObject({
      code: 'OPERATION_BLOCKED',
      params: [ref, expect.stringContaining('attach it to its job')],
    });
  });

  test('imported twice, it is there once', async () => {
    await exported(site, folder.path);
    const first = await imported(site, { kind: 'folder', path: folder.path });
    await site.target.control.resetCounters();
    const second = await imported(site, { kind: 'folder', path: folder.path });
    expect(second.report).toMatchObject({ wasComplete: true, vm: first.report.vm });
    expect((await site.target.control.counters()).bytesImported).toBe(0);
  });

  describe('interrupted', () => {
    const limits = { bytesMax: mib, durationMaxMs: 60_000 };

    test.each(['vhd', 'xva'] as const)(
      'goes on behind the last confirmed segment with the same VM (%s)',
      async (format) => {
        const { manifest } = (await exported(site, folder.path, { format })).report;
        // The second disk is cut in its fourth segment.
        const { target: pool } = site;
        await pool.control.addFault({
          match: { transfer: 'import' },
          skip: 5,
          effect: { kind: 'cut', afterBytes: mib },
        });
        await expect(imported(site, { kind: 'folder', path: folder.path }, { limits })).rejects.toThrow();
        const target = await site.connect('target');
        const [begun] = Object.values(await target.call('VM.get_all_records', [])).filter(
          ({ is_control_domain: is }) => !is,
        );
        await expect(
          attach(
            site,
            { snapshot: manifest.snapshot.uuid, vm: begun?.uuid ?? '' },
            seedJobOf(await site.job()),
          ),
        ).rejects.toThrow('did not come to its end');
        await pool.control.resetCounters();

        const { report, events } = await imported(site, { kind: 'folder', path: folder.path }, { limits });

        expect(report.vm.uuid).toBe(begun?.uuid);
        expect(events.filter(({ kind }) => kind === 'seed-disk-done')).toMatchObject([
          { device: '0', skipped: true },
          { device: '1', skipped: false },
        ]);
        // Of 8 MiB on the second disk what was not confirmed, and one segment at most.
        expect((await pool.control.counters()).bytesImported).toBeLessThan(7 * mib);
        expect(await digests(site, 'target', report.vm.uuid)).toEqual(
          await digests(site, 'source', manifest.snapshot.uuid),
        );
        expect(await leftovers(site)).toEqual([]);
      },
    );

    test('before anything was confirmed, it makes the disk anew', async () => {
      const { manifest } = (await exported(site, folder.path)).report;
      await site.target.control.addFault({
        match: { transfer: 'import' },
        effect: { kind: 'cut', afterBytes: mib },
      });
      await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toThrow();
      const { report } = await imported(site, { kind: 'folder', path: folder.path });
      expect(await digests(site, 'target', report.vm.uuid)).toEqual(
        await digests(site, 'source', manifest.snapshot.uuid),
      );
      expect(await leftovers(site)).toEqual([]);
    });

    test.each([
      ['VM.create', 'after'],
      ['VM.add_to_blocked_operations', 'before'],
      ['VM.set_other_config', 'before'],
      ['VDI.create', 'after'],
      ['VDI.add_to_other_config', 'before'],
      ['VDI.set_name_label', 'before'],
      ['VBD.create', 'before'],
      ['VM.set_name_label', 'before'],
    ])('in %s (%s it was carried out), it leaves nothing twice', async (method, when) => {
      const { manifest } = (await exported(site, folder.path)).report;
      const error = { kind: 'error', code: 'INTERNAL_ERROR', params: ['made to fail'] } as const;
      const effect = when === 'after' ? ({ kind: 'after', effect: error } as const) : error;
      await site.target.control.addFault({ match: { method }, effect });
      await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toThrow('made to fail');
      const { report } = await imported(site, { kind: 'folder', path: folder.path });
      expect(await digests(site, 'target', report.vm.uuid)).toEqual(
        await digests(site, 'source', manifest.snapshot.uuid),
      );
      expect(await leftovers(site)).toEqual([]);
      const { VM = {} } = await site.target.control.inventory();
      expect(Object.values(VM).filter(({ is_control_domain: is }) => is === false)).toHaveLength(1);
    });

    test('with a file that was exchanged meanwhile, it says so and begins that disk anew', async () => {
      const { manifest } = (await exported(site, folder.path)).report;
      const files = {
        kind: 'disks',
        name: 'db1',
        disks: [{ device: '1', path: folder.in('disk-1.vhd') }],
      } as const;
      // Such files are told apart by name, length and time alone.
      utimesSync(folder.in('disk-1.vhd'), 1000, 1000);
      await site.target.control.addFault({
        match: { transfer: 'import' },
        skip: 3,
        effect: { kind: 'cut', afterBytes: mib },
      });
      await expect(imported(site, files, { limits })).rejects.toThrow();
      flipInPlace(folder.in('disk-1.vhd'), 512 + 2048 + 512 + 512 + 10);
      await expect(imported(site, files, { limits })).rejects.toThrow(
        'is not the one that the interrupted import',
      );
      flipInPlace(folder.in('disk-1.vhd'), 512 + 2048 + 512 + 512 + 10);
      const { report } = await imported(site, files, { limits });
      const source = await digests(site, 'source', manifest.snapshot.uuid);
      expect(await digests(site, 'target', report.vm.uuid)).toEqual({ '1': source['1'] });
    });
  });

  describe('damaged on its way is refused, and names what is wrong', () => {
    test.each([
      ['a byte of a disk', 'vhd', 'disk-0.vhd', 2 * mib, 'is not what was exported'],
      ['a byte of an archive', 'xva', 'seed.xva', 2 * mib, 'The sum of "Ref:'],
      ['a digest', 'vhd', 'disk-0.digests.json', 20, 'was changed since the seed was exported'],
    ] as const)('%s', async (_, format, file, atByte, said) => {
      await exported(site, folder.path, { format });
      flipInPlace(folder.in(file), atByte);
      await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toMatchObject({
        code: 'seed-file',
        message: expect.stringContaining(said) as string,
      });
    });

    test('a file cut short, a file that is missing, a folder without a seed', async () => {
      await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toThrow(
        'no seed.json in it',
      );
      await exported(site, folder.path);
      truncateSync(folder.in('disk-1.vhd'), 5 * mib);
      await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toThrow(
        `disk-1.vhd has ${String(5 * mib)} bytes`,
      );
      using copy = new Folder();
      cpSync(folder.in('seed.json'), copy.in('seed.json'));
      await expect(imported(site, { kind: 'folder', path: copy.path })).rejects.toThrow(
        'disk-0.vhd is missing',
      );
    });

    test('a description of another version', async () => {
      await exported(site, folder.path);
      const text = readFileSync(folder.in('seed.json'), 'utf8').replace('"version": 1', '"version": 2');
      writeFileSync(folder.in('seed.json'), text);
      await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toThrow('version');
    });

    test('a name that leads out of the folder', async () => {
      await exported(site, folder.path);
      const text = readFileSync(folder.in('seed.json'), 'utf8').replace('"disk-0.vhd"', '"../disk-0.vhd"');
      writeFileSync(folder.in('seed.json'), text);
      await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toThrow('seed.json is not');
    });
  });

  test('an SR that is not there or too small is refused before anything is made', async () => {
    const [source, target] = defaultSpec.pools;
    if (source === undefined || target === undefined) throw new Error('no pools');
    await using other = await Site.start({
      pools: [
        source,
        {
          ...target,
          srs: [...target.srs, { name: 'small', type: 'ext', sizeBytes: mib }],
        },
      ],
    });
    await guestWrites(other.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 }]);
    await exported(other, folder.path);
    const pool = await other.connect('target');
    const into = async (name: string): Promise<void> => {
      const [sr] = await pool.call('SR.get_by_name_label', [name]);
      const srUuid =
        sr === undefined ? 'f0000000-0000-4000-8000-000000000000' : await pool.call('SR.get_uuid', [sr]);
      await imported(other, { kind: 'folder', path: folder.path }, { srUuid });
    };
    await expect(into('none')).rejects.toThrow('pool "target" has no SR f0000000');
    await expect(into('small')).rejects.toThrow(/SR "small" \(.*\): it needs 4\.00 MiB, 1\.00 MiB are free/);
    expect(Object.keys((await other.target.control.inventory())['VDI'] ?? {})).toEqual([]);
  });

  test('a disk that somebody gave to another VM meanwhile is neither written to nor destroyed', async () => {
    await exported(site, folder.path);
    await site.target.control.addFault({
      match: { transfer: 'import' },
      skip: 1,
      effect: { kind: 'cut', afterBytes: mib },
    });
    await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toThrow();
    const target = await site.connect('target');
    const [begun] = Object.entries(await target.call('VM.get_all_records', [])).filter(
      ([, { is_control_domain: is }]) => !is,
    );
    const theirs = await target.callTask('VM.clone', [begun?.[0] as Ref<'VM'>, 'theirs']);
    const [vdi] = Object.values(await target.call('VDI.get_all_records', [])).filter(
      ({ name_label: name }) => name === 'root',
    );
    for (const vbd of vdi?.VBDs ?? []) {
      const record = await target.call('VBD.get_record', [vbd]);
      await target.call('VBD.create', [{ ...record, VM: theirs, userdevice: '7', bootable: false }]);
    }
    await expect(imported(site, { kind: 'folder', path: folder.path })).rejects.toMatchObject({
      code: 'seed-refused',
      message: expect.stringMatching(/its disk 0, "root" \(.*\), is attached to VM "theirs"/) as string,
    });
  });

  test('stopped by the user, it can be gone on with', async () => {
    await exported(site, folder.path);
    const stop = new AbortController();
    const context = {
      ...seedContext([]),
      signal: stop.signal,
      emit: ({ kind }: { readonly kind: string }): void => {
        if (kind === 'seed-progress') stop.abort();
      },
    };
    await expect(imported(site, { kind: 'folder', path: folder.path }, { context })).rejects.toThrow();
    await imported(site, { kind: 'folder', path: folder.path });
    expect(await leftovers(site)).toEqual([]);
  });
});

describe('files of other programs', () => {
  let folder: Folder;

  beforeEach(() => {
    folder = new Folder();
  });

  afterEach(() => {
    folder[Symbol.dispose]();
  });

  describeWithTool('curl', () => {
    test.each([
      ['8.2', 'none'],
      ['8.2', 'gzip'],
      ['8.2', 'zstd'],
      ['8.3', 'none'],
      ['8.3', 'zstd'],
    ] as const)('an archive by itself, of release %s, compression %s', async (release, compression) => {
      const [source, target] = defaultSpec.pools;
      if (source === undefined || target === undefined) throw new Error('no pools');
      await using site = await writtenSite({ pools: [{ ...source, release }, target] });
      const snapshot = await takeSnapshot(site);
      const path = folder.in('db1.xva');
      await downloadArchive(site, snapshot, compression, path);

      const { report } = await imported(site, { kind: 'archive', path });

      expect(report).toMatchObject({ checked: false, vm: { name: 'SEED do not delete' } });
      expect(await digests(site, 'target', report.vm.uuid)).toEqual(await digests(site, 'source', snapshot));
    });
  });

  test('an archive that a real server wrote', async () => {
    await using site = await Site.start();
    const path = folder.in('vm1.xva');
    writeFileSync(path, gunzipSync(readFileSync(vector('vm1.xva.gz'))));
    const { report } = await imported(site, { kind: 'archive', path });
    expect(report).toMatchObject({ vm: { name: 'snap1' }, disks: [{ device: '0', sizeBytes: 8 * mib }] });
    const target = await site.connect('target');
    const vm = await target.call('VM.get_record', [await target.call('VM.get_by_uuid', [report.vm.uuid])]);
    expect(vm).toMatchObject({ memory_static_max: 536870912, HVM_boot_params: { order: 'c' }, tags: ['t1'] });
  });

  describeWithTool('qemu-img', () => {
    test.each([
      ['dynamic', []],
      ['fixed', ['subformat=fixed']],
    ])('a %s VHD that qemu-img made: sizes are rounded up, and that is said', async (_, options) => {
      await using site = await Site.start();
      const raw = folder.in('raw');
      const content = Buffer.alloc(5 * mib + 1536);
      content.fill(0x61, 1000, 3 * mib);
      content.fill(0x62, 5 * mib);
      writeFileSync(raw, content);
      const path = folder.in('disk.vhd');
      const all = ['force_size=on', ...options].join(',');
      execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'vpc', '-o', all, raw, path]);

      const { report, events } = await imported(site, {
        kind: 'disks',
        name: 'carried',
        disks: [{ device: '0', path }],
      });

      expect(report.disks).toMatchObject([{ fileSizeBytes: content.length, sizeBytes: 6 * mib }]);
      expect(events.find(({ kind }) => kind === 'seed-note')).toMatchObject({
        text: expect.stringContaining('rounded it up') as string,
      });
      const disk = (await disksOf(site, 'target', report.vm.uuid)).get('0') ?? '';
      const read = await site.target.control.readDisk(disk, 0, 6 * mib);
      expect(Buffer.compare(read.subarray(0, content.length), content)).toBe(0);
      expect(read.subarray(content.length).every((byte) => byte === 0)).toBe(true);
    });
  });

  test.each([
    ['child.vhd.gz', 'holds only what differs from a parent'],
    ['http_200_error_in_body.bin.gz', 'it has only'],
    ['t1.tar.gz', 'cannot be used as a disk'],
  ])('what is no whole disk is refused: %s', async (name, said) => {
    await using site = await Site.start();
    const path = folder.in('file');
    writeFileSync(path, gunzipSync(readFileSync(vector(name))));
    await expect(
      imported(site, { kind: 'disks', name: 'x', disks: [{ device: '0', path }] }),
    ).rejects.toMatchObject({
      code: 'seed-file',
      message: expect.stringContaining(said) as string,
    });
    expect(existsSync(path)).toBe(true);
  });
});

/** As `xe vm-export` does: without a description of ours. */
async function downloadArchive(
  site: Site,
  snapshot: string,
  compression: 'none' | 'gzip' | 'zstd',
  path: string,
): Promise<void> {
  const { url, username, password } = site.source;
  const wanted = compression === 'none' ? '' : `&use_compression=${compression}`;
  const credentials = `${username}:${password}`;
  // Not the synchronous form: the pool is simulated by this very process.
  await execute('curl', ['-sk', '-u', credentials, '-o', path, `${url}/export?uuid=${snapshot}${wanted}`]);
}

function vector(name: string): string {
  return join(__dirname, '..', '..', 'vectors', 'vhd', name);
}

function flipInPlace(path: string, atByte: number): void {
  const bytes = readFileSync(path);
  bytes[atByte] = (bytes[atByte] ?? 0) ^ 1;
  const { mtimeMs, atimeMs } = statSync(path);
  writeFileSync(path, bytes);
  utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
}
