/**
 * Operations on one SR (create, clone, snapshot, destroy, attach) run one after another: in parallel they make XAPI wait 1
 * to 20 seconds at random inside the calls.
 */
import PQueue from 'p-queue';

export class StorageQueues {
  readonly #queues = new Map<string, PQueue>();

  /** Runs `work` while no other operation of ours touches any of these SRs (refs are unique over pools). */
  async run<T>(srRefs: readonly string[], work: () => Promise<T>): Promise<T> {
    // Always in one order, so that two operations on the same SRs cannot wait for each other.
    const [first, ...rest] = [...new Set(srRefs)].sort();
    if (first === undefined) return work();
    return this.#queueOf(first).add(() => this.run(rest, work)) as Promise<T>;
  }

  #queueOf(srRef: string): PQueue {
    const known = this.#queues.get(srRef);
    if (known !== undefined) return known;
    const queue = new PQueue({ concurrency: 1 });
    this.#queues.set(srRef, queue);
    return queue;
  }
}
