/** What the work of one run waits for: room for a transfer, its turn on an SR, its time for the bytes that it moves. */
import type { JobLimits } from '../planner/job';
import type { SlotNeed } from '../planner/slots';
import type { DiskReader } from './data/extent';
import type { Pace } from './data/pace';
import type { Neighbours } from './neighbours';
import type { NiceKeeper } from './nice';

export interface QueuesParts {
  readonly run: string;
  /** Disks of this run that are copied at once; all runs of the process together keep to the largest limit of theirs. */
  readonly limits: Pick<JobLimits, 'transfersPerPool' | 'transfersPerSr'>;
  /** By uuid. Every transfer of a run leaves the one pool and goes to the other. */
  readonly pools: readonly string[];
  /** All bytes of the run pass here. */
  readonly pace: Pace;
  /** Null where the job does not give way to busy hosts. */
  readonly nice: NiceKeeper | null;
  readonly neighbours: Neighbours;
}

export class Queues {
  readonly #parts: QueuesParts;
  readonly #keptMax: number;
  readonly #kept = new Set<DiskReader>();

  constructor(parts: QueuesParts) {
    this.#parts = parts;
    this.#keptMax = Math.min(parts.limits.transfersPerPool, parts.limits.transfersPerSr);
  }

  get pace(): Pace {
    return this.#parts.pace;
  }

  get nice(): NiceKeeper | null {
    return this.#parts.nice;
  }

  /** Runs `work` while no other operation of this process touches any of these SRs. */
  onStorage<T>(srRefs: readonly string[], work: () => Promise<T>): Promise<T> {
    return this.#parts.neighbours.storages.run(srRefs, work);
  }

  /** Runs `work`, which reads from or writes to these SRs, when there is room on each of them and in the pools. */
  transfer<T>(srRefs: readonly string[], work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { neighbours, run } = this.#parts;
    return neighbours.transfers.run(run, this.#needs(srRefs), work, signal);
  }

  /** Whether a transfer that is asked for now has to wait for another to end. */
  transfersAreFull(srRefs: readonly string[]): boolean {
    const { neighbours, run } = this.#parts;
    return neighbours.transfers.areFull(run, this.#needs(srRefs));
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

  #needs(srRefs: readonly string[]): readonly SlotNeed[] {
    const { pools, limits } = this.#parts;
    return [
      ...pools.map((uuid) => ({ place: `pool ${uuid}`, most: limits.transfersPerPool })),
      ...srRefs.map((ref) => ({ place: `SR ${ref}`, most: limits.transfersPerSr })),
    ];
  }
}
