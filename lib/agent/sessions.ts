/** Connections to pools, shared by whoever needs one, and left when nobody does or when they broke. */
import { endpoint } from '../pools';
import type { PoolsFile } from '../pools';
import { Pool, TransportError, XapiError } from '../xapi';
import type { PoolEndpoint } from '../xapi';

export interface Lease extends AsyncDisposable {
  readonly pool: Pool;
  /** Whoever asks next gets a new connection; who still uses this one keeps it. */
  markBroken(): void;
}

interface Entry {
  readonly endpoint: PoolEndpoint;
  readonly pool: Promise<Pool>;
  users: number;
  retired: boolean;
}

export type OnWarning = (poolName: string, text: string) => void;

/** A silent host must not be waited for as long as a person at a terminal would. */
const connectWithinMs = 15_000;

export class Sessions {
  #file: PoolsFile;
  readonly #onWarning: OnWarning;
  readonly #entries = new Map<string, Entry>();
  readonly #leaving = new Set<Promise<void>>();

  constructor(file: PoolsFile, onWarning: OnWarning) {
    this.#file = file;
    this.#onWarning = onWarning;
  }

  get file(): PoolsFile {
    return this.#file;
  }

  /** Follows a pools file that was read anew: all connect again, since any password or certificate may have changed. */
  use(file: PoolsFile): void {
    this.#file = file;
    for (const [name, entry] of this.#entries) this.#retire(name, entry);
  }

  async lease(name: string, signal: AbortSignal): Promise<Lease> {
    const entry = this.#entries.get(name) ?? this.#dial(name);
    entry.users += 1;
    try {
      const pool = await untilAborted(entry.pool, signal);
      return this.#leaseOf(name, entry, pool);
    } catch (error) {
      this.#leave(entry);
      throw error;
    }
  }

  /** Ends every connection, also those in use. */
  async close(): Promise<void> {
    for (const [name, entry] of this.#entries) {
      entry.users = 0;
      this.#retire(name, entry);
    }
    await Promise.all(this.#leaving);
  }

  #dial(name: string): Entry {
    const found = endpoint(this.#file, name);
    const pool = Pool.connect(found, {
      timeoutMs: connectWithinMs,
      onWarning: (text) => this.#onWarning(name, text),
    });
    const entry: Entry = { endpoint: found, pool, users: 0, retired: false };
    this.#entries.set(name, entry);
    // Those who wait are told by their own await; the next one tries anew.
    pool.catch(() => this.#retire(name, entry));
    return entry;
  }

  #leaseOf(name: string, entry: Entry, pool: Pool): Lease {
    let left = false;
    return {
      pool,
      markBroken: () => this.#retire(name, entry),
      [Symbol.asyncDispose]: () => {
        if (!left) this.#leave(entry);
        left = true;
        return Promise.resolve();
      },
    };
  }

  #retire(name: string, entry: Entry): void {
    if (this.#entries.get(name) === entry) this.#entries.delete(name);
    entry.retired = true;
    if (entry.users <= 0) this.#disconnect(entry);
  }

  #leave(entry: Entry): void {
    entry.users -= 1;
    if (entry.retired && entry.users === 0) this.#disconnect(entry);
  }

  #disconnect(entry: Entry): void {
    const leaving = entry.pool
      .then((pool) => pool.disconnect())
      // A pool that is gone cannot be logged out of; it forgets sessions by itself.
      .catch(() => undefined);
    this.#leaving.add(leaving);
    void leaving.finally(() => this.#leaving.delete(leaving));
  }
}

/** Whether the connection is of no more use: the pool may be, once it is connected to anew. */
export function breaksConnection(error: unknown): boolean {
  return error instanceof TransportError || (error instanceof XapiError && error.code === 'SESSION_INVALID');
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
