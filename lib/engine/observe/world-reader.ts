/** One view of a pool for all VMs of a run: each look after the first reads only what has changed. */
import type { CallOptions, Pool } from '../../xapi';
import { ReplicationError } from '../errors';
import { toWorld, worldClasses } from './world';
import type { ObjectsOfWorld, World } from './world';

/** What a look needs of a pool. */
export interface WatchedPool {
  readonly name: string;
  readonly uuid: string;
  /** Everything as it is after the call. */
  look(options: CallOptions): Promise<ObjectsOfWorld>;
}

interface Look {
  readonly world: Promise<World>;
  readonly stop: AbortController;
  askers: number;
}

/** The two pools of a run. */
export interface Worlds {
  readonly source: WorldReader;
  readonly target: WorldReader;
}

export function worldsOf(source: Pool, target: Pool): Worlds {
  return { source: WorldReader.of(source), target: WorldReader.of(target) };
}

/**
 * Answers each question with the pool as it was after the question, never before: who asks while a look is going on shares
 * the next one with all others who came meanwhile. So there is one look at a time, however many ask.
 */
export class WorldReader {
  readonly #pool: WatchedPool;
  /** Not begun yet: whoever asks now may share it. */
  #next: Look | null = null;
  /** Settles, and never rejects, when the look before is over. */
  #before: Promise<unknown> = Promise.resolve();

  constructor(pool: WatchedPool) {
    this.#pool = pool;
  }

  static of(pool: Pool): WorldReader {
    const follower = pool.follow(worldClasses);
    return new WorldReader({
      name: pool.name,
      uuid: pool.uuid,
      look: (options) => follower.look(options),
    });
  }

  /**
   * @throws XapiError, TransportError where the look fails, to all who share it; ReplicationError `cancelled` to the one whose
   *   signal is aborted. Only when the last one has left is the look itself ended.
   */
  async read(signal: AbortSignal): Promise<World> {
    if (signal.aborted) throw this.#cancelled();
    const look = (this.#next ??= this.#plan());
    look.askers += 1;
    try {
      return await this.#untilAborted(look.world, signal);
    } finally {
      look.askers -= 1;
      if (look.askers === 0) this.#abandon(look);
    }
  }

  #plan(): Look {
    const stop = new AbortController();
    const world = this.#before.then(() => this.#begin(stop.signal));
    this.#before = world.then(ignored, ignored);
    return { world, stop, askers: 0 };
  }

  async #begin(signal: AbortSignal): Promise<World> {
    if (signal.aborted) throw this.#cancelled();
    // From here on the answer may be older than a question.
    this.#next = null;
    return toWorld(this.#pool, await this.#pool.look({ signal }));
  }

  /** A look that nobody waits for any more; one who asks later must not share it. */
  #abandon(look: Look): void {
    if (this.#next === look) this.#next = null;
    look.stop.abort('nobody waits for this look any more');
  }

  async #untilAborted(world: Promise<World>, signal: AbortSignal): Promise<World> {
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(this.#cancelled());
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([world, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #cancelled(): ReplicationError {
    return new ReplicationError('cancelled', `Looking at pool "${this.#pool.name}" was cancelled`, {
      retry: 'later',
      hint: 'run the job again',
    });
  }
}

function ignored(): void {
  // What became of a look is told to those who wait for it.
}
