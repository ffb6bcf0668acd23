import { formatDate, never, parseDate, type Clock } from '../clock';
import type { Database } from '../database/database';
import { text } from '../database/row';
import type { ApiError } from '../errors';

/** Finished tasks are deleted this long after their end. */
const finishedLimitMs = 3900 * 1000;
/** Unfinished ones after this long without progress. */
const pendingLimitMs = 24 * 60 * 60 * 1000;
/** Above this many, the oldest finished ones go earlier. */
const countLimit = 200;

export interface TaskOptions {
  readonly label: string;
  readonly description?: string;
  readonly sessionRef: string;
  readonly hostRef: string;
  readonly subtaskOf?: string;
  readonly otherConfig?: Readonly<Record<string, string>>;
}

/** The tasks of a pool. Not persistent: gone after a restart of the coordinator, whatever their state was. */
export class Tasks {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #touchedAt = new Map<string, number>();
  readonly #sessionOf = new Map<string, string>();
  readonly #condemned = new Set<string>();

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  create(options: TaskOptions): string {
    const ref = this.#db.create('task', {
      name_label: options.label,
      name_description: options.description ?? '',
      created: formatDate(this.#clock.now()),
      finished: never,
      status: 'pending',
      type: '<none/>',
      resident_on: options.hostRef,
      subtask_of: options.subtaskOf ?? 'OpaqueRef:NULL',
      other_config: options.otherConfig ?? {},
      backtrace: '()',
    });
    this.#touchedAt.set(ref, this.#clock.now());
    this.#sessionOf.set(ref, options.sessionRef);
    this.#listInSession(options.sessionRef);
    return ref;
  }

  /** The session of a task is no field of its own: it shows in the session's set alone. */
  #listInSession(session: string): void {
    if (!this.#db.exists('session', session)) return;
    const own = [...this.#sessionOf].flatMap(([task, of]) => (of === session ? [task] : []));
    this.#db.set('session', session, 'tasks', own);
  }

  isPending(ref: string): boolean {
    return this.#db.exists('task', ref) && isRunning(this.#db.text('task', ref, 'status'));
  }

  setProgress(ref: string, fraction: number): void {
    if (!this.isPending(ref)) return;
    this.#touchedAt.set(ref, this.#clock.now());
    this.#db.set('task', ref, 'progress', fraction);
  }

  /** A task whose progress is being set is not collected. */
  noteProgress(ref: string): void {
    this.#touchedAt.set(ref, this.#clock.now());
  }

  /** `result` is XML-RPC text, also for clients that speak JSON. An end state is final: later ends are ignored. */
  complete(ref: string, result: string): void {
    this.#finish(ref, { result, status: 'success' });
  }

  fail(ref: string, error: ApiError): void {
    const status = error.code === 'TASK_CANCELLED' ? 'cancelled' : 'failure';
    this.#finish(ref, { error_info: [error.code, ...error.params], status });
  }

  /** A pending task is only marked and goes when it ends. */
  destroy(ref: string): void {
    if (this.isPending(ref)) this.#condemned.add(ref);
    else this.#remove(ref);
  }

  /** A task that the server made for itself goes at once. */
  drop(ref: string): void {
    this.#remove(ref);
  }

  cancelRequested(ref: string): boolean {
    return (
      this.#db.exists('task', ref) &&
      Object.values(this.#db.map('task', ref, 'current_operations')).includes('cancel')
    );
  }

  collect(): void {
    const now = this.#clock.now();
    for (const [ref, row] of [...this.#db.table('task').rows()]) {
      const running = isRunning(text(row, 'status'));
      const age = running
        ? now - (this.#touchedAt.get(ref) ?? now)
        : now - (this.#touchedAt.get(ref) ?? parseDate(text(row, 'finished')));
      if (age >= (running ? pendingLimitMs : finishedLimitMs)) this.#remove(ref);
      else if (!running && this.#condemned.has(ref)) this.#remove(ref);
    }
    this.#dropOverflow();
  }

  clear(): void {
    for (const ref of this.#db.table('task').refs()) this.#remove(ref);
  }

  #dropOverflow(): void {
    const rows = [...this.#db.table('task').rows()];
    const finished = rows.filter(([, row]) => !isRunning(text(row, 'status')));
    for (const [ref] of finished.slice(0, Math.max(0, rows.length - countLimit))) this.#remove(ref);
  }

  #finish(ref: string, values: Readonly<Record<string, string | readonly string[]>>): void {
    if (!this.isPending(ref)) return;
    this.#touchedAt.set(ref, this.#clock.now());
    const finished = formatDate(this.#clock.now());
    this.#db.update('task', ref, { allowed_operations: [], progress: 1, finished, ...values });
    if (this.#condemned.has(ref)) this.#remove(ref);
  }

  #remove(ref: string): void {
    this.#touchedAt.delete(ref);
    this.#condemned.delete(ref);
    this.#db.destroy('task', ref);
    const session = this.#sessionOf.get(ref);
    this.#sessionOf.delete(ref);
    if (session !== undefined) this.#listInSession(session);
  }
}

function isRunning(status: string): boolean {
  return status === 'pending' || status === 'cancelling';
}
