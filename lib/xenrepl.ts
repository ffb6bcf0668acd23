/**
 * The program `xenrepl`: everything about it stands in cli/program.ts; here it only meets the process, and the doors that
 * may not know each other.
 */
import { processIo } from './cli/io';
import { runProgram } from './cli/program';

async function main(): Promise<void> {
  // Node's own warnings are for those who write programs; in the middle of a bar they only tear it.
  if (!process.argv.includes('--debug')) process.removeAllListeners('warning');
  const io = processIo(__dirname);
  const code = await runProgram(process.argv.slice(2), io, {
    agent: async () => (await import('./agent/main.js')).runAgent,
  });
  // Sockets to a pool that stopped answering in the middle of a logout must not keep a finished program alive.
  io.exit(code);
}

void main();
