import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { answer } from '../command';
import type { Command } from '../command';
import { exitCodes } from '../exit-codes';
import { CliError } from '../failure';
import { systemdUnit } from '../systemd-unit';

export interface InstallOptions {
  /** File to write the unit to; null: print it. */
  readonly output: string | null;
  readonly node: string;
  /** Pools file and files that it names, by the names that the service gets them under. */
  readonly poolsFile: string;
  readonly credentials: readonly string[];
  readonly config: string | null;
  readonly listen: string | null;
}

/** Writes a unit, and tells the commands that are left: what needs root is done by whoever is root. */
export function installAgent(command: Command, options: InstallOptions): Promise<number> {
  const { io, note } = command;
  const unit = systemdUnit({
    ...options,
    program: programPath(io.programFolder),
    poolsFile: resolve(io.cwd, options.poolsFile),
    credentials: options.credentials.map((path) => resolve(io.cwd, path)),
    config: options.config === null ? null : resolve(io.cwd, options.config),
  });
  if (options.output === null) {
    answer(command, { unit }, () => unit.trimEnd().split('\n'));
  } else {
    const file = resolve(io.cwd, options.output);
    writeFileSync(file, unit, { mode: 0o644 });
    answer(command, { unit, file }, () => [`wrote ${file}`]);
  }
  note('next, as root: systemctl daemon-reload && systemctl enable --now xenrepl-agent');
  return Promise.resolve(exitCodes.ok);
}

function programPath(folder: string): string {
  const file = join(folder, 'xenrepl.cjs');
  if (existsSync(file)) return file;
  throw new CliError(
    'no-program',
    `Cannot write a unit: xenrepl.cjs is not in ${folder}`,
    'run the xenrepl of the npm package cdktf-xen-replication (npx xenrepl agent install --systemd)',
  );
}
