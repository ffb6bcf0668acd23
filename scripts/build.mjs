// Builds what is published: CommonJS with types in dist/, and two self-contained bundles that need nothing but node:
// the provider (started by Terraform on every command, so it must load little) and the CLI.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { bundleProvider } from './bundle-provider.mjs';

const require = createRequire(import.meta.url);
const tsc = require.resolve('typescript/bin/tsc');

// Built beside and put in place at the end: a build that fails leaves the last good one, and nobody meets half of one.
const next = 'dist.next';
rmSync(next, { recursive: true, force: true });
const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', next], {
  stdio: 'inherit',
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

await bundleProvider(`${next}/bundle/provider.cjs`);

const bundles = [
  { entry: 'lib/xenrepl.ts', outfile: `${next}/bundle/xenrepl.cjs` },
  { entry: 'lib/cli/xo-cr-seed.ts', outfile: `${next}/bundle/xo-cr-seed.cjs` },
].filter(({ entry }) => existsSync(entry));

for (const { entry, outfile } of bundles) {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minify: true,
    keepNames: true,
    legalComments: 'external',
    // xen-api brings it along for proxy configurations in JavaScript, loaded on use only; we give xen-api a transport of
    // our own, and a third of the bundle would be a JavaScript engine.
    external: ['pac-proxy-agent'],
    banner: { js: '#!/usr/bin/env node' },
    logLevel: 'warning',
  });
  chmodSync(outfile, 0o755);
}

rmSync('dist', { recursive: true, force: true });
renameSync(next, 'dist');
