import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { providerLauncher, versionCheck, versionCheckName } from '../../lib/delivery';

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
  writeFileSync(join(into, versionCheckName), versionCheck);
  return executable(launcher, providerLauncher(serveArguments));
}

/** This Node, which takes itself for another version. */
function nodeOfVersion(version: string): string {
  const versions = JSON.stringify({ node: version });
  writeFileSync(
    join(folder, 'pose.cjs'),
    `Object.defineProperty(process, 'versions', { value: ${versions} })`,
  );
  return executable(
    join(folder, 'posing-node'),
    `#!/bin/sh\nexec "${process.execPath}" -r "${folder}/pose.cjs" "$@"\n`,
  );
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
    'the xenrepl provider needs Node.js 20.19 or newer, and "node" was not found: ' +
      'install it, or set XENREPL_NODE to the path of one\n',
  );
  expect({ stderr, status }).toEqual({ stderr: '', status: 1 });
});

test.each(['18.20.4', '20.18.3', '4.9.1'])(
  'says in one line on stdout that node %s is too old',
  (version) => {
    const node = nodeOfVersion(version);
    const { stdout, stderr, status } = run(place(folder), { PATH: '/nowhere', XENREPL_NODE: node });
    expect(stdout).toBe(
      `the xenrepl provider needs Node.js 20.19 or newer, and "${node}" is ${version}: ` +
        'update it, or set XENREPL_NODE to the path of one\n',
    );
    expect({ stderr, status }).toEqual({ stderr: '', status: 1 });
  },
);

test.each(['20.19.0', '22.1.0', '24.0.0-rc.1'])('starts with node %s', (version) => {
  const { stdout } = run(place(folder), { PATH: '/nowhere', XENREPL_NODE: nodeOfVersion(version) });
  expect(JSON.parse(stdout)).toEqual([]);
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
