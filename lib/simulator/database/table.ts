import type { ClassModel } from '../datamodel/model';
import { textOf, type Value } from '../rpc/unmarshal';

/** The fields of one object. Values are replaced, never changed in place: copies may share them. */
export type Row = Readonly<Record<string, Value>>;

interface Entry {
  row: Record<string, Value>;
  readonly createdAt: number;
  modifiedAt: number;
}

/** An object that is gone, with the generations between which it lived. */
export interface Deleted {
  readonly ref: string;
  readonly createdAt: number;
  readonly deletedAt: number;
}

/** A change that `event.from` reports. */
export interface Change {
  readonly ref: string;
  readonly operation: 'add' | 'mod' | 'del';
  readonly generation: number;
}

/** When this many deletions are remembered the list is cut down: clients that are too slow then miss some. */
const deletedLimit = 512;
const deletedKept = 256;

/** The objects of one class. */
export class Table {
  readonly model: ClassModel;
  readonly #entries = new Map<string, Entry>();
  readonly #byUuid = new Map<string, string>();
  #deleted: Deleted[] = [];
  #lastChange = 0;

  constructor(model: ClassModel) {
    this.model = model;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(ref: string): boolean {
    return this.#entries.has(ref);
  }

  row(ref: string): Row | undefined {
    return this.#entries.get(ref)?.row;
  }

  refs(): string[] {
    return [...this.#entries.keys()];
  }

  *rows(): IterableIterator<[string, Row]> {
    for (const [ref, entry] of this.#entries) yield [ref, entry.row];
  }

  refOfUuid(uuid: string): string | undefined {
    return this.#byUuid.get(uuid);
  }

  insert(ref: string, row: Record<string, Value>, generation: number): void {
    this.#entries.set(ref, { row, createdAt: generation, modifiedAt: generation });
    this.#byUuid.set(textOf(row['uuid']), ref);
    this.#lastChange = generation;
  }

  /** False when the value was equal already: no event then. */
  set(ref: string, field: string, value: Value, generation: number): boolean {
    const entry = this.#entries.get(ref);
    if (entry === undefined || sameValue(entry.row[field], value)) return false;
    entry.row[field] = value;
    if (field === 'uuid') this.#byUuid.set(textOf(value), ref);
    this.#touch(entry, generation);
    return true;
  }

  touch(ref: string, generation: number): void {
    const entry = this.#entries.get(ref);
    if (entry !== undefined) this.#touch(entry, generation);
  }

  remove(ref: string, generation: number): void {
    const entry = this.#entries.get(ref);
    if (entry === undefined) return;
    this.#entries.delete(ref);
    const uuid = textOf(entry.row['uuid']);
    if (this.#byUuid.get(uuid) === ref) this.#byUuid.delete(uuid);
    this.#deleted.push({ ref, createdAt: entry.createdAt, deletedAt: generation });
    if (this.#deleted.length >= deletedLimit) this.#deleted = this.#deleted.slice(-deletedKept);
    this.#lastChange = generation;
  }

  /**
   * What changed after generation `since`, one change per object with the latest state: made after it is an `add`, else
   * a `mod`; an object that was made and deleted in between does not appear.
   */
  changesSince(since: number, wanted: (ref: string) => boolean): Change[] {
    if (this.#lastChange <= since) return [];
    const changes: Change[] = [];
    for (const [ref, entry] of this.#entries) {
      if (entry.modifiedAt <= since || !wanted(ref)) continue;
      const operation = entry.createdAt > since ? 'add' : 'mod';
      changes.push({ ref, operation, generation: entry.modifiedAt });
    }
    for (const { ref, createdAt, deletedAt } of this.#deleted)
      if (deletedAt > since && createdAt <= since && wanted(ref))
        changes.push({ ref, operation: 'del', generation: deletedAt });
    return changes;
  }

  /** Nothing counts as newer than `generation`, and deletions before it are forgotten. */
  forgetChanges(generation: number): void {
    for (const [ref, entry] of this.#entries)
      this.#entries.set(ref, {
        row: entry.row,
        createdAt: Math.min(entry.createdAt, generation),
        modifiedAt: Math.min(entry.modifiedAt, generation),
      });
    this.#deleted = [];
    this.#lastChange = Math.min(this.#lastChange, generation);
  }

  #touch(entry: Entry, generation: number): void {
    entry.modifiedAt = generation;
    this.#lastChange = generation;
  }
}

/** Compared member by member: sets of a large pool hold thousands of refs. */
function sameValue(before: Value | undefined, after: Value): boolean {
  if (before === after) return true;
  if (typeof before !== 'object' || typeof after !== 'object') return false;
  if (Array.isArray(before) !== Array.isArray(after)) return false;
  const entries = Object.entries(after);
  if (entries.length !== Object.keys(before).length) return false;
  const old = before as Readonly<Record<string, Value>>;
  return entries.every(([key, value]) => Object.hasOwn(old, key) && sameValue(old[key], value));
}
