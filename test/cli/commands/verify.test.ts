import { jobDefaults } from '../../../lib/planner/job';
import { compareNewest, disksOf } from '../../engine/inspect';
import { guestWrites } from '../../engine/site';
import { masked, Pools } from '../pools';

const mib = 1024 ** 2;
const ofJob = ['--target-pool', 'target', '--job', 'site'];

async function replicated(): Promise<Pools> {
  const pools = await Pools.start();
  await guestWrites(pools.site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 6 * mib, fill: 7 }]);
  const job = await pools.storeJob();
  const { report } = await pools.site.run(job);
  for (const { source, target } of await compareNewest(pools.site, report)) expect(target).toBe(source);
  return pools;
}

async function spoil(pools: Pools): Promise<void> {
  const { stdout } = await pools.called(['replicas', ...ofJob, '--json']);
  const { replicas } = JSON.parse(stdout) as { replicas: readonly { points: readonly { uuid: string }[] }[] };
  const disks = await disksOf(pools.site, 'target', replicas[0]?.points[0]?.uuid ?? '');
  await pools.site.target.control.writeDisk(disks.get('0') ?? '', 5 * mib, Buffer.alloc(512, 0x5a));
}

test('what is equal ends in 0, with a table', async () => {
  await using pools = await replicated();
  const { code, stdout, stderr } = await pools.called(['verify', ...ofJob]);
  expect([code, stderr]).toEqual([0, '']);
  expect(masked(stdout)).toMatchInlineSnapshot(`
    "VM  RECOVERY POINT  AS OF  DISK  AGAINST  COMPARED  OF  RESULT
    db1  <uuid 1>  <time>  0  source  32.0 MiB  32.0 MiB  equal
    db1  <uuid 1>  <time>  1  source  64.0 MiB  64.0 MiB  equal

    1 of 1 recovery points found equal in <duration>
    "
  `);
});

test('what differs ends in 6, with the place and what to do', async () => {
  await using pools = await replicated();
  await spoil(pools);
  const { code, stdout, stderr } = await pools.called(['verify', ...ofJob]);
  expect(code).toBe(6);
  expect(stdout).toContain('differs in 1');
  expect(stderr).toMatch(
    /^error: db1: recovery point ".*" \(.*\) is not what its source snapshot was: disk 0 differs in 1 block of 2 MiB, the first at byte 4194304\nhint: do not recover from it/,
  );
  const json = await pools.called(['verify', ...ofJob, '--json']);
  expect(json.code).toBe(6);
  expect(JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
    kind: 'report',
    ok: false,
    points: [{ outcome: { kind: 'differs' } }],
  });
});

test('a sample says how much it proves', async () => {
  await using pools = await replicated();
  const { code, stdout } = await pools.called(['verify', ...ofJob, '--sampled', '4MiB']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/4\.0 MiB +32\.0 MiB +equal \(finds one wrong block in 13 % of cases\)/);
});

test('with the source lost, recorded digests tell', async () => {
  await using pools = await replicated();
  await pools.writePoolsFile([pools.site.target]);
  const { code, stdout, stderr } = await pools.called(['verify', ...ofJob]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/ digest /);
  expect(stderr).toMatch(/^warning: the source pool cannot be asked, so only recorded digests/);
});

test('a size without a unit, or two kinds at once, is a mistake of usage', async () => {
  await using pools = await Pools.start();
  expect((await pools.called(['verify', ...ofJob, '--sampled', '4096'])).code).toBe(2);
  expect((await pools.called(['verify', ...ofJob, '--full', '--sampled'])).code).toBe(2);
});

test('the limits of the job are told, and can be put aside or replaced, not both', async () => {
  await using pools = await replicated();
  await pools.storeJob({ limits: { ...jobDefaults.limits, bytesPerSecond: 1024 ** 3 } });
  expect((await pools.called(['verify', ...ofJob])).stderr).toBe(
    'note: reads at most 1.0 GiB/s of either pool; --limit and --no-limits change that\n',
  );
  expect((await pools.called(['verify', ...ofJob, '--limit', '512MiB/s'])).stderr).toContain('512.0 MiB/s');
  expect((await pools.called(['verify', ...ofJob, '--no-limits'])).stderr).toBe('');
  expect((await pools.called(['verify', ...ofJob, '--no-limits', '--limit', '1GiB'])).code).toBe(2);
  expect((await pools.called(['verify', ...ofJob, '--limit', '1000'])).code).toBe(2);
});
