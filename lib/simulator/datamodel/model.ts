import file from './datamodel.json';
import { releaseRank, releases, type Release } from './releases';
import { parseType, type Enums, type Type } from './types';

/** One field of a class, as the release knows it. */
export interface Field {
  readonly name: string;
  readonly type: Type;
  /** Value when nothing says otherwise. */
  readonly initial: unknown;
  readonly constructor: 'required' | 'optional' | 'absent';
  readonly settable: boolean;
  /** Lost when the toolstack restarts. */
  readonly persistent: boolean;
}

export interface Parameter {
  readonly name: string;
  readonly type: Type;
  /** Given when the parameter may be left off at the end of the list. */
  readonly initial?: unknown;
}

/** One message of a class, as the release knows it. */
export interface Message {
  readonly owner: string;
  readonly name: string;
  /** `Class.name`, as clients write it. */
  readonly full: string;
  readonly parameters: readonly Parameter[];
  /** Parameters that cannot be left off. */
  readonly required: number;
  readonly result: Type;
  readonly async: boolean;
  readonly needsSession: boolean;
  readonly removed: boolean;
  readonly poolInternal: boolean;
  readonly implicit: boolean;
}

export interface ClassModel {
  readonly name: string;
  readonly inDatabase: boolean;
  readonly hasEvents: boolean;
  readonly fields: ReadonlyMap<string, Field>;
  readonly messages: ReadonlyMap<string, Message>;
}

export interface Relation {
  readonly owner: string;
  readonly field: string;
  readonly target: string;
  readonly targetField: string;
}

/** Everything the Xen API of one release declares: it drives records, parameter checks and implicit messages. */
export interface Datamodel {
  readonly classes: ReadonlyMap<string, ClassModel>;
  readonly relations: readonly Relation[];
  /** The message of a method name `Class.name` or `Class_name`, or undefined. */
  find(method: string): Message | undefined;
}

const loaded = new Map<string, Datamodel>();

/** The datamodel as `release` has it; parsed once per release. */
export function datamodelOf(release: Release): Datamodel {
  const newest = releases[release].newest;
  const key = `${newest} ${String(releases[release].strictConstructors)}`;
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const model = build(newest, releases[release].strictConstructors);
  loaded.set(key, model);
  return model;
}

/** Every error code that the datamodel declares. */
export const errorCodes: ReadonlySet<string> = new Set(file.errors);

function build(newest: string, strictConstructors: boolean): Datamodel {
  const limit = releaseRank(newest, file.releases);
  const has = (since: string): boolean => releaseRank(since, file.releases) <= limit;
  const enums = readEnums();
  const classes = new Map<string, MutableClass>();
  for (const line of file.classes) {
    const [name = '', since = '', flags = ''] = line.split(' ');
    if (!has(since)) continue;
    const [inDatabase, hasEvents] = [flags.includes('d'), flags.includes('e')];
    classes.set(name, { name, inDatabase, hasEvents, fields: new Map(), messages: new Map() });
  }
  for (const line of file.fields) addField(classes, line, enums, has, strictConstructors);
  for (const line of file.messages) addMessage(classes, line, enums, has);
  return { classes, relations: readRelations(classes), find: (method) => find(classes, method) };
}

interface MutableClass extends ClassModel {
  readonly fields: Map<string, Field>;
  readonly messages: Map<string, Message>;
}

function readEnums(): Enums {
  return new Map(
    file.enums.map((line) => {
      const [name = '', ...values] = line.split(' ');
      return [name, new Map(values.map((value) => [value.toLowerCase(), value]))];
    }),
  );
}

function addField(
  classes: Map<string, MutableClass>,
  line: string,
  enums: Enums,
  has: (since: string) => boolean,
  strictConstructors: boolean,
): void {
  const [owner = '', name = '', typeText = '', , since = '', flags = '', initialText = ''] = line.split('|');
  const model = classes.get(owner);
  if (model === undefined || !has(since) || typeText === '<class> record') return;
  const type = parseType(typeText, enums);
  if (!knowsClasses(classes, type)) return;
  const named = strictConstructors && (name === 'name_label' || name === 'name_description');
  model.fields.set(name, {
    name,
    type,
    initial: initialText === '' ? emptyValue(type) : JSON.parse(initialText),
    constructor:
      flags.includes('r') || (named && flags.includes('o'))
        ? 'required'
        : flags.includes('o')
          ? 'optional'
          : 'absent',
    settable: flags.includes('s'),
    persistent: !flags.includes('v'),
  });
}

