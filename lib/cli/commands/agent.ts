import { resolve } from 'node:path';
import { stateFolder } from '../../schedule';
import { cacheDirOf } from '../cache-dir';
import type { Command, LongCommand } from '../command';
import { poolsFilePath } from '../connections';
import type { LogLevel } from '../doors';
import { exitCodes } from '../exit-codes';
import { version } from '../version';

export interface AgentOptions {
  readonly config: string | null;
  readonly listen: string | null;
  readonly logLevel: LogLevel;
  readonly state: string | null;
  readonly cacheDir: string | null;
}

/** Keeps the schedules of all jobs until somebody stops it, which is how this is meant to end. */
export async function agent(command: LongCommand, options: AgentOptions): Promise<number> {
  const { io, out, signal } = command;
  command.stopIsExpected();
  const run = await command.doors.agent();
  await run({
    poolsFile: poolsFilePath(command),
    stateFolder: stateFolderOf(command, options.state),
    cacheDir: cacheDirOf(command, options.cacheDir),
    configFile: options.config === null ? null : resolve(io.cwd, options.config),
    listen: options.listen,
    logLevel: options.logLevel,
    env: io.env,
    who: io.who.replace(/^xenrepl /, 'xenrepl agent '),
    version,
    write: (line) => out.line(line.trimEnd()),
    signal,
    onReload: (handler) => command.onHangUp(handler),
  });
  return exitCodes.ok;
}

/** Where an agent that was started here keeps its history: `status` reads it, too. */
export function stateFolderOf({ io }: Command, named: string | null): string {
  return named === null ? stateFolder(io.env, io.home) : resolve(io.cwd, named);
}
