import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'xenrepl-temporary-'));
const program = join(folder, 'temporary-folder.cjs');
const temporary = join(folder, 'tmp');

beforeAll(async () => {
  const entry = join(__dirname, '../../lib/simulator/temporary-folder.ts');
  await build({ entryPoints: [entry], outfile: program, bundle: true, platform: 'node', logLevel: 'error' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['exits without closing anything, as at a second Ctrl-C', 'process.exit(3)', 3],
  ['dies of an error that nobody caught', 'throw new Error("x")', 1],
  ['removes it and exits', 'removeTemporaryFolder(path).then(() => process.exit(3))', 3],
])('a process that %s leaves no folder', (_what, end, status) => {
  const script = `
    const { makeTemporaryFolder, removeTemporaryFolder } = require(${JSON.stringify(program)});
    require('node:fs').mkdirSync(${JSON.stringify(temporary)}, { recursive: true });
    makeTemporaryFolder().then((path) => {
      require('node:fs').writeFileSync(path + '/disk.raw', 'x');
      ${end};
    });`;
  const child = spawnSync(process.execPath, ['-e', script], { env: { ...process.env, TMPDIR: temporary } });
  expect(child.status).toBe(status);
  expect(readdirSync(temporary)).toEqual([]);
});
