import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { checkSpec, startSimulator } from '../../simulator';
import type { SimulatedPool, Simulator, SimulatorSpec } from '../../simulator';
import type { Command } from '../command';
import { exitCodes } from '../exit-codes';
import { CliError, failureOf, messageOf } from '../failure';

export interface SimulateOptions {
  /** YAML file with the pools. */
  readonly spec: string;
  /** Null: a temporary folder, removed at the end. */
  readonly state: string | null;
  readonly writePoolsFile: string | null;
}

/** Simulated pools until somebody stops them, which is how this is meant to end. */
export async function simulate(command: Command, options: SimulateOptions): Promise<number> {
  const { io, out, signal } = command;
  command.stopIsExpected();
  const spec = readSpec(resolve(io.cwd, options.spec));
  const state = options.state === null ? {} : { stateDir: resolve(io.cwd, options.state) };
  await using simulator = await startSimulator(spec, state);
  if (options.writePoolsFile !== null) writePoolsFile(resolve(io.cwd, options.writePoolsFile), simulator);
  // One line of JSON with or without --json: whoever starts simulated pools from a script reads it.
  out.line(JSON.stringify(readyLine(simulator)));
  await stopped(signal);
  return exitCodes.ok;
}

function readSpec(path: string): SimulatorSpec {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliError('spec', `Cannot read the specification ${path}: ${messageOf(error)}`, specHint);
  }
  try {
    return withPathsFrom(dirname(path), checkSpec(parse(text)));
  } catch (error) {
    throw new CliError('spec', `Cannot use the specification ${path}: ${messageOf(error)}`, specHint);
  }
}

const specHint = 'xenrepl simulate --help shows the form';

/** A content file stands beside the specification that names it, wherever the command is called from. */
function withPathsFrom(folder: string, spec: SimulatorSpec): SimulatorSpec {
  const pools = spec.pools.map((pool) => ({
    ...pool,
    vms: pool.vms.map((vm) => ({
      ...vm,
      disks: vm.disks.map((disk) =>
        disk.contentFile === undefined ? disk : { ...disk, contentFile: resolve(folder, disk.contentFile) },
      ),
    })),
  }));
  return { ...spec, pools };
}

function readyLine({ pools, controlUrl }: Simulator): unknown {
  return {
    kind: 'ready',
    controlUrl,
    pools: [...pools.values()].map(({ name, url, username, hosts }) => ({
      name,
      url,
      username,
      hosts: hosts.map((host) => ({ name: host.name, url: host.url, fingerprint: host.fingerprint })),
    })),
  };
}

const mark = '# Written by xenrepl simulate for simulated pools; written anew each time.\n';

/** @throws CliError rather than to overwrite a pools file that somebody wrote, which may be the only copy of it */
function writePoolsFile(path: string, { pools }: Simulator): void {
  const text = mark + stringify({ pools: Object.fromEntries([...pools.values()].map(poolEntry)) });
  if (existing(path)?.startsWith(mark) === false) {
    throw new CliError(
      'pools-file-exists',
      `Did not write ${path}: there is a file that was not written by xenrepl simulate`,
      'name another file',
    );
  }
  writeFileSync(path, text, { mode: 0o600 });
}

function poolEntry({ name, url, username, password, hosts }: SimulatedPool): [string, unknown] {
  return [name, { url, username, password, fingerprints: hosts.map(({ fingerprint }) => fingerprint) }];
}

function existing(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (failureOf(error).code === 'ENOENT') return null;
    throw error;
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
