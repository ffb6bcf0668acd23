import type { Clock } from '../clock';
import type { Database } from '../database/database';
import { without } from '../database/row';
import { asApiError } from '../errors';

/** The server itself retries an operation that another one holds up, for this long. */
const longestWaitMs = 2 * 60 * 60 * 1000;

export interface Operation {
  readonly className: string;
  readonly ref: string;
  readonly name: string;
  /** Key in `current_operations`. */
  readonly task: string;
  readonly signal: AbortSignal;
  /** Throws the API error that forbids the operation now. */
  readonly check: () => void;
  /** Recalculates `allowed_operations`, before and after. */
  readonly refresh: () => void;
}

/**
 * Runs operations on objects: checks, shows them in `current_operations` while they run, and makes those wait that
 * would fail with OTHER_OPERATION_IN_PROGRESS, since clients see such a call as slow and not as an error.
 */
export class Operations {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async run<T>(operation: Operation, work: () => T | Promise<T>): Promise<T> {
    await this.#waitUntilFree(operation);
    const { className, ref, name, task } = operation;
    const before = this.#db.map(className, ref, 'current_operations');
    this.#db.set(className, ref, 'current_operations', { ...before, [task]: name });
    operation.refresh();
    try {
      return await work();
    } finally {
      this.#end(operation);
    }
  }

  #end({ className, ref, task, refresh }: Operation): void {
    if (!this.#db.exists(className, ref)) return;
    const current = this.#db.map(className, ref, 'current_operations');
    this.#db.set(className, ref, 'current_operations', without(current, task));
    refresh();
  }

  async #waitUntilFree(operation: Operation): Promise<void> {
    const deadline = this.#clock.now() + longestWaitMs;
    for (;;) {
      try {
        operation.check();
        return;
      } catch (error) {
        const failure = asApiError(error);
        if (failure.code !== 'OTHER_OPERATION_IN_PROGRESS' || this.#clock.now() >= deadline) throw failure;
      }
      await this.#nextChange(deadline - this.#clock.now(), operation.signal);
    }
  }

  async #nextChange(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const unlisten = this.#db.onChange(() => woken.abort());
    try {
      await this.#clock.sleep(ms, AbortSignal.any([signal, woken.signal]));
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      unlisten();
    }
  }
}

/** Runs work on one thing in order; the storage manager holds such a lock for each SR. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}
