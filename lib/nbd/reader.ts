/** Reads parts of one export in order, over several connections, with a bound on what is under way. */
import { NbdConnection } from './connection';
import { NbdError } from './errors';
import { whereOf } from './open';
import type { NbdServer, NbdTimings } from './open';
import type { NbdReach } from './reach';

/** Both numbers are multiples of 512. */
export interface NbdRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface NbdPiece {
  readonly offsetBytes: number;
  readonly data: Buffer;
}

export interface NbdReaderOptions {
  /**
   * Asked before every connection: sessions end, and hosts come and go. Where there are several, connections go round: each
   * must be one that may be expected to answer.
   */
  readonly servers: () => Promise<readonly NbdServer[]>;
  /** At most so many connections; fewer where the server has no room for more. */
  readonly connections: number;
  /** Asked for and not yet taken by the consumer: the bound on memory. */
  readonly windowBytes: number;
  readonly requestBytesMax: number;
  /** Failures one after another, without a single reply in between, after which it is given up. */
  readonly failuresMax: number;
  /** The same before the first connection: a server that never answered will hardly do so after a pause. */
  readonly openFailuresMax: number;
  readonly retryDelayMs: number;
  readonly timings: NbdTimings;
  /** Told which servers were reached and which were not. */
  readonly reach: NbdReach;
  readonly signal: AbortSignal;
}

const goodbyeMaxMs = 5_000;
/** Asking a host again that has no room for another connection costs it, and its pool, a call each time. */
const widenPauseMaxMs = 60_000;

export class NbdReader {
  readonly #options: NbdReaderOptions;
  readonly #stop = new AbortController();
  readonly #open = new Set<NbdConnection>();
  #opening: Promise<NbdConnection> | null = null;
  #opened = 0;
  /** Connections being made, or waiting to be made. */
  #coming = 0;
  #widenedMs = -Infinity;
  #widenPauseMs: number;
  #failures = 0;
  #sizeBytes = 0;
  /** Bytes of data that came over the wire. */
  bytesRead = 0;

