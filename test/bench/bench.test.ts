/** The program itself, on its cheapest part: what it measures is nobody's business here, that it measures is. */
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const root = join(__dirname, '../..');
let folder: string;
let temporary: string;
const started: ChildProcessWithoutNullStreams[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xenrepl-bench-test-'));
  temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  // A process of its own cannot load TypeScript.
  await build({
    entryPoints: ['main', 'engine-run', 'pool-process'].map((name) => join(root, 'bench', `${name}.ts`)),
    outdir: folder,
    bundle: true,
    platform: 'node',
    target: 'node20',
    external: ['pac-proxy-agent'],
    logLevel: 'error',
  });
});

afterAll(() => {
  // After a test that failed.
  for (const child of started.filter(isThere)) interrupt(child, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Leads a process group, so that whatever it leaves behind can be found. */
function start(...args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [join(folder, 'main.js'), ...args], {
    env: { ...process.env, TMPDIR: temporary },
    detached: true,
  });
  started.push(child);
  return child;
}

async function bench(
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = start(...args);
  const closed = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  expectNothingLeft(child);
  return { code, stdout, stderr };
}

function expectNothingLeft(child: ChildProcessWithoutNullStreams): void {
  expect(isThere(child)).toBe(false);
  expect(readdirSync(temporary)).toEqual([]);
}

interface Written {
  readonly startedAt: string;
  readonly machine: { readonly node: string; readonly cores: number };
  readonly commit: string | null;
  readonly failures: readonly unknown[];
  readonly figures: readonly {
    readonly name: string;
    readonly ours: readonly number[];
    readonly met: boolean;
    readonly rounds: number;
  }[];
}

test('a part that is measured gives a table and every measurement', async () => {
  const json = join(folder, 'result.json');
  const { code, stdout, stderr } = await bench('--quick', '--only', 'nothing', '--json', json);
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('nothing changed') as string,
  });
  const written = JSON.parse(readFileSync(json, 'utf8')) as Written;
  expect(written).toMatchObject({ machine: { node: process.versions.node }, failures: [] });
  expect(Date.parse(written.startedAt)).toBeGreaterThan(0);
  expect(written).toHaveProperty('commit');
  expect(written.figures).toHaveLength(2);
  expect(stdout).toContain('; quick, 1 round, ');
  for (const { name, ours, rounds } of written.figures) {
    expect({ ours, rounds }).toEqual({ ours: [expect.any(Number)], rounds: 1 });
    expect(stdout).toContain(name);
  }
});

function isThere({ pid = 0 }: ChildProcessWithoutNullStreams): boolean {
  try {
    return process.kill(-pid, 0);
  } catch {
    return false;
  }
}

/** Those of its group whose command line contains this. They are no children of ours: nobody tells us when there are some. */
async function startedBy({ pid = 0 }: ChildProcessWithoutNullStreams, what: string): Promise<number[]> {
  for (;;) {
    const found = readdirSync('/proc').filter((name) => {
      try {
        // What comes before the last bracket is the program's name, which may hold anything.
        const group = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[2];
        return group === String(pid) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(what);
      } catch {
        // Not a process, or one that ended meanwhile.
        return false;
      }
    });
    if (found.length > 0) return found.map(Number);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** As a terminal does for Ctrl-C: every process of the group gets it. */
function interrupt({ pid = 0 }: ChildProcessWithoutNullStreams, signal: NodeJS.Signals): void {
  process.kill(-pid, signal);
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'stopped by %s in the middle of a run it ends its processes and takes its folders away',
  async (signal) => {
    const child = start('--only', 'nothing');
    const closed = once(child, 'close') as Promise<[number | null]>;
    await startedBy(child, 'engine-run');
    interrupt(child, signal);
    const [code] = await closed;
    expect(code).toBe(130);
    expectNothingLeft(child);
  },
);

test('asked a second time it waits for nobody, and leaves nothing either', async () => {
  const child = start('--only', 'nothing');
  const closed = once(child, 'close') as Promise<[number | null]>;
  await startedBy(child, 'engine-run');
  // A pool that stands still hears of no end: the first signal alone would wait for it.
  for (const pool of await startedBy(child, 'pool-process')) process.kill(pool, 'SIGSTOP');
  // Two that come at once count as one, so they are sent until there is an end.
  while (child.exitCode === null && child.signalCode === null) {
    interrupt(child, 'SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [code] = await closed;
  expect(code).toBe(130);
  // Nobody waited for them, so the system may still be at it.
  while (isThere(child)) await new Promise((resolve) => setTimeout(resolve, 20));
  expectNothingLeft(child);
});

test.each([
  [['--qiuck'], "Unknown option '--qiuck'"],
  [['--only', 'everything'], 'no part\'s name contains "everything"; parts: full, delta, nothing changed'],
  [['--json', ''], '--json needs the name of a file'],
])('%j is refused, with what is allowed', async (args, said) => {
  const { code, stderr } = await bench(...args);
  expect(code).toBe(2);
  expect(stderr).toContain(said);
});

test('--help says what the options and exit codes mean', async () => {
  const { code, stdout } = await bench('--help');
  expect(code).toBe(0);
  for (const word of ['--quick', '--only', '--json', '--markdown', '130']) expect(stdout).toContain(word);
});
