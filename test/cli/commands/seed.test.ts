import { join } from 'node:path';
import { compareNewest, leftovers } from '../../engine/inspect';
import { carried } from '../../engine/seed/carried';
import { guestWrites } from '../../engine/site';
import { Screen } from '../call';
import { masked, Pools } from '../pools';
import { reportLine } from './report-schema';

const mib = 1024 ** 2;

async function pools(): Promise<Pools> {
  const started = await Pools.start();
  await guestWrites(started.site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 4 * mib, fill: 7 }]);
  await guestWrites(started.site.source.control, 'db1', 1, [
    { atBytes: 40 * mib, lengthBytes: 512, fill: 8 },
  ]);
  return started;
}

function uuidAfter(text: string, words: string): string {
  const [, uuid] = new RegExp(`${words} ([0-9a-f-]{36})`).exec(text) ?? [];
  if (uuid === undefined) throw new Error(`no "${words} <uuid>" in:\n${text}`);
  return uuid;
}

test('the whole way: exported, imported, attached, and the first run is a delta', async () => {
  await using site = await pools();
  await site.storeJob({ initialCopy: 'seed' });
  const vm = await site.site.source.control.vmUuid('db1');

  const exported = await site.called([
    'seed',
    'export',
    '--source-pool',
    'source',
    '--vm',
    vm,
    '--to',
    'usb',
  ]);
  expect([exported.code, exported.stderr.replace(/[0-9a-f-]{36}/g, '<uuid>')]).toEqual([
    0,
    'note: snapshot "Seed of db1 (<uuid>)" (<uuid>)\n',
  ]);
  expect(masked(exported.stdout).replaceAll(site.folder, '<folder>')).toMatchInlineSnapshot(`
    "db1: exported to <folder>/usb

    DISK  SIZE  DATA  FILE
    0  32.0 MiB  4.0 MiB  seed.xva
    1  64.0 MiB  2.0 MiB  seed.xva

    snapshot <uuid 1> on pool "source": keep it until the seed is attached
    "
  `);
  const snapshot = uuidAfter(exported.stdout, 'snapshot');

  const imported = await site.called([
    'seed',
    'import',
    '--target-pool',
    'target',
    '--sr',
    'target-sr',
    '--from',
    'usb',
  ]);
  expect([imported.code, imported.stderr]).toEqual([0, '']);
  expect(masked(imported.stdout)).toMatchInlineSnapshot(`
    "db1: imported; every block was compared with its digest

    DISK  SIZE  SENT  VDI
    0  32.0 MiB  4.0 MiB  <uuid 1>
    1  64.0 MiB  64.0 KiB  <uuid 2>

    target VM <uuid 3>
    "
  `);
  const target = uuidAfter(imported.stdout, 'target VM');

  await waitsForItsSeed(site);

  const attached = await site.called([
    'seed',
    'attach',
    '--target-pool',
    'target',
    '--job',
    'site',
    '--snapshot',
    snapshot,
    '--target-vm',
    target,
    '--verify',
    'full',
    '--digests',
    'usb',
  ]);
  expect([attached.code, attached.stderr]).toEqual([0, '']);
  expect(masked(attached.stdout)).toMatchInlineSnapshot(`
    "db1 (<uuid 1>) is the replica of db1: the next run sends a delta

    DISK  SIZE  COMPARED  WITH  REPAIRED
    0  32.0 MiB  every byte  digests  0 MiB
    1  64.0 MiB  every byte  digests  0 MiB
    "
  `);

  await nextRunIsDelta(site, target);
});

test('how fast it may be is said with a unit, or nothing is done', async () => {
  await using site = await pools();
  const vm = await site.site.source.control.vmUuid('db1');
  const to = ['seed', 'export', '--source-pool', 'source', '--vm', vm, '--format', 'vhd', '--to', 'usb'];
  const from = ['seed', 'import', '--target-pool', 'target', '--sr', 'target-sr', '--from', 'usb'];
  for (const refused of [
    [...to, '--limit', '1000'],
    [...from, '--limit', '-1MiB'],
  ]) {
    const { code, stderr } = await site.called(refused);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--limit')]);
  }
  expect((await site.called([...to, '--limit', '512MiB/s'])).code).toBe(0);
  expect((await site.called([...from, '--limit', '512MiB'])).code).toBe(0);
});

/** Neither a plan nor a run does anything: a job that leaves the first copy to a seed never sends it by itself. */
async function waitsForItsSeed(site: Pools): Promise<void> {
  await site.site.source.control.resetCounters();
  for (const command of ['plan', 'run']) {
    const { code, stdout, stderr } = await site.called([command, '--target-pool', 'target', '--job', 'site']);
    expect([command, code, stdout + stderr]).toEqual([
      command,
      3,
      expect.stringContaining('waits for its seed'),
    ]);
  }
  const { bytesExported } = await site.site.source.control.counters();
  expect(bytesExported).toBe(0);
}

