import type { Pool } from '../xapi';

export interface WantedPool {
  readonly poolName: string;
  readonly poolUuid: string | null;
}

export interface SourceSearch {
  readonly names: readonly string[];
  /** Connects to the pool of this name in the pools file. */
  readonly connect: (name: string) => Promise<Pool>;
  readonly signal: AbortSignal;
}

export type FoundSource =
  | { readonly kind: 'found'; readonly pool: Pool }
  | {
      readonly kind: 'not-found';
      /** The pool that bears the name and is another one; null where no pool bears it. */
      readonly namesake: Pool | null;
      /** Pools that could not be asked for their uuid. */
      readonly silent: readonly { readonly name: string; readonly error: unknown }[];
    };

/**
 * The source pool of a job. Names in a pools file belong to whoever wrote it; the uuid in the definition belongs to the
 * pool, so it decides: a file that calls the pool by another name is understood, and one that gives the name to another
 * pool is not believed.
 * @throws whatever connecting to the pool of that name throws
 */
export async function findSource(wanted: WantedPool, search: SourceSearch): Promise<FoundSource> {
  const { poolName, poolUuid } = wanted;
  const known = search.names.includes(poolName);
  // Where nothing but the name is known, a name that is not in the file fails with the names that are.
  if (poolUuid === null) return { kind: 'found', pool: await search.connect(poolName) };
  const namesake = known ? await search.connect(poolName) : null;
  if (namesake !== null && sameUuid(namesake.uuid, poolUuid)) return { kind: 'found', pool: namesake };
  const silent: { name: string; error: unknown }[] = [];
  for (const name of search.names.filter((one) => one !== poolName)) {
    const pool = await search.connect(name).catch((error: unknown) => {
      search.signal.throwIfAborted();
      silent.push({ name, error });
      return null;
    });
    if (pool !== null && sameUuid(pool.uuid, poolUuid)) return { kind: 'found', pool };
  }
  return { kind: 'not-found', namesake, silent };
}

function sameUuid(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}
