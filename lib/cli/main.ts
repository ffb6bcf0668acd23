/** The program `xenrepl`: everything about it stands in program.ts; here it only meets the process. */
import { processIo } from './io';
import { runProgram } from './program';

async function main(): Promise<void> {
  // Node's own warnings are for those who write programs; in the middle of a bar they only tear it.
  if (!process.argv.includes('--debug')) process.removeAllListeners('warning');
  const io = processIo(__dirname);
  const code = await runProgram(process.argv.slice(2), io);
  // Sockets to a pool that stopped answering in the middle of a logout must not keep a finished program alive.
  io.exit(code);
}

void main();