/** Fields that point at a class came with that class, whatever their own date says. */
function knowsClasses(classes: ReadonlyMap<string, unknown>, type: Type): boolean {
  switch (type.kind) {
    case 'ref':
    case 'record':
      return classes.has(type.of);
    case 'set':
    case 'option':
      return knowsClasses(classes, type.of);
    case 'map':
      return knowsClasses(classes, type.key) && knowsClasses(classes, type.value);
    default:
      return true;
  }
}

/** What a field without a declared default holds before anybody wrote to it. */
export function emptyValue(type: Type): unknown {
  switch (type.kind) {
    case 'int':
    case 'float':
      return 0;
    case 'bool':
      return false;
    case 'datetime':
      return '19700101T00:00:00Z';
    case 'ref':
      return 'OpaqueRef:NULL';
    case 'set':
      return [];
    case 'map':
    case 'record':
      return {};
    case 'enum':
      return type.values.values().next().value ?? '';
    case 'string':
    case 'void':
    case 'option':
      return '';
  }
}

/** Parameters that came after their message did: in older releases the longer form is a count mismatch. */
const lateParameters: Readonly<Record<string, string>> = { 'VM.snapshot ignore_vdis': '21.4.0' };

function addMessage(
  classes: Map<string, MutableClass>,
  line: string,
  enums: Enums,
  has: (since: string) => boolean,
): void {
  const [owner = '', name = '', parameterText = '', result = '', since = '', removed = '', flags = ''] =
    line.split('|');
  const model = classes.get(owner);
  if (model === undefined || !has(since)) return;
  const full = `${owner}.${name}`;
  if (namesUnknownField(model, name, flags)) return;
  const parameters = (parameterText === '' ? [] : parameterText.split(';'))
    .map((text) => readParameter(text, enums))
    .filter((parameter) => has(lateParameters[`${full} ${parameter.name}`] ?? 'rio'));
  model.messages.set(name, {
    owner,
    name,
    full,
    parameters,
    required: parameters.filter((parameter) => parameter.initial === undefined).length,
    result: parseType(result, enums),
    async: flags.includes('a'),
    needsSession: !flags.includes('n'),
    removed: removed !== '' && has(removed),
    poolInternal: flags.includes('p'),
    implicit: flags.includes('i'),
  });
}

/** Implicit getters and setters are dated by their class in places; a field the release lacks has neither. */
function namesUnknownField(model: ClassModel, name: string, flags: string): boolean {
  if (!flags.includes('i')) return false;
  const field = /^(?:get|set|add_to|remove_from|add|remove)_(.+)$/.exec(name)?.[1];
  if (field === undefined || /^(all|record|by_)/.test(field)) return false;
  return !model.fields.has(field) && !/^(add|remove)_/.test(name);
}

function readParameter(text: string, enums: Enums): Parameter {
  const parts = /^([^:]+):([^=]+?)(?:=(.*))?$/.exec(text);
  const [, name = '', type = '', initial] = parts ?? [];
  const parsed = parseType(type, enums);
  return initial === undefined
    ? { name, type: parsed }
    : { name, type: parsed, initial: JSON.parse(initial) as unknown };
}

function readRelations(classes: ReadonlyMap<string, ClassModel>): Relation[] {
  return file.relations.flatMap((line) => {
    const [owner = '', field = '', target = '', targetField = ''] = line.split(/[. ]/);
    const ends = [classes.get(owner)?.fields.get(field), classes.get(target)?.fields.get(targetField)];
    const oneToMany = ends[0]?.type.kind === 'ref' && ends[1]?.type.kind === 'set';
    return oneToMany ? [{ owner, field, target, targetField }] : [];
  });
}

function find(classes: ReadonlyMap<string, ClassModel>, method: string): Message | undefined {
  const dot = method.indexOf('.');
  if (dot >= 0) return classes.get(method.slice(0, dot))?.messages.get(method.slice(dot + 1));
  for (let at = method.indexOf('_'); at > 0; at = method.indexOf('_', at + 1)) {
    const message = classes.get(method.slice(0, at))?.messages.get(method.slice(at + 1));
    if (message !== undefined) return message;
  }
  return undefined;
}
