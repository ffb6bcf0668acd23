// Generates lib/provider/wire/generated from lib/provider/wire/proto. With --check it generates into a scratch folder
// and fails if what is committed differs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const require = createRequire(import.meta.url);
const root = resolve(import.meta.dirname, '..');
const committed = 'lib/provider/wire/generated';
const check = process.argv.includes('--check');
const scratch = mkdtempSync(join(tmpdir(), 'generate-wire-'));

try {
  const out = check ? join(scratch, 'generated') : committed;
  const template = join(scratch, 'buf.gen.yaml');
  writeFileSync(
    template,
    readFileSync(join(root, 'lib/provider/wire/buf.gen.yaml'), 'utf8').replace(
      `out: ${committed}`,
      `out: ${out}`,
    ),
  );
  const buf = join(dirname(require.resolve('@bufbuild/buf/package.json')), 'bin', 'buf');
  const path = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`;
  const run = spawnSync(buf, ['generate', '--template', template], {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: 'inherit',
  });
  if (run.error) throw run.error;
  if (run.status !== 0) process.exitCode = 1;
  else if (check) process.exitCode = differences(out) === 0 ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function differences(fresh) {
  const names = new Set([...readdirSync(fresh), ...readdirSync(join(root, committed))]);
  const different = [...names].filter(
    (name) => read(join(fresh, name)) !== read(join(root, committed, name)),
  );
  for (const name of different) console.error(`${committed}/${name} is not what the definition generates`);
  if (different.length > 0) console.error('Run: node scripts/generate-wire.mjs');
  return different.length;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
