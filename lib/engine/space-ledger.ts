/**
 * What VMs are about to take of a target SR, over all runs of a process. Each sees what the pool says is free; together they
 * would count the same bytes several times.
 */
import type { Reservation, SpaceWaiter } from '../planner/reservations';

export interface SpaceRun {
  readonly job: { readonly id: string; readonly name: string };
  /** A pool may have several names, and the uuid of an SR that two pools share is that of two SRs. */
  readonly poolUuid: string;
  readonly srUuid: string;
}

type Entry = Omit<Reservation, 'job'>;

interface Storage {
  readonly runs: Map<RunSpace, SpaceRun['job']>;
  readonly waiting: Set<() => void>;
  releases: number;
  /** Of who came last. */
  order: number;
}

export class SpaceLedger {
  readonly #storages = new Map<string, Storage>();

  /** For one run; to be left at its end, however it ends. */
  enter({ job, poolUuid, srUuid }: SpaceRun): RunSpace {
    const key = `${poolUuid}/${srUuid}`.toLowerCase();
    const storage = this.#storages.get(key) ?? { runs: new Map(), waiting: new Set(), releases: 0, order: 0 };
    this.#storages.set(key, storage);
    const run = new RunSpace(storage, job.id);
    storage.runs.set(run, job);
    return run;
  }
}

/** What others hold at a moment. */
export interface SpaceSeen {
  readonly reservations: readonly Reservation[];
  /** Those who began to wait before, in order. */
  readonly waiters: readonly SpaceWaiter[];
  /** How often anything was released before. */
  readonly releases: number;
}

export class RunSpace {
  readonly #storage: Storage;
  readonly #jobId: string;
  readonly #reserved = new Map<string, Entry>();
  readonly #inLine = new Map<string, Omit<SpaceWaiter, 'job'>>();

  constructor(storage: Storage, jobId: string) {
    this.#storage = storage;
    this.#jobId = jobId;
  }

  /** What all VMs but this one hold of the SR. */
  ofOthers(vmUuid: string): SpaceSeen {
    const { runs, releases } = this.#storage;
    const reservations = [...runs].flatMap(([run, job]) =>
      [...run.#reserved.values()]
        .filter(({ vm }) => run !== this || vm.uuid !== vmUuid)
        .map((one): Reservation => ({ ...one, job: run === this ? null : job })),
    );
    return { reservations, waiters: this.#before(vmUuid), releases };
  }

  #before(vmUuid: string): readonly SpaceWaiter[] {
    const own = this.#inLine.get(vmUuid)?.order ?? Infinity;
    return [...this.#storage.runs]
      .flatMap(([run, job]) =>
        [...run.#inLine.values()].map((one) => ({ ...one, job: run === this ? null : job })),
      )
      .filter(({ order }) => order < own)
      .sort((a, b) => a.order - b.order);
  }

  /** Its place in the line is that of the first time. */
  waitInLine(vm: Reservation['vm'], needBytes: number): void {
    const order = this.#inLine.get(vm.uuid)?.order ?? (this.#storage.order += 1);
    this.#inLine.set(vm.uuid, { vm, needBytes, order });
  }

  /** To be called when the waiting is over, however it ends: those behind may have waited for nobody else. */
  leaveLine(vmUuid: string): void {
    if (this.#inLine.delete(vmUuid)) this.#wake();
  }

  /** Stands until it is released. */
  reserve(vm: Reservation['vm'], space: Pick<Entry, 'needBytes' | 'freeBytesThen' | 'heldBytesThen'>): void {
    if (space.needBytes === 0) return;
    this.#storage.order += 1;
    this.#reserved.set(vm.uuid, { vm, jobId: this.#jobId, order: this.#storage.order, ...space });
  }

  release(vmUuid: string): void {
    if (this.#reserved.delete(vmUuid)) this.#wake();
  }

  #wake(): void {
    this.#storage.releases += 1;
    for (const wake of this.#storage.waiting) wake();
  }

  /** The run is over: nothing is held for it any more. */
  leave(): void {
    for (const vmUuid of [...this.#reserved.keys()]) this.release(vmUuid);
    for (const vmUuid of [...this.#inLine.keys()]) this.leaveLine(vmUuid);
    this.#storage.runs.delete(this);
  }

  /**
   * Resolves when another VM has released something since that was seen; rejects when `signal` is aborted. At once where
   * nobody holds anything, and nobody was in line before.
   */
  async released({ releases, waiters }: SpaceSeen, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { runs, waiting } = this.#storage;
    const nobody = waiters.length === 0 && [...runs.keys()].every((run) => run.#reserved.size === 0);
    if (nobody || this.#storage.releases !== releases) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
    signal.throwIfAborted();
  }
}

/** What was held before, during or after a look: who ends meanwhile has taken what the look may not have seen. */
export function heldDuring(before: SpaceSeen, after: SpaceSeen): readonly Reservation[] {
  const all = new Map<string, Reservation>();
  for (const one of [...before.reservations, ...after.reservations]) {
    const key = `${one.jobId}/${one.vm.uuid}`;
    const known = all.get(key);
    if (known === undefined || known.needBytes < one.needBytes) all.set(key, one);
  }
  return [...all.values()];
}
