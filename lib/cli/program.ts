/** From arguments to exit code. The commands themselves load when they are called, so that `--help` is quick. */
import { CommanderError } from 'commander';
import type { LongCommand } from './command';
import type { Doors } from './doors';
import { exitCodes } from './exit-codes';
import { CliError, failureLines, failureOf, stackLines, titled } from './failure';
import { Interruption } from './interruption';
import type { Io } from './io';
import { Output } from './output/output';
import { refuseSecrets } from './refusals';
import { buildProgram } from './syntax';

/** Never throws: what goes wrong is printed, and told by the exit code. */
export async function runProgram(argv: readonly string[], io: Io, doors: Doors): Promise<number> {
  const err = new Output(io.stderr, () => undefined);
  const interruption = new Interruption(io, () =>
    err.line('stopping, after cleaning up; a second time stops at once, and the next run cleans up'),
  );
  const unwritten: Error[] = [];
  const out = new Output(io.stdout, (error) => {
    // EIO is what a terminal gives that was closed.
    if (error.code !== 'EPIPE' && error.code !== 'EIO') unwritten.push(error);
    interruption.readerLeft();
  });
  const flags = { json: argv.includes('--json'), debug: argv.includes('--debug') };
  const code = await perform(argv, { io, doors, out, err, interruption, ...flags });
  interruption.release();
  await out.flushed();
  if (unwritten[0] !== undefined) err.lines(failureLines(cannotWrite(unwritten[0])));
  await err.flushed();
  return unwritten.length > 0 ? exitCodes.failed : (interruption.exitCode ?? code);
}

interface Call {
  readonly io: Io;
  readonly doors: Doors;
  readonly out: Output;
  readonly err: Output;
  readonly interruption: Interruption;
  readonly json: boolean;
  readonly debug: boolean;
}

async function perform(argv: readonly string[], call: Call): Promise<number> {
  const { io, doors, out, err, interruption, json } = call;
  let code: number = exitCodes.ok;
  try {
    refuseSecrets(argv);
    const program = buildProgram({
      writeOut: (text) => out.line(text.trimEnd()),
      writeErr: (text) => err.line(text.trimEnd()),
      perform: async (load, { poolsFile }) => {
        const command: LongCommand = {
          io,
          out,
          err,
          json,
          poolsFile,
          signal: interruption.signal,
          doors,
          onHangUp: (handler) => interruption.onHangUp(handler),
          stopIsExpected: () => interruption.expect(),
          warn: (text) => err.lines(titled('warning', text)),
          note: (text) => err.lines(titled('note', text)),
        };
        code = await (await load())(command);
      },
    });
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    return failed(error, call);
  }
}

function failed(error: unknown, call: Call): number {
  const { out, err, interruption, json, debug } = call;
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.ok : failed(usageError(error), call);
  }
  // What an interruption tears down fails in many ways, none of which is news.
  const failure =
    interruption.exitCode === null
      ? failureOf(error)
      : { code: 'cancelled', message: 'Stopped before the end', hint: '', exitCode: interruption.exitCode };
  if (json) out.line(JSON.stringify({ kind: 'error', ...failure }));
  else err.lines(failureLines(failure));
  if (debug) err.lines(stackLines(error));
  return failure.exitCode;
}

function usageError(error: CommanderError): CliError {
  if (error.code === 'commander.help') {
    return new CliError('usage', 'No command was given', 'xenrepl --help lists them', exitCodes.usage);
  }
  const [message = '', ...hints] = error.message.replace(/^error: /, '').split('\n');
  const hint = [...hints, 'add --help to the command for its options and examples'].join(' ');
  return new CliError('usage', message, hint, exitCodes.usage);
}

function cannotWrite(error: Error): CliError {
  return new CliError(
    'output-lost',
    `Cannot write to standard output: ${error.message}`,
    'the command was stopped, since its result could not be told',
  );
}
