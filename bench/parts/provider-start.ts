/** How long Terraform waits for the provider, on each of its commands. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Part } from '../bench';
import type { Figure } from '../measure';

export const providerStart: Part = { name: 'provider start', measure };

interface Measured {
  readonly bareMs: readonly number[];
  readonly providerMs: readonly number[];
}

async function measure({ processes, quick }: Bench): Promise<readonly Figure[]> {
  const root = join(__dirname, '..', '..', '..');
  const script = join(root, 'scripts', 'measure-provider-start.mjs');
  if (!existsSync(script)) throw new Error(`${script} is not there: this part runs in a checkout only`);
  const bundle = join(root, 'dist', 'bundle', 'provider.cjs');
  const args = [script, '--json', '--runs', quick ? '5' : '21', bundle];
  const { code, stdout, stderr } = await processes.run(process.execPath, args);
  if (code !== 0) throw new Error(`${script} ended with ${String(code)}: ${stderr}`);
  const { bareMs, providerMs } = JSON.parse(stdout) as Measured;
  return [
    {
      name: 'provider: spawn to handshake',
      unit: 'ms',
      ours: providerMs,
      peer: { what: 'node -e 0', values: bareMs },
      atMost: 2.5,
    },
  ];
}
