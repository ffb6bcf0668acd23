/** Where runs of this machine keep what makes later deltas smaller: one answer for every command that runs jobs. */
import { resolve } from 'node:path';
import { defaultCacheDir } from '../engine';
import type { Command } from './command';

/** @param named as the option says it, from the working directory; null: where the environment says */
export function cacheDirOf({ io }: Pick<Command, 'io'>, named: string | null): string {
  return named === null ? defaultCacheDir(io.env, io.home) : resolve(io.cwd, named);
}
