/** Exports and imports that die in the middle, as processes do: with SIGKILL, without a chance to tidy up. */
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { disksOf, leftovers } from '../../engine/inspect';
import { guestWrites } from '../../engine/site';
import { Pools } from '../pools';

const mib = 1024 ** 2;
let folder = '';
let program = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenrepl-killed-cli-'));
  program = join(folder, 'xenrepl.cjs');
  await build({
    entryPoints: [join(__dirname, '../../../lib/xenrepl.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    external: ['pac-proxy-agent'],
    logLevel: 'error',
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Kills the program once the pool has stalled its transfer. */
async function killedAsItStalls(
  site: Pools,
  side: 'source' | 'target',
  argv: readonly string[],
): Promise<void> {
  const child = spawn(process.execPath, [program, ...argv], {
    cwd: site.folder,
    env: { PATH: process.env['PATH'], HOME: site.folder },
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  const isStalled = async (): Promise<boolean> =>
    (await site.site[side].control.faultCounters()).some(({ hits }) => hits > 0);
  while (child.exitCode === null && !(await isStalled())) await setImmediate();
  child.kill('SIGKILL');
  expect(await exited).toEqual([null, 'SIGKILL']);
  await site.site[side].control.clearFaults();
}

test('begun again they go on: one snapshot, one VM, finished disks are not carried twice, equal byte for byte', async () => {
  await using site = await Pools.start();
  const { source, target } = site.site;
  await guestWrites(source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 4 * mib, fill: 7 }]);
  await guestWrites(source.control, 'db1', 1, [{ atBytes: 40 * mib, lengthBytes: 9 * mib, fill: 8 }]);
  const vm = await source.control.vmUuid('db1');
  const exporting = [
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
  ];
  const importing = ['seed', 'import', '--target-pool', 'target', '--sr', 'target-sr', '--from', 'usb'];
  const stall = { kind: 'stall', afterBytes: 5 * mib } as const;
  const done = '"kind":"seed-disk-done"';

  // Two exports are opened to see how much data there is; the fourth is that of the second disk.
  await source.control.addFault({ match: { transfer: 'export' }, skip: 3, effect: stall });
  await killedAsItStalls(site, 'source', exporting);
  const exported = await site.called([...exporting, '--json']);
  expect(exported.code).toBe(0);
  expect(exported.stdout).toMatch(new RegExp(`${done},"device":"0",.*"skipped":true`));
  expect(exported.stdout).toMatch(new RegExp(`${done},"device":"1",.*"skipped":false`));
  const snapshots = Object.values((await source.control.inventory())['VM'] ?? {}).filter(
    ({ is_a_snapshot: is }) => is === true,
  );
  expect(snapshots).toHaveLength(1);

  await target.control.addFault({ match: { transfer: 'import' }, skip: 1, effect: stall });
  await killedAsItStalls(site, 'target', importing);
  const imported = await site.called([...importing, '--json']);
  expect(imported.code).toBe(0);
  expect(imported.stdout).toMatch(new RegExp(`${done},"device":"0",.*"skipped":true`));
  const vms = Object.values((await target.control.inventory())['VM'] ?? {}).filter(
    ({ is_control_domain: is }) => is === false,
  );
  expect(vms).toMatchObject([{ name_label: 'db1' }]);

  const copies = await disksOf(site.site, 'target', String(vms[0]?.['uuid']));
  for (const [device, vdi] of await disksOf(site.site, 'source', String(snapshots[0]?.['uuid']))) {
    expect([device, await target.control.digestDisk(copies.get(device) ?? '')]).toEqual([
      device,
      await source.control.digestDisk(vdi),
    ]);
  }
  expect(await leftovers(site.site)).toEqual([]);
});
