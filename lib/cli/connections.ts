/** Pools of one command: found in the pools file, connected when needed, left at the end whatever happens. */
import { resolve } from 'node:path';
import type { JobDefinition } from '../planner/job';
import { endpoint, findPoolsFile, findSource, loadPoolsFile } from '../pools';
import type { PoolsFile } from '../pools';
import { Pool } from '../xapi';
import type { Command } from './command';
import { CliError, failureOf } from './failure';

export class Connections implements AsyncDisposable {
  readonly #file: PoolsFile;
  readonly #command: Command;
  readonly #pools: Pool[] = [];

  private constructor(file: PoolsFile, command: Command) {
    this.#file = file;
    this.#command = command;
  }

  /** @throws where there is no pools file, or one that others may read, or one that says nonsense */
  static open(command: Command): Connections {
    return new Connections(loadPoolsFile(poolsFilePath(command), command.io.env), command);
  }

  /** The pool of this name in the pools file. */
  async named(name: string): Promise<Pool> {
    const pool = await Pool.connect(endpoint(this.#file, name), {
      signal: this.#command.signal,
      onWarning: this.#command.warn,
    });
    this.#pools.push(pool);
    return pool;
  }

  /** The source pool of a job, by its uuid where that is known, whatever the pools file calls it. */
  async source(job: JobDefinition): Promise<Pool> {
    const found = await findSource(job.source, {
      names: [...this.#file.pools.keys()],
      connect: (name) => this.named(name),
      signal: this.#command.signal,
    });
    if (found.kind === 'not-found') {
      const silent = found.silent.map(({ name, error }) => `"${name}" (${failureOf(error).message})`);
      throw sourceNotFound(this.#file.path, job, found.namesake, silent);
    }
    const { poolName, poolUuid } = job.source;
    if (found.pool.name !== poolName) {
      this.#command.note(
        `job "${job.name}" calls its source pool "${poolName}"; by its uuid ${poolUuid ?? ''} it is "${found.pool.name}" in ${this.#file.path}`,
      );
    }
    return found.pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.disconnect()));
  }
}

function sourceNotFound(
  path: string,
  job: JobDefinition,
  named: Pool | null,
  silent: readonly string[],
): CliError {
  const { poolName, poolUuid } = job.source;
  const found =
    named === null
      ? `${path} has no pool "${poolName}"`
      : `pool "${poolName}" of ${path} is another one: its uuid is ${named.uuid}`;
  const unasked = silent.length === 0 ? '' : `; not reached: ${silent.join(', ')}`;
  return new CliError(
    'source-not-found',
    `Cannot find the source pool of job "${job.name}": it is "${poolName}" with uuid ${poolUuid ?? 'unknown'}, but ${found}, ` +
      `and no other pool of that file has that uuid${unasked}`,
    `correct or add the entry "${poolName}" in the pools file`,
  );
}

export function poolsFilePath({ io, poolsFile }: Command): string {
  if (poolsFile !== undefined) return resolve(io.cwd, poolsFile);
  const path = findPoolsFile({ cwd: io.cwd, env: io.env, home: io.home });
  if (path !== null) return path;
  throw new CliError(
    'no-pools-file',
    'Cannot find a pools file: XENREPL_POOLS_FILE is not set, there is no xenrepl.yaml here or in a folder above, ' +
      'and no ~/.config/xenrepl/pools.yaml',
    'write one (xenrepl --help shows its form) or name it with --pools-file',
  );
}
