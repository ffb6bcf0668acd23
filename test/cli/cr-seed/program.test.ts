/** `xo-cr-seed` as it is delivered: one file, started as a process, with six arguments. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { compareNewest, leftovers } from '../../engine/inspect';
import { carried } from '../../engine/seed/carried';
import { configsOf } from '../../engine/seed/states';
import { guestWrites } from '../../engine/site';
import { jobId, Pools } from '../pools';

const mib = 1024 ** 2;
const root = join(__dirname, '../../..');
let folder = '';
let program = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenrepl-cr-seed-'));
  program = join(folder, 'xo-cr-seed.cjs');
  const esbuild = join(dirname(require.resolve('esbuild/package.json')), 'bin', 'esbuild');
  const options = [
    '--bundle',
    '--platform=node',
    '--target=node20',
    '--format=cjs',
    '--external:pac-proxy-agent',
  ];
  const argv = [join(root, 'lib/cli/xo-cr-seed.ts'), ...options, `--outfile=${program}`, '--log-level=error'];
  const built = spawnSync(esbuild, argv, { encoding: 'utf8' });
  expect([built.status, built.stderr]).toEqual([0, '']);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  argv: readonly string[],
  cwd = folder,
  environment: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const env = { ...process.env, HOME: folder, XENREPL_POOLS_FILE: '', ...environment };
  const child = spawn(process.execPath, [program, ...argv], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: child.exitCode, stdout, stderr };
}

async function written(): Promise<Pools> {
  const pools = await Pools.start();
  await guestWrites(pools.site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 4 * mib, fill: 7 }]);
  return pools;
}

function withPassword(url: string, password: string): string {
  return url.replace('https://', `https://root:${password}@`);
}

test('six arguments attach a seed; the next run of our engine is a delta', async () => {
  await using pools = await written();
  const seed = await carried(pools.site);
  const job = await pools.storeJob({ initialCopy: 'seed' });
  const { source, target } = pools.site;

  const { code, stdout, stderr } = await run(
    [source.url, seed.snapshot, target.url, seed.vm, job.jobId, job.scheduleId],
    pools.folder,
  );

  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain(`(${seed.vm}) is the replica of db1: the next run sends a delta`);
  const { report } = await pools.site.run(job);
  expect(report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta', replica: { uuid: seed.vm } });
  for (const { source: wanted, target: copy } of await compareNewest(pools.site, report))
    expect(copy).toBe(wanted);
  expect(await leftovers(pools.site)).toEqual([]);
});

test('ids of a job that no pool knows are written as they are given', async () => {
  await using pools = await written();
  const seed = await carried(pools.site);
  const { source, target } = pools.site;
  const { code, stderr } = await run(
    [source.url, seed.snapshot, target.url, seed.vm.toUpperCase(), 'my-job', 'my schedule'],
    pools.folder,
  );
  expect([code, stderr]).toEqual([0, expect.stringContaining('holds no job my-job')]);
  const snapshot = await configsOf(pools.site, 'source', seed.snapshot);
  expect(snapshot?.config).toMatchObject({ 'xo:backup:job': 'my-job', 'xo:backup:schedule': 'my schedule' });
});

test('a password in the URL works, with a warning, and is nowhere repeated', async () => {
  await using pools = await written();
  const seed = await carried(pools.site);
  const { source, target } = pools.site;
  const { code, stdout, stderr } = await run(
    [
      withPassword(source.url, source.password),
      seed.snapshot,
      withPassword(target.url, target.password),
      seed.vm,
      jobId,
      'hourly',
    ],
    pools.folder,
  );
  expect(code).toBe(0);
  expect(stderr).toContain('a password in the command line can be read by every user');
  expect(stdout + stderr).not.toContain(source.password);
});

describe('certificates', () => {
  test('are verified: a self-signed one of a host that no pools file knows is refused', async () => {
    await using pools = await written();
    const seed = await carried(pools.site);
    const { source, target } = pools.site;
    const argv = [
      withPassword(source.url, source.password),
      seed.snapshot,
      withPassword(target.url, target.password),
      seed.vm,
      jobId,
      'hourly',
    ];
    const refused = await run(argv);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/certificate/);

    const flag = await run(['--insecure', ...argv]);
    expect([flag.code, flag.stderr]).toEqual([0, expect.stringContaining('warning: pool')]);
  });

  test('are not verified where the environment says so', async () => {
    await using pools = await written();
    const seed = await carried(pools.site);
    const { source, target } = pools.site;
    const argv = [
      withPassword(source.url, source.password),
      seed.snapshot,
      withPassword(target.url, target.password),
      seed.vm,
      jobId,
      'hourly',
    ];
    expect((await run(argv, folder, { XENREPL_INSECURE: '1' })).code).toBe(0);
  });
});

test('what does not fit is refused with its reason, and nothing is changed', async () => {
  await using pools = await written();
  const seed = await carried(pools.site);
  const { source, target } = pools.site;
  const argv = [source.url, await source.control.vmUuid('db1'), target.url, seed.vm, jobId, 'hourly'];
  const { code, stderr } = await run(argv, pools.folder);
  expect([code, stderr]).toEqual([3, expect.stringContaining('"db1"')]);
  expect(stderr).toContain('is not a snapshot');
  expect(await configsOf(pools.site, 'target', seed.vm)).toMatchObject({ xoKeys: [] });
});

describe('its arguments', () => {
  const uuid = 'f0000000-0000-4000-8000-000000000000';
  const six = ['https://a', uuid, 'https://b', uuid, 'job', 'schedule'];

  test.each([[['-h']], [['--help']], [[]]])('%j prints how it is used', async (argv) => {
    const { code, stdout } = await run(argv);
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toBe(
      'Usage: xo-cr-seed <source XAPI URL> <source snapshot UUID> <target XAPI URL> <target VM UUID> <backup job id> <backup schedule id>',
    );
  });

  test.each([
    [six.slice(0, 5), 'Expected six arguments, got 5'],
    [[...six, 'more'], 'Expected six arguments, got 7'],
    [six.with(1, 'snap'), 'The source snapshot is not named by a uuid'],
    [six.with(3, 'vm'), 'The target VM is not named by a uuid'],
    [six.with(4, 'a:b'), 'The job id is none'],
    [six.with(0, 'ftp://root:hidden@x'), 'The source URL is none of a pool'],
    [[...six, '--quick'], 'There is an option that is not known here'],
    [[...six, '--verify', 'much'], '--verify is none of'],
    [six, 'names no user, and no pools file knows host a'],
  ])('%j', async (argv, said) => {
    const { code, stderr } = await run(argv);
    expect([code, stderr]).toEqual([2, expect.stringContaining(said)]);
    expect(stderr).not.toContain('hidden');
  });
});
