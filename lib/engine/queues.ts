/**
 * What must not run at once. Operations on one SR (create, clone, snapshot, destroy, attach) run one after
 * another: in parallel they make XAPI wait 1 to 20 seconds at random inside the calls.
 */
import PQueue from 'p-queue';
import type { JobLimits } from '../planner/job';
import type { DiskReader } from './data/extent';
import type { Pace } from './data/pace';
import type { NiceKeeper } from './nice';
import { Slots } from './slots';

/** Every transfer of a run leaves the one pool and goes to the other: what is bounded for each is bounded for both. */
const pools = 'pools';

export class Queues {
  readonly #perStorage = new Map<string, PQueue>();
  readonly #transfers: Slots;
  readonly #keptMax: number;
  readonly #kept = new Set<DiskReader>();
  /** All bytes of the run pass here. */
  readonly pace: Pace;
  /** Null where the job does not give way to busy hosts. */
  readonly nice: NiceKeeper | null;

  /** @param limits disks copied at once, over all VMs of the run */
  constructor(
    { transfersPerPool, transfersPerSr }: Pick<JobLimits, 'transfersPerPool' | 'transfersPerSr'>,
    pace: Pace,
    nice: NiceKeeper | null,
  ) {
    this.pace = pace;
    this.nice = nice;
    this.#transfers = new Slots((place) => (place === pools ? transfersPerPool : transfersPerSr));
    this.#keptMax = Math.min(transfersPerPool, transfersPerSr);
  }

  /** Runs `work` while no other operation of ours touches any of these SRs (refs are unique over pools). */
  async onStorage<T>(srRefs: readonly string[], work: () => Promise<T>): Promise<T> {
    // Always in one order, so that two operations on the same SRs cannot wait for each other.
    const [first, ...rest] = [...new Set(srRefs)].sort();
    if (first === undefined) return work();
    return this.#queueOf(first).add(() => this.onStorage(rest, work)) as Promise<T>;
  }

  /** Runs `work`, which reads from or writes to these SRs, when there is room on each of them and in the pools. */
  transfer<T>(srRefs: readonly string[], work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#transfers.run([pools, ...srRefs], work, signal);
  }

  /** Whether a transfer that is asked for now has to wait for another to end. */
  transfersAreFull(srRefs: readonly string[]): boolean {
    return this.#transfers.areFull([pools, ...srRefs]);
  }

  /**
   * Whether a reader may stay open until its disk is copied. Each keeps a disk attached on the source, so no more stay than
   * are copied at once.
   */
  keep(reader: DiskReader): boolean {
    if (this.#kept.size >= this.#keptMax) return false;
    this.#kept.add(reader);
    return true;
  }

  /** The reader is used, or closed. */
  letGo(reader: DiskReader): void {
    this.#kept.delete(reader);
  }

  #queueOf(srRef: string): PQueue {
    const known = this.#perStorage.get(srRef);
    if (known !== undefined) return known;
    const queue = new PQueue({ concurrency: 1 });
    this.#perStorage.set(srRef, queue);
    return queue;
  }
}
