import { createLog } from './plugin/log';
import { runPlugin } from './plugin/process';
import { nullProvider } from './null/provider';

/**
 * The program that Terraform starts as its provider. `--serve null` stands in for hashicorp/null at sites that
 * cannot fetch it; the launcher passes it.
 */
async function main(): Promise<void> {
  const served = process.argv[process.argv.indexOf('--serve') + 1];
  const log = createLog('xenrepl', process.env, (line) => process.stderr.write(line));
  await (served === 'null' ? runPlugin(nullProvider, log) : runPlugin(nullProvider, log));
}

void main();
