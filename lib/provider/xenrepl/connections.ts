import type { Pool } from '../../xapi';
import type { PoolsFile } from '../../pools';
import type { Log } from '../plugin/log';
import type * as engineSide from './engine-side';

/** The heavy modules, loaded late; tests may hand in others. */
export type EngineSide = typeof engineSide;

/** A pool is not there, or not able to answer now: what a disaster looks like from here. */
export class UnreachableError extends Error {
  readonly poolName: string;

  constructor(poolName: string, cause: Error) {
    super(`Pool "${poolName}" is unreachable: ${cause.message}`);
    this.name = 'UnreachableError';
    this.poolName = poolName;
  }
}

const connectWithinMs = 15_000;
/** A pool that did not answer is not asked again for each of its jobs, but is after a while: applies can be long. */
const failureCountsForMs = 20_000;

interface Connection {
  readonly pool: Promise<Pool>;
  failedAtMs: number | null;
}

/** Sessions with the pools of one pools file, opened when first needed and shared by all operations of the process. */
export class Connections {
  readonly #engine: EngineSide;
  readonly #file: PoolsFile;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #open = new Map<string, Connection>();
  readonly #warnings: string[] = [];

  constructor(engine: EngineSide, file: PoolsFile, log: Log, now: () => number) {
    this.#engine = engine;
    this.#file = file;
    this.#log = log;
    this.#now = now;
  }

  /** True where the pools file names the pool. */
  knows(poolName: string): boolean {
    return this.#file.pools.has(poolName);
  }

  /** Names of the pools file, for messages. */
  get poolNames(): readonly string[] {
    return [...this.#file.pools.keys()];
  }

  /**
   * Works with a pool.
   *
   * @throws UnreachableError where the pool does not answer, or says that it cannot now; everything else as it comes.
   */
  async use<Result>(
    poolName: string,
    signal: AbortSignal,
    work: (pool: Pool) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work(await this.#connect(poolName, signal));
    } catch (failure) {
      // Work with one pool may fail on another: that one is told by its own caller.
      if (!this.#isUnreachable(failure) || failure.poolName !== poolName) throw failure;
      throw new UnreachableError(poolName, failure);
    }
  }

  /** What connections warned of (nothing verified, say) since the last call. */
  takeWarnings(): readonly string[] {
    return this.#warnings.splice(0);
  }

  /** Logs out everywhere; a pool that does not answer is left alone. */
  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    const pools = await Promise.allSettled(open.map(({ pool }) => pool));
    await Promise.allSettled(
      pools.flatMap((settled) => (settled.status === 'fulfilled' ? [settled.value.disconnect()] : [])),
    );
  }

  #connect(poolName: string, signal: AbortSignal): Promise<Pool> {
    const known = this.#open.get(poolName);
    if (known !== undefined && !this.#isStale(known)) return known.pool;
    const connection: Connection = { pool: this.#dial(poolName, signal), failedAtMs: null };
    this.#open.set(poolName, connection);
    connection.pool.catch(() => {
      connection.failedAtMs = this.#now();
    });
    return connection.pool;
  }

  #isStale({ failedAtMs }: Connection): boolean {
    return failedAtMs !== null && this.#now() - failedAtMs > failureCountsForMs;
  }

  async #dial(poolName: string, signal: AbortSignal): Promise<Pool> {
    const startedAtMs = this.#now();
    const pool = await this.#engine.Pool.connect(this.#engine.endpoint(this.#file, poolName), {
      signal,
      timeoutMs: connectWithinMs,
      onWarning: (text) => this.#warnings.push(text),
      onCall: (method, durationMs) =>
        this.#log('debug', 'call', { pool: poolName, method, ms: Math.round(durationMs) }),
    });
    this.#log('info', 'connected', { pool: poolName, ms: Math.round(this.#now() - startedAtMs) });
    return pool;
  }

  /** Refused credentials, a wrong certificate, a missing permission: those are answers, not silence. */
  #isUnreachable(failure: unknown): failure is Error & { readonly poolName: string } {
    if (failure instanceof this.#engine.TransportError) {
      return failure.kind === 'timeout' || failure.kind === 'connection';
    }
    return failure instanceof this.#engine.XapiError && deadHostCodes.has(failure.code);
  }
}

const deadHostCodes = new Set([
  'CANNOT_CONTACT_HOST',
  'HOST_IN_EMERGENCY_MODE',
  'HOST_NOT_LIVE',
  'HOST_OFFLINE',
  'HOST_STILL_BOOTING',
]);
