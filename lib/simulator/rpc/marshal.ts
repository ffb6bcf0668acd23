import type { Datamodel } from '../datamodel/model';
import type { Type } from '../datamodel/types';
import { textOf, type Value } from './unmarshal';

/** Writes values in one of the two wire forms. Every method returns the finished text of its part. */
export interface Writer {
  text(value: string): string;
  int(value: number): string;
  /** The one place where ints are typed in XML: the counts in replies of `event.from`. */
  smallInt(value: number): string;
  float(value: number): string;
  bool(value: boolean): string;
  date(value: string): string;
  list(items: readonly string[]): string;
  struct(members: readonly (readonly [string, string])[]): string;
}

/** One event of a reply; `snapshot` is absent for deletions. */
export interface EventRecord {
  readonly id: string;
  readonly class: string;
  readonly operation: 'add' | 'mod' | 'del';
  readonly ref: string;
  readonly snapshot?: { readonly owner: string; readonly record: Readonly<Record<string, Value>> };
}

export interface EventBatch {
  readonly events: readonly EventRecord[];
  readonly counts: ReadonlyMap<string, number>;
  readonly token: string;
}

/** What a handler returns: a value of the message's result type, or events, which no datamodel type describes. */
export type Result = Value | EventBatch | readonly EventRecord[];

/** The wire text of a result. */
export function marshal(value: Value, type: Type, writer: Writer, model: Datamodel): string {
  switch (type.kind) {
    case 'int':
      return writer.int(Number(value));
    case 'float':
      return writer.float(Number(value));
    case 'bool':
      return writer.bool(value === true);
    case 'datetime':
      return writer.date(asText(value));
    case 'set':
      return writer.list(asList(value).map((item) => marshal(item, type.of, writer, model)));
    case 'map':
      return writer.struct(
        Object.entries(asMap(value)).map(([key, item]) => [key, marshal(item, type.value, writer, model)]),
      );
    case 'record':
      return writer.struct(marshalFields(asMap(value), type.of, writer, model));
    case 'option':
      return marshal(value, type.of, writer, model);
    case 'void':
      return writer.text('');
    case 'string':
    case 'ref':
    case 'enum':
      return writer.text(asText(value));
  }
}

function marshalFields(
  record: Readonly<Record<string, Value>>,
  owner: string,
  writer: Writer,
  model: Datamodel,
): [string, string][] {
  const fields = model.classes.get(owner)?.fields ?? new Map<string, never>();
  return [...fields.values()].map((field) => [
    field.name,
    marshal(record[field.name] ?? (field.initial as Value), field.type, writer, model),
  ]);
}

export function marshalEvents(events: readonly EventRecord[], writer: Writer, model: Datamodel): string {
  return writer.list(events.map((event) => marshalEvent(event, writer, model)));
}

export function marshalBatch(batch: EventBatch, writer: Writer, model: Datamodel): string {
  const counts = [...batch.counts].map(([name, count]): [string, string] => [name, writer.smallInt(count)]);
  return writer.struct([
    ['events', marshalEvents(batch.events, writer, model)],
    ['valid_ref_counts', writer.struct(counts)],
    ['token', writer.text(batch.token)],
  ]);
}

function marshalEvent(event: EventRecord, writer: Writer, model: Datamodel): string {
  const members: [string, string][] = [
    ['id', writer.text(event.id)],
    ['timestamp', writer.text('0.0')],
    ['class', writer.text(event.class)],
    ['operation', writer.text(event.operation)],
    ['ref', writer.text(event.ref)],
  ];
  if (event.snapshot !== undefined) {
    const { record, owner } = event.snapshot;
    members.push(['snapshot', writer.struct(marshalFields(record, owner, writer, model))]);
  }
  return writer.struct(members);
}

function asText(value: Value): string {
  return textOf(value);
}

function asList(value: Value): readonly Value[] {
  return Array.isArray(value) ? (value as readonly Value[]) : [];
}

function asMap(value: Value): Readonly<Record<string, Value>> {
  return typeof value === 'object' && !Array.isArray(value) ? (value as Readonly<Record<string, Value>>) : {};
}

/** JSON: ints without quotes, floats always with a point, dates as plain strings, maps and records as objects. */
export const jsonWriter: Writer = {
  text: (value) => JSON.stringify(value),
  int: (value) => value.toFixed(0),
  smallInt: (value) => value.toFixed(0),
  float: (value) => (Number.isInteger(value) ? value.toFixed(1) : String(value)),
  bool: String,
  date: (value) => JSON.stringify(value),
  list: (items) => `[${items.join(',')}]`,
  struct: (members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`,
};

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Text of an element: escaped, without the characters that XML forbids (the server drops them too). */
export function escapeXml(text: string): string {
  return text.replaceAll(/[&<>]/g, (character) => escapes[character] ?? '').replaceAll(notXml, '');
}

/** As {@link escapeXml}, with quotes too: the form of the server's HTML pages. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');
}

const notXml = new RegExp('[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff]', 'g');

/** XML-RPC as this server writes it: strings and ints are untyped text. */
export const xmlWriter: Writer = {
  text: (value) => `<value>${escapeXml(value)}</value>`,
  int: (value) => `<value>${value.toFixed(0)}</value>`,
  smallInt: (value) => `<value><i4>${value.toFixed(0)}</i4></value>`,
  float: (value) => `<value><double>${String(value)}</double></value>`,
  bool: (value) => `<value><boolean>${value ? '1' : '0'}</boolean></value>`,
  date: (value) => `<value><dateTime.iso8601>${value}</dateTime.iso8601></value>`,
  list: (items) => `<value><array><data>${items.join('')}</data></array></value>`,
  struct: (members) =>
    `<value><struct>${members
      .map(([name, value]) => `<member><name>${escapeXml(name)}</name>${value}</member>`)
      .join('')}</struct></value>`,
};
