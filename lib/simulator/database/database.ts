import type { Datamodel, Relation } from '../datamodel/model';
import { ApiError, handleInvalid, internalError } from '../errors';
import type { Random } from '../random';
import { textOf, type Value } from '../rpc/unmarshal';
import { flag, list, map, text } from './row';
import { Table, type Row } from './table';

/** Generations that a toolstack has not yet written to disk when it is restarted. */
const unwrittenGenerations = 25;

/**
 * The pool's database: one table per class of the datamodel, the inverse side of relations kept up by itself, a
 * generation number that counts every change.
 */
export class Database {
  readonly model: Datamodel;
  readonly #random: Random;
  readonly #tables = new Map<string, Table>();
  readonly #relationsFrom = new Map<string, readonly Relation[]>();
  readonly #ordered: readonly (readonly [string, Table])[];
  readonly #listeners = new Set<() => void>();
  #generation = 1;

  constructor(model: Datamodel, random: Random) {
    this.model = model;
    this.#random = random;
    for (const [name, owner] of model.classes) {
      this.#tables.set(name, new Table(owner));
      this.#relationsFrom.set(
        name,
        model.relations.filter((relation) => relation.owner === name),
      );
    }
    this.#ordered = [...this.#tables].sort(([one], [other]) => (one < other ? 1 : -1));
  }

  get generation(): number {
    return this.#generation;
  }

  /** Counts on from where a former process stopped; never backwards, since tokens compare by it. */
  restoreGeneration(generation: number): void {
    this.#generation = Math.max(this.#generation, generation);
  }

  /** In the order in which events of one kind follow each other: by class name, backwards. */
  /**
   * A toolstack restarted at `generation` counts on from what it last wrote to disk: tokens of the former process are ahead of it, and
   * who goes on with one sees nothing until the count has caught up.
   */
  fallBehind(generation: number): void {
    this.#generation = Math.max(1, generation - unwrittenGenerations);
    for (const table of this.#tables.values()) table.forgetChanges(this.#generation);
  }

  tables(): readonly (readonly [string, Table])[] {
    return this.#ordered;
  }

  /** @throws Error for a class that the release does not have. */
  table(className: string): Table {
    const table = this.#tables.get(className);
    if (table === undefined) throw internalError(`class ${className} does not exist in this release`);
    return table;
  }

  hasClass(className: string): boolean {
    return this.#tables.has(className);
  }

  /** Called after every change. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Makes an object; fields that are not given get the datamodel's default. Gives its ref. */
  create(className: string, values: Readonly<Record<string, Value>>, ref = this.#random.ref()): string {
    const table = this.table(className);
    const row: Record<string, Value> = {};
    for (const field of table.model.fields.values())
      row[field.name] = values[field.name] ?? (field.initial as Value);
    if (values['uuid'] === undefined) row['uuid'] = this.#random.uuid();
    table.insert(ref, row, ++this.#generation);
    for (const relation of this.#relationsOf(className)) this.#link(relation, ref, text(row, relation.field));
    this.#notify();
    return ref;
  }

  /** Puts a saved object back as it was, relations included. */
  restore(className: string, ref: string, row: Row): void {
    const table = this.#tables.get(className);
    const fields = table?.model.fields ?? new Map<string, never>();
    const full: Record<string, Value> = { ...row };
    for (const field of fields.values()) full[field.name] ??= field.initial as Value;
    table?.insert(ref, full, ++this.#generation);
  }

  destroy(className: string, ref: string): void {
    const table = this.table(className);
    const row = table.row(ref);
    if (row === undefined) return;
    for (const relation of this.#relationsOf(className))
      this.#unlink(relation, ref, text(row, relation.field));
    table.remove(ref, ++this.#generation);
    this.#notify();
  }

  /** @throws ApiError HANDLE_INVALID */
  row(className: string, ref: string): Row {
    const row = this.table(className).row(ref);
    if (row === undefined) throw handleInvalid(className, ref);
    return row;
  }

  exists(className: string, ref: string): boolean {
    return this.#tables.get(className)?.has(ref) ?? false;
  }

  text(className: string, ref: string, field: string): string {
    return text(this.row(className, ref), field);
  }

  flag(className: string, ref: string, field: string): boolean {
    return flag(this.row(className, ref), field);
  }

  list(className: string, ref: string, field: string): readonly string[] {
    return list(this.row(className, ref), field);
  }

  map(className: string, ref: string, field: string): Readonly<Record<string, string>> {
    return map(this.row(className, ref), field);
  }

  /** Sets a field, if the release has it. @throws ApiError HANDLE_INVALID */
  set(className: string, ref: string, field: string, value: Value): void {
    const table = this.table(className);
    const before = this.row(className, ref)[field];
    if (before === undefined && !table.model.fields.has(field)) return;
    if (!table.set(ref, field, value, ++this.#generation)) return;
    const relation = this.#relationsOf(className).find((candidate) => candidate.field === field);
    if (relation !== undefined && typeof value === 'string') {
      this.#unlink(relation, ref, textOf(before));
      this.#link(relation, ref, value);
    }
    this.#notify();
  }

  update(className: string, ref: string, values: Readonly<Record<string, Value>>): void {
    for (const [field, value] of Object.entries(values)) this.set(className, ref, field, value);
  }

  /** A change event without a change. */
  touch(className: string, ref: string): void {
    this.table(className).touch(ref, ++this.#generation);
    this.#notify();
  }

  /** @throws ApiError MAP_DUPLICATE_KEY even when the value is equal: that makes the call a test-and-set. */
  addToMap(className: string, ref: string, field: string, key: string, value: string): void {
    const before = this.map(className, ref, field);
    if (key === '') throw internalError('Db_exn.Empty_key_in_map');
    if (Object.hasOwn(before, key)) throw new ApiError('MAP_DUPLICATE_KEY', className, field, ref, key);
    this.set(className, ref, field, { ...before, [key]: value });
  }

  /** Takes a key out of a map; an absent key is no error. */
  removeFromMap(className: string, ref: string, field: string, key: string): void {
    const { [key]: gone, ...rest } = this.map(className, ref, field);
    if (gone !== undefined) this.set(className, ref, field, rest);
  }

  #relationsOf(className: string): readonly Relation[] {
    return this.#relationsFrom.get(className) ?? [];
  }

  /** The object at the other end changes too: its list of refs, and so it gets an event. */
  #link(relation: Relation, ref: string, targetRef: string): void {
    const table = this.table(relation.target);
    const target = table.row(targetRef);
    if (target === undefined) return;
    const before = list(target, relation.targetField);
    if (!before.includes(ref))
      table.set(targetRef, relation.targetField, [ref, ...before], ++this.#generation);
  }

  #unlink(relation: Relation, ref: string, targetRef: string): void {
    const table = this.table(relation.target);
    const target = table.row(targetRef);
    if (target === undefined) return;
    const rest = list(target, relation.targetField).filter((other) => other !== ref);
    table.set(targetRef, relation.targetField, rest, ++this.#generation);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
