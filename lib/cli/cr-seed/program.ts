/**
 * `xo-cr-seed`, argument for argument as the tool that this name stands for, with what that one leaves out: it compares
 * before it writes, writes what today's engines look for, and takes everything back where something fails.
 */
import { parseArgs } from 'node:util';
import { isJobId } from '../../planner/job-keys';
import type { Command } from '../command';
import { exitCodes } from '../exit-codes';
import { CliError, failureLines, failureOf } from '../failure';
import { Interruption } from '../interruption';
import type { Io } from '../io';
import { Output } from '../output/output';
import { printable } from '../output/text';
import { version } from '../version';
import { crSeed } from './attach';
import type { CrSeedOptions } from './attach';
import { endpointFor, knownPools, parseXapiUrl } from './url';

const usage = `Usage: xo-cr-seed <source XAPI URL> <source snapshot UUID> <target XAPI URL> <target VM UUID> <backup job id> <backup schedule id>

Makes a VM that was imported from an export of the snapshot the replica of the job, so that its next run sends a delta.

A URL is https://user:password@host[:port]. Every user of this machine can read a password there: without user and
password they are taken from the pools file, which also says whose certificates to trust (xenrepl --help).

Options:
  --verify <how>  compare the content: none, sampled (the first 256 MiB of data of each disk; default) or full
  --repair        compare all of it, and send the blocks that differ
  --insecure      do not verify certificates (also: XENREPL_INSECURE=1)
  --json          one JSON value per line
  -v, --version   print the version
  -h, --help      print this`;

/** Never throws: what goes wrong is printed, and told by the exit code. */
export async function runCrSeed(argv: readonly string[], io: Io): Promise<number> {
  const err = new Output(io.stderr, () => undefined);
  const interruption = new Interruption(io, () => err.line('stopping, after taking back what was written'));
  const out = new Output(io.stdout, () => interruption.readerLeft());
  const json = argv.includes('--json');
  let code: number;
  try {
    code = await perform(argv, { io, out, err, json, signal: interruption.signal });
  } catch (error) {
    const failure = failureOf(error);
    code = interruption.exitCode ?? failure.exitCode;
    if (json) out.line(JSON.stringify({ kind: 'error', ...failure, exitCode: code }));
    else err.lines(failureLines(failure));
  }
  interruption.release();
  await out.flushed();
  await err.flushed();
  return code;
}

type Call = Pick<Command, 'io' | 'out' | 'err' | 'json' | 'signal'>;

async function perform(argv: readonly string[], call: Call): Promise<number> {
  const { out, err } = call;
  const read = readArguments(argv);
  if (read.help) {
    out.lines(usage.split('\n'));
    return exitCodes.ok;
  }
  if (read.version) {
    out.line(version);
    return exitCodes.ok;
  }
  const command: Command = {
    ...call,
    poolsFile: undefined,
    stopIsExpected: () => undefined,
    warn: (text) => err.line(`warning: ${printable(text)}`),
    note: (text) => err.line(`note: ${printable(text)}`),
  };
  return crSeed(command, optionsOf(read, command));
}

interface Arguments {
  readonly help: boolean;
  readonly version: boolean;
  readonly insecure: boolean;
  readonly repair: boolean;
  readonly verify: string;
  readonly positionals: readonly string[];
}

function readArguments(argv: readonly string[]): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
        insecure: { type: 'boolean' },
        repair: { type: 'boolean' },
        json: { type: 'boolean' },
        verify: { type: 'string', default: 'sampled' },
      },
    });
    return {
      help: values.help === true || argv.length === 0,
      version: values.version === true,
      insecure: values.insecure === true,
      repair: values.repair === true,
      verify: values.verify,
      positionals,
    };
  } catch {
    // Its message would repeat the argument, which may be a URL with a password.
    throw wrong('There is an option that is not known here');
  }
}

function optionsOf(read: Arguments, { io, warn }: Command): CrSeedOptions {
  const [sourceUrl, snapshot, targetUrl, targetVm, jobId, scheduleId, ...more] = read.positionals;
  if (
    sourceUrl === undefined ||
    snapshot === undefined ||
    targetUrl === undefined ||
    targetVm === undefined ||
    jobId === undefined ||
    scheduleId === undefined ||
    more.length > 0
  ) {
    throw wrong(`Expected six arguments, got ${String(read.positionals.length)}`);
  }
  const { verify } = read;
  if (verify !== 'none' && verify !== 'sampled' && verify !== 'full') {
    throw wrong('--verify is none of none, sampled, full');
  }
  if (!isUuid(snapshot)) throw wrong('The source snapshot is not named by a uuid');
  if (!isUuid(targetVm)) throw wrong('The target VM is not named by a uuid');
  if (!isJobId(jobId)) throw wrong('The job id is none: at most 64 letters, digits, ".", "_" and "-"');
  if (scheduleId === '') throw wrong('The schedule id is empty');
  const [source, target] = [parseXapiUrl(sourceUrl, 'source'), parseXapiUrl(targetUrl, 'target')];
  if (source.password !== null || target.password !== null) {
    warn(
      'a password in the command line can be read by every user of this machine, and the shell keeps it: ' +
        'leave it out of the URL and add the pool to the pools file',
    );
  }
  const environment = io.env['XENREPL_INSECURE'] ?? '';
  const insecure = read.insecure || ['1', 'true', 'yes'].includes(environment.toLowerCase());
  const trusting = { pools: knownPools(io), insecure };
  return {
    source: endpointFor(source, 'source', trusting),
    snapshot: snapshot.toLowerCase(),
    target: endpointFor(target, 'target', trusting),
    targetVm: targetVm.toLowerCase(),
    jobId,
    scheduleId,
    verify,
    repair: read.repair,
  };
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

function wrong(message: string): CliError {
  return new CliError('usage', message, 'xo-cr-seed -h tells which', exitCodes.usage);
}
