/** The program as it is delivered: one file, started as a process, in a folder without node_modules. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { guestWrites } from '../engine/site';
import { leftovers } from '../engine/inspect';
import { Pools } from './pools';

const mib = 1024 ** 2;
const root = join(__dirname, '../..');
let folder = '';
let program = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenrepl-bundle-'));
  program = join(folder, 'xenrepl.cjs');
  const esbuild = join(dirname(require.resolve('esbuild/package.json')), 'bin', 'esbuild');
  const options = [
    '--bundle',
    '--platform=node',
    '--target=node20',
    '--format=cjs',
    '--external:pac-proxy-agent',
  ];
  const argv = [join(root, 'lib/xenrepl.ts'), ...options, `--outfile=${program}`, '--log-level=error'];
  const built = spawnSync(esbuild, argv, { encoding: 'utf8' });
  expect([built.status, built.stderr]).toEqual([0, '']);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function start(argv: readonly string[], cwd = folder): ChildProcess {
  const env = { ...process.env, HOME: folder, XENREPL_POOLS_FILE: '' };
  return spawn(process.execPath, [program, ...argv], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const [stdout, stderr] = await Promise.all([
    child.stdout === null ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code: child.exitCode, stdout, stderr };
}

/** Resolves when the text appears; what was read before stays readable. */
async function shows(child: ChildProcess, wanted: string): Promise<void> {
  let seen = '';
  for (;;) {
    const [chunk] = (await once(child.stdout ?? child, 'data')) as [Buffer];
    seen += chunk.toString();
    if (seen.includes(wanted)) return;
  }
}

async function pools(): Promise<Pools> {
  const started = await Pools.start();
  const { source } = started.site;
  await guestWrites(source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 24 * mib, fill: 7 }]);
  await started.storeJob();
  return started;
}

const run = ['run', '--target-pool', 'target', '--job', 'site'];

test('ends with the code of what happened, and with nothing but words', async () => {
  expect(await ended(start(['--version']))).toMatchObject({ code: 0, stderr: '' });
  expect(await ended(start(['jobs', '--target-pool', 'x']))).toMatchObject({ code: 1, stdout: '' });
  const { code, stderr } = await ended(start(['runn']));
  expect(code).toBe(2);
  expect(stderr).toBe(
    "error: unknown command 'runn'\nhint: (Did you mean run?) add --help to the command for its options and examples\n",
  );
});

test('runs a job without anything beside it', async () => {
  await using site = await pools();
  const { code, stdout, stderr } = await ended(start(run, site.folder));
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/\n1 of 1 VM replicated in /);
  expect(stdout).not.toContain('\u001b');
});

/** Half of the first disk comes, then nothing more. */
async function stallExport({ site }: Pools): Promise<void> {
  const effect = { kind: 'stall', afterBytes: 13 * mib } as const;
  await site.source.control.addFault({ match: { transfer: 'export' }, max: 9, effect });
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s in the middle of a transfer: ends in %d, and leaves nothing behind', async (signal, code) => {
  await using site = await pools();
  await stallExport(site);
  const child = start(run, site.folder);
  await shows(child, 'db1: disk 0: full');
  child.kill(signal);
  const { code: seen, stdout, stderr } = await ended(child);
  expect(seen).toBe(code);
  expect(stdout).toMatch(/\n0 of 1 VM replicated in /);
  expect(stderr).toMatch(/^stopping, after cleaning up/m);
  expect(await leftovers(site.site)).toEqual([]);
});

test('a second Ctrl-C ends it where it stands', async () => {
  await using site = await pools();
  await stallExport(site);
  // The clean-up that follows the first press cannot get on.
  await site.site.target.control.addFault({
    match: { method: 'VDI.destroy' },
    max: 99,
    effect: { kind: 'hang' },
  });
  const child = start(run, site.folder);
  await shows(child, 'db1: disk 0: full');
  child.kill('SIGINT');
  const again = setInterval(() => child.kill('SIGINT'), 100);
  const { code } = await ended(child);
  clearInterval(again);
  expect(code).toBe(130);
  expect(await leftovers(site.site)).not.toEqual([]);
});

test('when the reader of its output leaves, it cleans up and ends in 141', async () => {
  await using site = await pools();
  await stallExport(site);
  const child = start(run, site.folder);
  await shows(child, 'of job "site": 1 VM');
  child.stdout?.destroy();
  await once(child, 'exit');
  expect(child.exitCode).toBe(141);
  // The task of a transfer that was just about to begin may stay: its ref was on the way. The pool collects it.
  const left = (await leftovers(site.site)).filter((text) => !text.startsWith('source: task '));
  expect(left).toEqual([]);
});

test('simulated pools in a process of their own; stopped, they leave no folder behind', async () => {
  const spec = join(folder, 'spec.json');
  await copyFile(join(__dirname, 'commands', 'spec.json'), spec);
  const temporary = await mkdtemp(join(folder, 'tmp-'));
  const env = { ...process.env, TMPDIR: temporary };
  const child = spawn(process.execPath, [program, 'simulate', '--spec', spec], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const ready = JSON.parse(line.toString()) as { kind: string; controlUrl: string };
  expect(ready.kind).toBe('ready');
  expect((await fetch(ready.controlUrl)).ok).toBe(true);
  expect(await readdir(temporary)).not.toEqual([]);
  child.kill('SIGTERM');
  expect((await ended(child)).code).toBe(0);
  expect(await readdir(temporary)).toEqual([]);
});
