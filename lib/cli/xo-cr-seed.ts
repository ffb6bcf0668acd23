/** The program `xo-cr-seed`: everything about it stands in cr-seed/; here it only meets the process. */
import { runCrSeed } from './cr-seed/program';
import { processIo } from './io';

async function main(): Promise<void> {
  const io = processIo(__dirname);
  const code = await runCrSeed(process.argv.slice(2), io);
  // Sockets to a pool that stopped answering in the middle of a logout must not keep a finished program alive.
  io.exit(code);
}

void main();
