// Plays the fault table: every interruption that we know, each followed by one more run and a look at both pools.
//   npm run test:faults -- [--only TEXT] [--choose N] [--seed S] [--players N]
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'xenrepl-faults-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
await build({
  entryPoints: ['test/faults/main.ts', 'test/faults/victim.ts'],
  outdir: folder,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
});
const program = [join(folder, 'main.cjs'), join(folder, 'victim.cjs'), ...process.argv.slice(2)];
const child = spawn(process.execPath, program, { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.once('exit', (code) => process.exit(code ?? 1));
