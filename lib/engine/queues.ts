/**
 * What must not run at once. Operations on one SR (create, clone, snapshot, destroy, attach) run one after
 * another: in parallel they make XAPI wait 1 to 20 seconds at random inside the calls.
 */
import PQueue from 'p-queue';
import type { Pace } from './data/pace';
import type { NiceKeeper } from './nice';

export class Queues {
  readonly #perStorage = new Map<string, PQueue>();
  readonly #transfers: PQueue;
  /** All bytes of the run pass here. */
  readonly pace: Pace;
  /** Null where the job does not give way to busy hosts. */
  readonly nice: NiceKeeper | null;

  /** @param transfersMax disks copied at once, over all VMs of the run. */
  constructor(transfersMax: number, pace: Pace, nice: NiceKeeper | null) {
    this.pace = pace;
    this.nice = nice;
    this.#transfers = new PQueue({ concurrency: transfersMax });
  }

  /** Runs `work` while no other operation of ours touches any of these SRs (refs are unique over pools). */
  async onStorage<T>(srRefs: readonly string[], work: () => Promise<T>): Promise<T> {
    // Always in one order, so that two operations on the same SRs cannot wait for each other.
    const [first, ...rest] = [...new Set(srRefs)].sort();
    if (first === undefined) return work();
    return this.#queueOf(first).add(() => this.onStorage(rest, work)) as Promise<T>;
  }

  async transfer<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#transfers.add(() => {
      signal.throwIfAborted();
      return work();
    }) as Promise<T>;
  }

  /** Whether a transfer that is asked for now has to wait for another to end. */
  get transfersAreFull(): boolean {
    return this.#transfers.pending >= this.#transfers.concurrency;
  }

  #queueOf(srRef: string): PQueue {
    const known = this.#perStorage.get(srRef);
    if (known !== undefined) return known;
    const queue = new PQueue({ concurrency: 1 });
    this.#perStorage.set(srRef, queue);
    return queue;
  }
}
