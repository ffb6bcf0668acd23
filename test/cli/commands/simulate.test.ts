import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectSimulator } from '../../../lib/simulator';
import { call, called } from '../call';

const spec = `
pools:
  - name: paris
    hosts: [{ name: paris-1 }]
    srs: [{ name: local, type: ext, sizeBytes: 1073741824, default: true }]
    networks: [{ name: lan }]
    vms:
      - name: db1
        disks: [{ device: 0, sizeBytes: 4194304, sr: local, contentFile: content.raw }]
`;

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenrepl-simulate-'));
  await writeFile(join(folder, 'spec.yaml'), spec);
  await writeFile(join(folder, 'content.raw'), Buffer.alloc(4194304, 7));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

test('pools from a file until somebody stops them; the pools file it writes opens them', async () => {
  const argv = ['simulate', '--spec', join(folder, 'spec.yaml'), '--write-pools-file', 'pools.yaml'];
  const running = call(argv, { cwd: folder });
  await running.stdout.shows('\n');
  const ready = JSON.parse(running.stdout.text) as {
    controlUrl: string;
    pools: { name: string; url: string; hosts: { name: string; fingerprint: string }[] }[];
  };
  expect(ready.pools.map(({ name }) => name)).toEqual(['paris']);
  expect(ready.pools[0]?.hosts[0]?.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  expect(running.stdout.text).not.toContain('secret');

  const jobs = ['jobs', '--target-pool', 'paris', '--pools-file', join(folder, 'pools.yaml')];
  expect((await called(jobs)).stdout).toBe('pool "paris" has no job\n');
  expect((await stat(join(folder, 'pools.yaml'))).mode & 0o777).toBe(0o600);

  // The content file is taken from beside the specification.
  const control = (await connectSimulator(ready.controlUrl)).control('paris');
  const disk = await control.diskOf(await control.vmUuid('db1'), 0);
  expect([...(await control.readDisk(disk, 0, 4))]).toEqual([7, 7, 7, 7]);

  running.send('SIGTERM');
  expect(await running.code).toBe(0);
  await expect(fetch(ready.controlUrl)).rejects.toThrow();
});

test('a pools file that somebody wrote is not overwritten; one of its own is', async () => {
  const path = join(folder, 'pools.yaml');
  const argv = ['simulate', '--spec', join(folder, 'spec.yaml'), '--write-pools-file', path];
  await writeFile(path, 'pools: {}\n');
  const { code, stderr } = await called(argv);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: Did not write \S+pools\.yaml: there is a file that was not written by/);
  expect(await readFile(path, 'utf8')).toBe('pools: {}\n');

  await writeFile(path, '# Written by xenrepl simulate for simulated pools; written anew each time.\nold\n');
  const running = call(argv);
  await running.stdout.shows('\n');
  expect(await readFile(path, 'utf8')).toContain('paris:');
  running.send('SIGINT');
  expect(await running.code).toBe(0);
});

test('a specification that is missing or wrong is told with its place', async () => {
  const missing = await called(['simulate', '--spec', join(folder, 'none.yaml')]);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toMatch(/^error: Cannot read the specification \S+none\.yaml: ENOENT/);
  await writeFile(join(folder, 'spec.yaml'), spec.replace('srs:', 'storages:'));
  const wrong = await called(['simulate', '--spec', join(folder, 'spec.yaml'), '--json']);
  const error = JSON.parse(wrong.stdout) as { message: string; code: string };
  expect(error.code).toBe('spec');
  expect(error.message).toMatch(/storages/);
});
