import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { providerLauncher } from '../../lib/delivery';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'launcher test '));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Places a launcher beside a `provider.cjs` that prints its arguments. */
function place(into: string, serveArguments?: string[]): string {
  mkdirSync(into, { recursive: true });
  const launcher = join(into, 'terraform-provider-xenrepl_v0.1.0');
  writeFileSync(join(into, 'provider.cjs'), 'console.log(JSON.stringify(process.argv.slice(2)))');
  return executable(launcher, providerLauncher(serveArguments));
}

function executable(file: string, text: string): string {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

function run(launcher: string, env: NodeJS.ProcessEnv, args: string[] = []) {
  return spawnSync(launcher, args, { encoding: 'utf8', cwd: folder, env });
}

test('hands over to provider.cjs beside it, with its own words first', () => {
  const launcher = place(folder, ['--serve', 'null']);
  const { stdout, status } = run(launcher, { PATH: process.env['PATH'] }, ['--debug', 'two words']);
  expect(JSON.parse(stdout)).toEqual(['--serve', 'null', '--debug', 'two words']);
  expect(status).toBe(0);
});

test('finds provider.cjs when Terraform starts it by a relative path through a link to its folder', () => {
  place(join(folder, 'mirror'));
  symlinkSync(join(folder, 'mirror'), join(folder, 'linked'));
  const { stdout } = run('./linked/terraform-provider-xenrepl_v0.1.0', { PATH: process.env['PATH'] });
  expect(JSON.parse(stdout)).toEqual([]);
});

test('works inside a project whose package.json says "type": "module"', () => {
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const { stdout } = run(place(join(folder, 'deep')), { PATH: process.env['PATH'] });
  expect(JSON.parse(stdout)).toEqual([]);
});

test('takes the node of XENREPL_NODE, whatever is on PATH', () => {
  const { stdout } = run(place(folder), { PATH: '/nowhere', XENREPL_NODE: process.execPath });
  expect(JSON.parse(stdout)).toEqual([]);
});

test('says in one line on stdout that there is no node', () => {
  const { stdout, stderr, status } = run(place(folder), { PATH: '/nowhere' });
  expect(stdout).toBe(
    'the xenrepl provider needs Node.js 20.19 or newer: "node" was not found or does not start; ' +
      'install it, or set XENREPL_NODE to its path\n',
  );
  expect({ stderr, status }).toEqual({ stderr: '', status: 1 });
});

test.each(['v18.20.4', 'v20.18.3', 'v4.9.1'])(
  'says in one line on stdout that node %s is too old',
  (version) => {
    const node = executable(join(folder, 'old-node'), `#!/bin/sh\necho ${version}\n`);
    const { stdout, status } = run(place(folder), { PATH: '/nowhere', XENREPL_NODE: node });
    expect(stdout).toBe(
      `the xenrepl provider needs Node.js 20.19 or newer: "${node}" is ${version}; ` +
        'update it, or set XENREPL_NODE to the path of a newer one\n',
    );
    expect(status).toBe(1);
  },
);

test.each(['v20.19.0', 'v22.1.0', 'v24.0.0-rc.1'])('starts with node %s', (version) => {
  const node = executable(
    join(folder, 'new-node'),
    `#!/bin/sh\ncase "$1" in --version) echo ${version} ;; *) echo started ;; esac\n`,
  );
  expect(run(place(folder), { PATH: '/nowhere', XENREPL_NODE: node }).stdout).toBe('started\n');
});

test('is the same text on every machine', () => {
  const text = providerLauncher();
  expect(text).toBe(providerLauncher());
  expect(text).not.toContain(process.execPath);
  expect(text).not.toContain(process.cwd());
});

test('refuses a word that the shell would read as more than a word', () => {
  expect(() => providerLauncher(['--serve', 'null; true'])).toThrow('Not a plain word');
});