  private constructor(options: NbdReaderOptions) {
    this.#options = options;
    this.#widenPauseMs = options.retryDelayMs;
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal.aborted) this.#onAbort();
  }

  /** @throws NbdError where not a single connection comes about within the bound of failures */
  static async open(options: NbdReaderOptions): Promise<NbdReader> {
    const reader = new NbdReader(options);
    try {
      reader.#sizeBytes = (await reader.#connection()).sizeBytes;
      return reader;
    } catch (error) {
      reader.abort();
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Yields everything in the given order, cut into requests. At most the window is under way: a slow consumer stops the
   * server. Stopping early closes every connection.
   */
  async *read(ranges: Iterable<NbdRange>): AsyncIterable<NbdPiece> {
    const { windowBytes, requestBytesMax } = this.#options;
    const depth = Math.max(1, Math.floor(windowBytes / requestBytesMax));
    const underWay: Promise<NbdPiece>[] = [];
    let complete = false;
    try {
      for (const range of cut(ranges, requestBytesMax)) {
        const piece = this.#readOne(range);
        piece.catch(() => undefined);
        underWay.push(piece);
        if (underWay.length > 1) this.#widen();
        const first = underWay.length < depth ? undefined : underWay.shift();
        if (first !== undefined) yield await first;
      }
      for (const piece of underWay) yield await piece;
      complete = true;
    } finally {
      if (!complete) this.abort();
    }
  }

  /** Tells the server that we are done, so that it detaches the disk now. Bounded, never throws. */
  async close(): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#stop.abort();
    await Promise.all([...this.#open].map((connection) => connection.close(goodbyeMaxMs)));
    this.#open.clear();
  }

  /** Closes every socket at once. Idempotent, never throws. */
  abort(): void {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#stop.abort();
    for (const connection of this.#open) connection.destroy(this.#aborted());
    this.#open.clear();
  }

  readonly #onAbort = (): void => this.abort();

  async #readOne({ offsetBytes, lengthBytes }: NbdRange): Promise<NbdPiece> {
    for (;;) {
      const connection = await this.#connection();
      try {
        const data = await connection.read(offsetBytes, lengthBytes);
        this.#failures = 0;
        this.bytesRead += data.length;
        return { offsetBytes, data };
      } catch (error) {
        this.#lost(connection, error);
      }
    }
  }

  /** The one with the fewest reads waiting; a new one where none is left. */
  async #connection(): Promise<NbdConnection> {
    const [first, ...others] = this.#alive();
    if (first === undefined) {
      return (this.#opening ??= this.#counted(this.#reopen()).finally(() => (this.#opening = null)));
    }
    return others.reduce((least, one) => (one.dueReads < least.dueReads ? one : least), first);
  }

  #alive(): readonly NbdConnection[] {
    return [...this.#open].filter((connection) => connection.alive);
  }

  async #counted<T>(coming: Promise<T>): Promise<T> {
    this.#coming += 1;
    try {
      return await coming;
    } finally {
      this.#coming -= 1;
    }
  }

  /** Counted once per connection, though all its reads fail. What is wrong with the certificate stays wrong. */
  #lost(connection: NbdConnection, error: unknown): void {
    if (this.#stop.signal.aborted) throw this.#aborted(error);
    if (!this.#open.delete(connection)) return;
    this.#failures += 1;
    if (this.#failures > this.#options.failuresMax) throw error;
  }

  async #reopen(): Promise<NbdConnection> {
    for (;;) {
      if (this.#failures > 0) await this.#pause();
      try {
        return await this.#openOne();
      } catch (error) {
        if (this.#stop.signal.aborted) throw this.#aborted(error);
        this.#failures += 1;
        const hopeless = error instanceof NbdError && error.retry === 'never';
        const { failuresMax, openFailuresMax } = this.#options;
        const most = this.#sizeBytes === 0 ? openFailuresMax : failuresMax;
        if (hopeless || this.#failures > most) throw error;
      }
    }
  }

  /**
   * More connections where there is enough to read, also after some broke. A server without room for them does not keep the
   * first from working; it is asked again after a pause that doubles.
   */
  #widen(): void {
    const missing = this.#options.connections - this.#alive().length - this.#coming;
    const nowMs = performance.now();
    if (missing <= 0 || nowMs < this.#widenedMs + this.#widenPauseMs) return;
    this.#widenedMs = nowMs;
    for (let more = 0; more < missing; more += 1)
      void this.#counted(this.#openOne()).then(this.#hasRoom, this.#hasNone);
  }

  readonly #hasRoom = (): void => {
    this.#widenPauseMs = this.#options.retryDelayMs;
  };

  readonly #hasNone = (): void => {
    this.#widenPauseMs = Math.min(this.#widenPauseMs * 2, widenPauseMaxMs);
  };

  async #openOne(): Promise<NbdConnection> {
    const turn = this.#opened;
    this.#opened += 1;
    const servers = await this.#options.servers();
    const server = servers[turn % Math.max(1, servers.length)];
    if (server === undefined) {
      throw new NbdError('refused', 'none', 'no host of the pool serves this disk over NBD any more');
    }
    const connection = await this.#connectTo(server);
    const unfit = this.#unfit(connection, server);
    if (unfit !== null) {
      connection.destroy(unfit);
      throw unfit;
    }
    this.#open.add(connection);
    return connection;
  }

  async #connectTo(server: NbdServer): Promise<NbdConnection> {
    const { timings, reach } = this.#options;
    try {
      const connection = await NbdConnection.open(server, timings, this.#stop.signal);
      reach.noteReached(server);
      return connection;
    } catch (error) {
      reach.noteFailure(server, error);
      throw error;
    }
  }

  #unfit(connection: NbdConnection, server: NbdServer): NbdError | null {
    if (this.#stop.signal.aborted) return this.#aborted();
    const known = this.#sizeBytes;
    if (known === 0 || connection.sizeBytes === known) return null;
    const what = `it serves ${String(connection.sizeBytes)} bytes, another connection to the same disk ${String(known)}`;
    return new NbdError('protocol', whereOf(server), what);
  }

  async #pause(): Promise<void> {
    const { signal } = this.#stop;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, this.#options.retryDelayMs);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
    if (signal.aborted) throw this.#aborted();
  }

  #aborted(cause?: unknown): NbdError {
    return new NbdError('aborted', 'connection', 'reading was stopped', cause);
  }
}

/** Cut at multiples of `maxBytes`, so that neighbouring requests do not overlap in the server's own blocks. */
function* cut(ranges: Iterable<NbdRange>, maxBytes: number): Iterable<NbdRange> {
  for (const { offsetBytes, lengthBytes } of ranges) {
    const endBytes = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < endBytes;) {
      const next = Math.min(endBytes, at + maxBytes - (at % maxBytes));
      yield { offsetBytes: at, lengthBytes: next - at };
      at = next;
    }
  }
}
