import type { Clock } from '../clock';
import type { Database } from '../database/database';
import type { Table } from '../database/table';
import { ApiError, handleInvalid } from '../errors';
import type { EventBatch, EventRecord } from '../rpc/marshal';
import type { Sessions } from './sessions';

/** Changes are gathered this long, so that a burst of them becomes one reply. */
const batchDelayMs = 50;
/** The old `event.next` waits longer. */
const nextDelayMs = 200;
/** Longest wait of one call, whatever the client asks for. */
const longestWaitMs = 24 * 60 * 60 * 1000;

const order = { add: 0, mod: 1, del: 2 } as const;

/** Whoever waits for events: the call fails when its session ends, and is dropped when its connection closes. */
interface Waiter {
  readonly session: string;
  readonly signal: AbortSignal;
}

export interface EventRequest extends Waiter {
  readonly specs: readonly string[];
  readonly token: string;
  readonly timeoutS: number;
}

interface Subscription {
  readonly token: number;
  readonly classes: readonly string[];
}

/** Events by token (`event.from`) and by registration (`event.next`). */
export class Events {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #sessions: Sessions;
  readonly #registered = new Map<string, Subscription>();

  constructor(db: Database, clock: Clock, sessions: Sessions) {
    this.#db = db;
    this.#clock = clock;
    this.#sessions = sessions;
    sessions.onEnd((ref) => this.#registered.delete(ref));
  }

  /**
   * Everything that changed after `token` in the subscribed classes; waits for a change up to `timeoutS`.
   * @throws ApiError EVENT_FROM_TOKEN_PARSE_FAILURE, SESSION_INVALID when the session ends meanwhile.
   */
  async from(request: EventRequest): Promise<EventBatch> {
    const { specs, token } = request;
    const since = parseToken(token);
    const filters = subscriptions(this.#db, specs);
    if (token === '' && specs.includes('*')) this.#heartbeat();
    const deadline = this.#clock.now() + waitMs(request.timeoutS);
    const onlyTasks = specs.every((spec) => spec.toLowerCase().startsWith('task'));
    if (!onlyTasks && token !== '') await this.#pause(batchDelayMs, request);
    for (;;) {
      const batch = this.#collect(filters, since);
      if (batch.events.length > 0 || token === '' || this.#clock.now() >= deadline) return batch;
      await this.#changed(deadline - this.#clock.now(), request);
      if (this.#clock.now() < deadline) await this.#pause(batchDelayMs, request);
    }
  }

  /** @throws ApiError HANDLE_INVALID; the class must be spelled as in the datamodel. */
  inject(className: string, ref: string): string {
    if (!this.#db.hasClass(className) || !this.#db.exists(className, ref))
      throw handleInvalid(className, ref);
    this.#db.touch(className, ref);
    return formatToken(this.#db.generation);
  }

  register(session: string, classes: readonly string[]): void {
    const before = this.#registered.get(session);
    const token = before?.token ?? this.#db.generation;
    this.#registered.set(session, { token, classes: [...(before?.classes ?? []), ...classes] });
  }

  unregister(session: string, classes: readonly string[]): void {
    const before = this.#registered.get(session);
    if (before === undefined) return;
    const left = before.classes.filter((name) => !classes.includes(name) && !classes.includes('*'));
    if (left.length === 0) this.#registered.delete(session);
    else this.#registered.set(session, { ...before, classes: left });
  }

  /** @throws ApiError SESSION_NOT_REGISTERED */
  async next(session: string, signal: AbortSignal): Promise<readonly EventRecord[]> {
    for (;;) {
      const subscription = this.#registered.get(session);
      if (subscription === undefined) throw new ApiError('SESSION_NOT_REGISTERED', session);
      const batch = this.#collect(subscriptions(this.#db, subscription.classes), subscription.token);
      if (batch.events.length > 0) {
        this.#registered.set(session, { ...subscription, token: this.#db.generation });
        return batch.events;
      }
      await this.#changed(longestWaitMs, { session, signal });
      await this.#pause(nextDelayMs, { session, signal });
    }
  }

  #collect(filters: ReadonlyMap<Table, (ref: string) => boolean>, since: number): EventBatch {
    let last = since;
    const events: EventRecord[] = [];
    for (const [table, wanted] of filters)
      for (const { ref, operation, generation } of table.changesSince(since, wanted)) {
        last = Math.max(last, generation);
        const row = table.row(ref);
        const owner = table.model.name;
        events.push({
          id: owner === 'message' ? '0' : String(generation),
          class: owner.toLowerCase(),
          operation,
          ref,
          ...(row === undefined ? {} : { snapshot: { owner, record: row } }),
        });
      }
    events.sort((one, other) => order[one.operation] - order[other.operation]);
    return { events, counts: this.#counts(), token: formatToken(last) };
  }

  /** Metrics of hosts are written all the time: who subscribes to everything always finds something newer. */
  #heartbeat(): void {
    for (const metrics of this.#db.table('host_metrics').refs()) this.#db.touch('host_metrics', metrics);
  }

  #counts(): ReadonlyMap<string, number> {
    return new Map([...this.#db.tables()].map(([name, table]) => [name.toLowerCase(), table.size]));
  }

  async #pause(ms: number, waiter: Waiter): Promise<void> {
    await this.#clock.sleep(ms, waiter.signal);
    this.#sessions.check(waiter.session);
  }

  /** Until the next change in the database, the end of the session, or `ms`. */
  async #changed(ms: number, waiter: Waiter): Promise<void> {
    const woken = new AbortController();
    const unlisten = [
      this.#db.onChange(() => woken.abort()),
      this.#sessions.onEnd((ref) => {
        if (ref === waiter.session) woken.abort();
      }),
    ];
    try {
      await this.#clock.sleep(ms, AbortSignal.any([waiter.signal, woken.signal]));
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      for (const stopListening of unlisten) stopListening();
    }
    this.#sessions.check(waiter.session);
  }
}

function waitMs(timeoutS: number): number {
  if (timeoutS <= 0) return 0;
  return Math.min(timeoutS * 1000, longestWaitMs);
}

/** `N,M`: database generation and message generation. The empty token is the beginning of time. */
function parseToken(token: string): number {
  if (token === '') return 0;
  const [generation, messages, ...rest] = token.split(',');
  const valid = rest.length === 0 && isGeneration(generation) && isGeneration(messages);
  if (!valid) throw new ApiError('EVENT_FROM_TOKEN_PARSE_FAILURE', token);
  return Number(generation);
}

function isGeneration(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 63n;
}

function formatToken(generation: number): string {
  return `${String(generation).padStart(20, '0')},${'0'.padStart(20, '0')}`;
}

/** `*`, a class in any case, or `class/ref`. Nonsense is no error: it never fires. */
function subscriptions(db: Database, specs: readonly string[]): ReadonlyMap<Table, (ref: string) => boolean> {
  const all = specs.includes('*');
  const found = new Map<Table, (ref: string) => boolean>();
  for (const [name, table] of db.tables()) {
    if (!table.model.hasEvents) continue;
    const lower = name.toLowerCase();
    const refs = new Set(
      specs.flatMap((spec) =>
        spec.toLowerCase().startsWith(`${lower}/`) ? [spec.slice(lower.length + 1)] : [],
      ),
    );
    if (all || specs.some((spec) => spec.toLowerCase() === lower)) found.set(table, () => true);
    else if (refs.size > 0) found.set(table, (ref) => refs.has(ref));
  }
  return found;
}
