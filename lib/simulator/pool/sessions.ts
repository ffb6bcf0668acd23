import { formatDate, type Clock } from '../clock';
import type { Database } from '../database/database';
import { text } from '../database/row';
import { ApiError } from '../errors';

/** A session ends after this long without a call, unless one of its tasks is still running. */
const idleLimitMs = 24 * 60 * 60 * 1000;
/** `last_active` is written only when it is older than this. */
const touchIntervalMs = 10 * 60 * 1000;
/** Sessions of one originator; above it the oldest ones are dropped without a word. */
const limitPerOriginator = 500;
const limitWithoutOriginator = 400;

export interface SessionOptions {
  readonly user: string;
  readonly originator: string;
  readonly hostRef: string;
  readonly superuser: boolean;
  readonly permissions: readonly string[];
}

/** The sessions of a pool: not persistent, so a restart of the coordinator ends all of them. */
export class Sessions {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #ended = new Set<(ref: string) => void>();
  readonly #activeAt = new Map<string, number>();

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Makes a session, drops the oldest ones of its originator when there are too many. */
  open(options: SessionOptions): string {
    const now = formatDate(this.#clock.now());
    const ref = this.#db.create('session', {
      this_host: options.hostRef,
      auth_user_name: options.user,
      is_local_superuser: options.superuser,
      rbac_permissions: options.permissions,
      originator: options.originator,
      last_active: now,
      validation_time: now,
    });
    this.#activeAt.set(ref, this.#clock.now());
    this.#dropOverflow(options.originator);
    return ref;
  }

  close(ref: string): void {
    this.#db.destroy('session', ref);
    this.#activeAt.delete(ref);
    for (const listener of [...this.#ended]) listener(ref);
  }

  closeAll(): void {
    for (const ref of this.#db.table('session').refs()) this.close(ref);
  }

  /** Blocked calls of a session fail when it ends. */
  onEnd(listener: (ref: string) => void): () => void {
    this.#ended.add(listener);
    return () => this.#ended.delete(listener);
  }

  exists(ref: string): boolean {
    return this.#db.exists('session', ref);
  }

  /** @throws ApiError SESSION_INVALID */
  check(ref: string): void {
    if (!this.exists(ref)) throw new ApiError('SESSION_INVALID', ref);
    const now = this.#clock.now();
    if (now - (this.#activeAt.get(ref) ?? 0) < touchIntervalMs) return;
    this.#activeAt.set(ref, now);
    this.#db.set('session', ref, 'last_active', formatDate(now));
  }

  /** Ends what has been idle for a day. */
  collect(): void {
    const now = this.#clock.now();
    for (const ref of this.#db.table('session').refs()) {
      const idleMs = now - (this.#activeAt.get(ref) ?? now);
      if (idleMs >= idleLimitMs && !this.#hasRunningTasks(ref)) this.close(ref);
    }
  }

  #hasRunningTasks(ref: string): boolean {
    return this.#db
      .list('session', ref, 'tasks')
      .some((task) => this.#db.exists('task', task) && this.#db.text('task', task, 'status') === 'pending');
  }

  #dropOverflow(originator: string): void {
    const limit = originator === '' ? limitWithoutOriginator : limitPerOriginator;
    const same = [...this.#db.table('session').rows()].filter(
      ([, row]) => text(row, 'originator') === originator,
    );
    for (const [ref] of same.slice(0, Math.max(0, same.length - limit))) this.close(ref);
  }
}
