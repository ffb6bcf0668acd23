/** Where runs keep what makes later deltas smaller: the same for every command that runs jobs. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentCall } from '../../lib/cli/doors';
import { defaultCacheDir } from '../../lib/engine';
import { called } from './call';
import { Pools } from './pools';

test.each<[string, Readonly<Record<string, string>>, string]>([
  ['nothing is said', {}, '/home/op/.cache/xenrepl'],
  ['XDG names a folder for caches', { XDG_CACHE_HOME: '/c' }, '/c/xenrepl'],
  [
    'it is a service of systemd',
    { XDG_CACHE_HOME: '/c', CACHE_DIRECTORY: '/var/cache/xenrepl' },
    '/var/cache/xenrepl',
  ],
  ['systemd made several', { CACHE_DIRECTORY: '/var/cache/a:/var/cache/b' }, '/var/cache/a'],
  ['it is named', { CACHE_DIRECTORY: '/s', XENREPL_CACHE_DIR: '/mine' }, '/mine'],
  [
    'what names it is empty',
    { XENREPL_CACHE_DIR: '', CACHE_DIRECTORY: '', XDG_CACHE_HOME: '' },
    '/home/op/.cache/xenrepl',
  ],
])('where %s', (_when, env, folder) => {
  expect(defaultCacheDir(env, '/home/op')).toBe(folder);
});

test('run --cache-dir keeps it there, from the working directory, whatever the environment says', async () => {
  await using pools = await Pools.start();
  await pools.storeJob();
  const argv = ['run', '--target-pool', 'target', '--job', 'site', '--cache-dir', 'kept'];
  const { code, stderr } = await pools.called(argv, {
    cwd: pools.folder,
    env: { XENREPL_CACHE_DIR: '/nowhere' },
  });
  expect([code, stderr]).toEqual([0, '']);
  expect(await readdir(join(pools.folder, 'kept', 'grains'))).toHaveLength(2);
});

test('the agent is handed the same folder', async () => {
  const calls: AgentCall[] = [];
  const agent = (call: AgentCall): Promise<void> => {
    calls.push(call);
    return Promise.resolve();
  };
  const doors = { agent: () => Promise.resolve(agent) };
  const argv = ['agent', '--pools-file', '/p.yaml'];
  await called([...argv, '--cache-dir', 'kept'], { cwd: '/site', doors });
  await called(argv, { env: { XENREPL_CACHE_DIR: '/mine' }, doors });
  await called(argv, { home: '/home/op', doors });
  expect(calls.map(({ cacheDir }) => cacheDir)).toEqual(['/site/kept', '/mine', '/home/op/.cache/xenrepl']);
});

test('an empty name is refused: an unset variable in a script would mean the working directory', async () => {
  const { code, stderr } = await called(['run', '--target-pool', 'a', '--job', 'b', '--cache-dir', '']);
  expect(code).toBe(2);
  expect(stderr).toContain('--cache-dir');
});
