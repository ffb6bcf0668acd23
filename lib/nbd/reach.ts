/** Which servers could be reached: shared by readers, so that one that does not answer is waited for once. */
import { NbdUnreachable } from './errors';
import { whereOf } from './open';
import type { NbdServer } from './open';

export class NbdReach {
  readonly #reached = new Set<string>();
  readonly #unreached = new Map<string, string>();

  noteReached(server: NbdServer): void {
    const where = whereOf(server);
    this.#reached.add(where);
    this.#unreached.delete(where);
  }

  /** Only what is wrong with the server counts, not with one disk of it, and only of one that never was reached. */
  noteFailure(server: NbdServer, error: unknown): void {
    const where = whereOf(server);
    if (error instanceof NbdUnreachable && !this.#reached.has(where)) this.#unreached.set(where, error.what);
  }

  /** Why not, by address and port as `whereOf` writes them; as it is now. */
  unreached(): ReadonlyMap<string, string> {
    return new Map(this.#unreached);
  }
}
