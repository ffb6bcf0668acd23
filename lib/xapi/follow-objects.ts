import type { CallOptions } from './call';
import { XapiError } from './errors';
import type { EventBatch } from './methods';
import { normaliseRecord } from './normalise';
import { classByLowerCase } from './read-objects';
import type { ObjectsRead, ReadableClass } from './read-objects';
import type { Ref } from './refs';
import type { Session } from './session';

/** All objects of some classes, as they were at one moment. Never changed afterwards: a later look makes tables of its own. */
export type ObjectTables<C extends ReadableClass> = Pick<ObjectsRead, C>;

/**
 * Tables are read whole again after this long. Counts prove that no object is missing and none too many; of the fields of an
 * object nothing proves anything. Should a release change one without telling, it is seen after this long at the latest. A
 * whole look at a thousand VMs costs a coordinator a second or two, so that this is a small part of what it does.
 */
const WHOLE_AFTER_MS = 5 * 60_000;
/** As good as none, but a float: 0 would leave us as an integer, which the server does not take. */
const TIMEOUT_S = 0.001;

interface Held<C extends ReadableClass> {
  readonly session: Ref<'session'>;
  readonly token: string;
  readonly tables: ObjectTables<C>;
  readonly wholeAtMs: number;
}

interface Answer<C extends ReadableClass> {
  readonly batch: EventBatch;
  readonly session: Ref<'session'>;
  /** What the events add to; null where they are everything. */
  readonly since: Held<C> | null;
}

/**
 * Keeps tables of a pool's objects up to date: reads everything once, then asks `event.from` what has changed since its
 * last token (`xapi_event.ml`; since 6.0). What it gives is as of a moment after `look` was called.
 *
 * The server forgets deletions without a word: of each class it remembers 256 to 512. It tells every object that was made or
 * changed, however, so the tables can only hold too much; as many objects as `valid_ref_counts` says is therefore the right
 * ones. Where the counts differ, or there is any other doubt, everything is read again.
 */
export class ObjectFollower<C extends ReadableClass> {
  readonly #session: Pick<Session, 'callEach'>;
  readonly #classes: readonly C[];
  readonly #nowMs: () => number;
  #held: Held<C> | null = null;

  constructor(session: Pick<Session, 'callEach'>, classes: readonly C[], nowMs: () => number) {
    this.#session = session;
    this.#classes = classes;
    this.#nowMs = nowMs;
  }

  /**
   * The tables as they are now. Looks must follow one another; one that fails makes the next one read everything.
   * @throws XapiError, TransportError
   */
  async look(options: CallOptions = {}): Promise<ObjectTables<C>> {
    const held = this.#held;
    this.#held = null;
    const usable = held !== null && this.#nowMs() - held.wholeAtMs < WHOLE_AFTER_MS ? held : null;
    if (usable !== null) {
      const answer = await this.#askSince(usable, options);
      const taken = answer === null ? null : this.#take(answer);
      if (taken !== null && (taken.proved || answer?.since === null)) return taken.tables;
    }
    return this.#take(await this.#ask(null, options)).tables;
  }

  /** Null where the server does not know our token. */
  async #askSince(held: Held<C>, options: CallOptions): Promise<Answer<C> | null> {
    try {
      return await this.#ask(held, options);
    } catch (error) {
      if (error instanceof XapiError && error.code === 'EVENT_FROM_TOKEN_PARSE_FAILURE') return null;
      throw error;
    }
  }

  /**
   * A token is worth nothing in another session: the toolstack has been started again or has moved, and counts on from what it
   * last wrote down, so that the token may be ahead of it and changes would not be told.
   */
  async #ask(held: Held<C> | null, options: CallOptions): Promise<Answer<C>> {
    let asked: Pick<Answer<C>, 'session' | 'since'> | undefined;
    const batch = await this.#session.callEach(
      'event.from',
      (session, repeated) => {
        asked = { session, since: !repeated && held?.session === session ? held : null };
        return [this.#classes, asked.since?.token ?? '', TIMEOUT_S];
      },
      options,
    );
    if (asked === undefined) throw new RangeError('event.from was answered before it was asked');
    return { batch, ...asked };
  }

  /** Only what is proved to be complete is kept, for the next look to build upon. */
  #take(answer: Answer<C>): { readonly tables: ObjectTables<C>; readonly proved: boolean } {
    const { batch, session, since } = answer;
    const { tables, sound } = this.#tablesAfter(answer);
    const proved = sound && isLater(batch.token, since?.token) && isComplete(tables, batch);
    const wholeAtMs = since?.wholeAtMs ?? this.#nowMs();
    if (proved) this.#held = { session, token: batch.token, tables, wholeAtMs };
    return { tables, proved };
  }

  #tablesAfter({ batch, since }: Answer<C>): { readonly tables: ObjectTables<C>; readonly sound: boolean } {
    const before = since?.tables;
    const changed = new Map<ReadableClass, Map<string, unknown>>();
    const tableOf = (name: ReadableClass): Map<string, unknown> => {
      const table = changed.get(name) ?? new Map<string, unknown>(before?.[name as C]);
      changed.set(name, table);
      return table;
    };
    let sound = true;
    for (const { class: lowerCase, operation, ref, snapshot } of batch.events) {
      const name = classByLowerCase.get(lowerCase);
      if (name === undefined || !this.#classes.some((one) => one === name)) continue;
      if (operation === 'del') tableOf(name).delete(ref);
      else if (snapshot === undefined) sound = false;
      else tableOf(name).set(ref, normaliseRecord(name, snapshot));
    }
    const tables = Object.fromEntries(
      this.#classes.map((name) => [name, changed.get(name) ?? before?.[name] ?? new Map()]),
    );
    // Each map was filled with records of its own class.
    return { tables: tables as unknown as ObjectTables<C>, sound };
  }
}

/** Tokens compare as text: two numbers of twenty digits. One that went back, or looks otherwise, is of another count. */
function isLater(token: string, before: string | undefined): boolean {
  if (before === undefined) return token !== '';
  return token.length === before.length && token >= before;
}

function isComplete<C extends ReadableClass>(
  tables: ObjectTables<C>,
  { valid_ref_counts }: EventBatch,
): boolean {
  return Object.entries<ReadonlyMap<string, unknown>>(tables).every(
    ([name, table]) => Number(valid_ref_counts?.[name.toLowerCase()]) === table.size,
  );
}