/** Both disks of the new recovery point are equal, byte for byte, to those of its source snapshot; little was sent. */
async function nextRunIsDelta(site: Pools, replica: string): Promise<void> {
  const fill = 0x5e;
  await guestWrites(site.site.source.control, 'db1', 1, [{ atBytes: 20 * mib, lengthBytes: 4096, fill }]);
  const { code, stdout } = await site.called(['run', '--target-pool', 'target', '--job', 'site', '--json']);
  const { kind, ...report } = reportLine.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
  expect([code, kind]).toEqual([0, 'report']);
  expect(report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta', replica: { uuid: replica } });
  expect(report.vms[0]?.disks.map(({ changedBytes }) => changedBytes)).toEqual([0, 2 * mib]);
  const disks = await compareNewest(site.site, report);
  expect(disks.map(({ device }) => device)).toEqual(['0', '1']);
  for (const { source, target } of disks) expect(target).toBe(source);
  expect(await leftovers(site.site)).toEqual([]);
}

test('single VHDs, detached again', async () => {
  await using site = await pools();
  await site.storeJob();
  const vm = await site.site.source.control.vmUuid('db1');
  const exported = await site.called([
    'seed',
    'export',
    '--source-pool',
    'source',
    '--vm',
    vm,
    '--to',
    'usb',
    '--format',
    'vhd',
  ]);
  expect(exported.code).toBe(0);
  const snapshot = uuidAfter(exported.stdout, 'snapshot');
  const imported = await site.called([
    'seed',
    'import',
    '--target-pool',
    'target',
    '--sr',
    'target-sr',
    '--name',
    'by hand',
    '--disk',
    '0=usb/disk-0.vhd',
    '--disk',
    `1=${join(site.folder, 'usb', 'disk-1.vhd')}`,
  ]);
  expect(imported.stdout).toContain('without digests of the source');
  const target = uuidAfter(imported.stdout, 'target VM');
  const attach = [
    'seed',
    'attach',
    '--target-pool',
    'target',
    '--job',
    'site',
    '--snapshot',
    snapshot,
    '--target-vm',
    target,
  ];
  expect((await site.called(attach)).code).toBe(0);

  const again = await site.called(attach);
  expect(again.code).toBe(3);
  expect(again.stderr).toContain('is attached to job "site" already');

  const detached = await site.called([
    'seed',
    'detach',
    '--target-pool',
    'target',
    '--target-vm',
    target,
    '--source-pool',
    'source',
  ]);
  expect([detached.code, detached.stderr]).toEqual([0, '']);
  expect(masked(detached.stdout)).toMatchInlineSnapshot(`
    "by hand (<uuid 1>) is no replica of job <uuid 2> any more, and may be started
    source snapshot <uuid 3> is free again
    "
  `);
  expect((await site.called(attach)).code).toBe(0);
  await nextRunIsDelta(site, target);
});

test('a seed that is not equal is refused; repaired, only what differs is sent', async () => {
  await using site = await pools();
  await site.storeJob({ initialCopy: 'seed' });
  const seed = await carried(site.site);
  const disk = await site.site.target.control.diskOf(seed.vm, 0);
  await site.site.target.control.writeDisk(disk, 3 * mib, Buffer.from('not what it was'));
  const attach = ['seed', 'attach', '--target-pool', 'target', '--job', 'site'].concat([
    '--snapshot',
    seed.snapshot,
    '--target-vm',
    seed.vm,
  ]);

  const refused = await site.called(attach);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain(
    "its content differs from the snapshot's (disk 0: at least 1 block(s) of 2 MiB)",
  );
  expect(refused.stderr).toContain('--repair sends the blocks that differ');

  await site.site.target.control.resetCounters();
  const repaired = await site.called([...attach, '--repair']);
  expect([repaired.code, masked(repaired.stdout)]).toEqual([
    0,
    expect.stringMatching(/^0 .* source +2 MiB$/m),
  ]);
  const { bytesImported } = await site.site.target.control.counters();
  expect(bytesImported).toBeGreaterThanOrEqual(2 * mib);
  expect(bytesImported).toBeLessThan(2.1 * mib);
  await nextRunIsDelta(site, seed.vm);
});

test('with --json: events, the report last', async () => {
  await using site = await pools();
  const vm = await site.site.source.control.vmUuid('db1');
  const { stdout } = await site.called([
    'seed',
    'export',
    '--source-pool',
    'source',
    '--vm',
    vm,
    '--to',
    'usb',
    '--json',
  ]);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly kind: string });
  expect(lines[0]).toMatchObject({ kind: 'seed-started', action: 'export', vm: { name: 'db1' } });
  expect(lines.at(-1)).toMatchObject({
    kind: 'report',
    wasComplete: false,
    seed: { vm: { name: 'db1' }, disks: [{ device: '0' }, { device: '1' }] },
  });
});

