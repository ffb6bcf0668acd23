// Makes the text that a receiving thread is started with of lib/xapi/receiving-thread/program.ts. As a text it needs no file of its
// own beside bundles, of which Terraform knows one only. With --check it fails if what is committed differs.
import { build } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';

const folder = resolve(import.meta.dirname, '..', 'lib/xapi/receiving-thread');
const committed = resolve(folder, 'program-text.ts');

const { outputFiles } = await build({
  entryPoints: [resolve(folder, 'program.ts')],
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minify: true,
  write: false,
  logLevel: 'warning',
});
const fresh = await format(
  '/** Generated from program.ts by scripts/generate-thread.mjs: do not edit. */\n' +
    `export const program = ${JSON.stringify(outputFiles[0].text.trim())};\n`,
  { ...(await resolveConfig(committed)), filepath: committed },
);

if (!process.argv.includes('--check')) writeFileSync(committed, fresh);
else if (fresh !== readFileSync(committed, 'utf8')) {
  console.error(`${committed} is not what program.ts says\nRun: node scripts/generate-thread.mjs`);
  process.exitCode = 1;
}
