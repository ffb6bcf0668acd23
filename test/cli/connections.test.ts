/** Which pools a command talks to. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobDefinition } from '../../lib/planner/job';
import { called } from './call';
import { Pools } from './pools';

const plan = ['plan', '--target-pool', 'target', '--job', 'site'];

async function sourceOf(pools: Pools, poolName: string): Promise<Pick<JobDefinition, 'source'>> {
  return { source: { poolName, poolUuid: (await pools.site.connect('source')).uuid } };
}

describe('the source pool of a job', () => {
  it('is the one of that name where its uuid is right, or not known', async () => {
    await using pools = await Pools.start();
    await pools.storeJob(await sourceOf(pools, 'source'));
    expect((await pools.called(plan)).code).toBe(0);
    await pools.storeJob({ source: { poolName: 'source', poolUuid: null } });
    expect((await pools.called(plan)).code).toBe(0);
  });

  it('is found by its uuid where the pools file calls it by another name, which is told', async () => {
    await using pools = await Pools.start();
    const job = await pools.storeJob(await sourceOf(pools, 'source'));
    await pools.writePoolsFile([pools.site.source, pools.site.target], { source: 'paris' });
    const { code, stderr } = await pools.called(plan);
    expect(code).toBe(0);
    expect(stderr).toBe(
      `note: job "site" calls its source pool "source"; by its uuid ${job.source.poolUuid ?? ''} it is "paris" in ` +
        `${join(pools.folder, 'xenrepl.yaml')}\n`,
    );
  });

  it('is not another pool that got its name', async () => {
    await using pools = await Pools.start();
    const { source } = await pools.storeJob(await sourceOf(pools, 'source'));
    const target = await pools.site.connect('target');
    await pools.writePoolsFile([{ ...pools.site.target, name: 'source' }, pools.site.target]);
    const { code, stderr } = await pools.called(plan);
    expect(code).toBe(1);
    expect(stderr).toContain(`it is "source" with uuid ${source.poolUuid ?? ''}`);
    expect(stderr).toContain(`is another one: its uuid is ${target.uuid}`);
    expect(stderr).toMatch(/hint: correct or add the entry "source"/);
  });

  it('is missed with names: of the job, and of what could not be asked', async () => {
    await using pools = await Pools.start();
    await pools.storeJob(await sourceOf(pools, 'paris'));
    const silent = { ...pools.site.source, name: 'silent', url: 'https://127.0.0.1:1' };
    await pools.writePoolsFile([silent, pools.site.target]);
    const { code, stderr } = await pools.called(plan);
    expect(code).toBe(1);
    expect(stderr).toMatch(/it is "paris" with uuid \S+, but \S+xenrepl\.yaml has no pool "paris"/);
    expect(stderr).toMatch(/not reached: "silent" \(/);
  });

  it('without a uuid is looked for by name alone', async () => {
    await using pools = await Pools.start();
    await pools.storeJob({ source: { poolName: 'paris', poolUuid: null } });
    const { code, stderr } = await pools.called(plan);
    expect(code).toBe(1);
    expect(stderr).toMatch(/there is no pool "paris" in this file; it names: source, target/);
  });
});

test('a job that was copied to another pool with its database does not run from there', async () => {
  await using pools = await Pools.start();
  const { target } = await pools.storeJob();
  await pools.storeJob({ target: { ...target, poolUuid: '00000000-0000-4000-8000-000000000000' } });
  const { code, stderr } = await pools.called(plan);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: Job "site" .* stands on pool "target" .* but was written for target pool/);
});

describe('the pools file', () => {
  const jobs = ['jobs', '--target-pool', 'target'];

  it('is found upwards, named by the environment, or by --pools-file, which outweighs both', async () => {
    await using pools = await Pools.start();
    const below = join(pools.folder, 'cdktf.out', 'stacks', 'x');
    await mkdir(below, { recursive: true });
    expect((await called(jobs, { cwd: below })).code).toBe(0);
    const named = { XENREPL_POOLS_FILE: join(pools.folder, 'xenrepl.yaml') };
    expect((await called(jobs, { env: named })).code).toBe(0);
    const argv = [...jobs, '--pools-file', 'xenrepl.yaml'];
    expect((await called(argv, { cwd: pools.folder, env: { XENREPL_POOLS_FILE: '/nowhere' } })).code).toBe(0);
    expect((await called(['--pools-file', 'xenrepl.yaml', ...jobs], { cwd: pools.folder })).code).toBe(0);
  });

  it('is missed with the places it was looked for', async () => {
    const { code, stderr } = await called(jobs);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: Cannot find a pools file: XENREPL_POOLS_FILE is not set/);
    expect(stderr).toMatch(/hint: write one .* or name it with --pools-file/);
  });

  it('is refused where others may read it', async () => {
    await using pools = await Pools.start();
    await chmod(join(pools.folder, 'xenrepl.yaml'), 0o644);
    const { code, stderr } = await pools.called([...jobs]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/chmod 600/);
  });

  it('may name the password by an environment variable or a file', async () => {
    await using pools = await Pools.start();
    const { url, username, password, hosts } = pools.site.target;
    const rest = { url, username, fingerprints: hosts.map(({ fingerprint }) => fingerprint) };
    const write = (entry: Readonly<Record<string, unknown>>): Promise<void> =>
      writeFile(
        join(pools.folder, 'xenrepl.yaml'),
        JSON.stringify({ pools: { target: { ...rest, ...entry } } }),
      );
    await write({ password_env: 'LYON' });
    expect((await pools.called(jobs, { env: { LYON: password } })).code).toBe(0);
    expect((await pools.called(jobs)).stderr).toMatch(/password_env: the environment variable .* is not set/);
    await writeFile(join(pools.folder, 'lyon.password'), `${password}\n`, { mode: 0o600 });
    await write({ password_file: 'lyon.password' });
    expect((await pools.called(jobs)).code).toBe(0);
  });
});

test('a pool whose certificate is not verified warns on every run, on stderr', async () => {
  await using pools = await Pools.start();
  const { url, username, password } = pools.site.target;
  const entry = { url, username, password, insecure: true };
  await writeFile(join(pools.folder, 'xenrepl.yaml'), JSON.stringify({ pools: { target: entry } }));
  for (let round = 0; round < 2; round += 1) {
    const { code, stdout, stderr } = await pools.called(['jobs', '--target-pool', 'target', '--json']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: pool "target": /);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  }
});