test('on a terminal a bar shows how far it is; stopped, the same command goes on', async () => {
  await using site = await pools();
  const vm = await site.site.source.control.vmUuid('db1');
  const effect = { kind: 'stall', afterBytes: 3 * mib } as const;
  await site.site.source.control.addFault({ match: { transfer: 'export' }, skip: 2, effect });
  const stdout = new Screen(100);
  const argv = ['seed', 'export', '--source-pool', 'source', '--vm', vm, '--to', 'usb', '--format', 'vhd'];
  const call = site.call(argv, { stdout });
  await stdout.shows(/db1 disk 0 .*2\.0 MiB\/32\.0 MiB/);
  call.send('SIGINT');
  expect(await call.code).toBe(130);

  const again = await site.called(argv);
  expect(again.code).toBe(0);
  expect(again.stderr).toContain('going on with an export that was interrupted');
});

describe('what is wrong with the arguments is said before anything is contacted', () => {
  test.each([
    [['seed', 'export', '--source-pool', 'source', '--to', 'usb'], 'Neither a VM nor a snapshot was named'],
    [['seed', 'export', '--source-pool', 'source', '--vm', 'db1', '--to', 'usb'], 'Give a uuid'],
    [
      [
        'seed',
        'export',
        '--source-pool',
        's',
        '--vm',
        uuid(),
        '--to',
        'x',
        '--format',
        'vhd',
        '--compress',
        'gzip',
      ],
      'a VHD is not compressed',
    ],
    [['seed', 'import', '--target-pool', 'target', '--sr', 'x'], 'No files were named'],
    [['seed', 'import', '--target-pool', 'target', '--sr', 'x', '--disk', 'root.vhd'], 'such as 0=root.vhd'],
    [
      ['seed', 'import', '--target-pool', 't', '--sr', 'x', '--disk', '0=a', '--disk', '0=b', '--name', 'x'],
      'Device 0 is named twice',
    ],
    [
      ['seed', 'import', '--target-pool', 't', '--sr', 'x', '--from', 'usb', '--name', 'x'],
      '--from stands for',
    ],
    [['seed', 'attach', '--target-pool', 'target', '--job', 'site'], '--snapshot'],
    [
      [
        'seed',
        'attach',
        '--target-pool',
        't',
        '--job',
        'j',
        '--snapshot',
        uuid(),
        '--target-vm',
        uuid(),
        '--verify',
        'much',
      ],
      'Allowed choices are none, sampled, full',
    ],
    [['seed', 'detach', '--target-pool', 'target'], '--target-vm'],
  ])('%j', async (argv, said) => {
    await using site = await Pools.start();
    const { code, stderr } = await site.called(argv);
    expect(stderr).toContain(said);
    expect(code).toBe(2);
  });
});

test('an SR that is not there, a folder without a seed, digests of another snapshot', async () => {
  await using site = await pools();
  await site.storeJob();
  const vm = await site.site.source.control.vmUuid('db1');
  await site.called(['seed', 'export', '--source-pool', 'source', '--vm', vm, '--to', 'usb']);
  const noSr = await site.called([
    'seed',
    'import',
    '--target-pool',
    'target',
    '--sr',
    'none',
    '--from',
    'usb',
  ]);
  expect([noSr.code, noSr.stderr]).toEqual([1, expect.stringContaining('has no SR "none"')]);
  const noSeed = await site.called([
    'seed',
    'import',
    '--target-pool',
    'target',
    '--sr',
    'target-sr',
    '--from',
    '.',
  ]);
  expect([noSeed.code, noSeed.stderr]).toEqual([1, expect.stringContaining('no seed.json in it')]);
  const other = await site.called([
    'seed',
    'attach',
    '--target-pool',
    'target',
    '--job',
    'site',
    '--snapshot',
    uuid(),
    '--target-vm',
    uuid(),
    '--digests',
    'usb',
  ]);
  expect([other.code, other.stderr]).toEqual([3, expect.stringContaining('holds the digests of snapshot')]);
});

function uuid(): string {
  return 'f0000000-0000-4000-8000-000000000000';
}
