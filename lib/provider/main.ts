import { createLog } from './plugin/log';
import { runPlugin } from './plugin/process';
import { nullProvider } from './null/provider';
import { surroundings, xenreplProvider } from './xenrepl/provider';

/**
 * The program that Terraform starts as its provider. `--serve null` stands in for hashicorp/null at sites that
 * cannot fetch it; the launcher passes it.
 */
function main(): Promise<void> {
  const log = createLog('xenrepl', process.env, (line) => process.stderr.write(line));
  const servesNull = process.argv[process.argv.indexOf('--serve') + 1] === 'null';
  return servesNull
    ? runPlugin(nullProvider, log)
    : runPlugin(xenreplProvider(surroundings(log, () => import('./xenrepl/engine-side.js'))), log);
}

void main();
