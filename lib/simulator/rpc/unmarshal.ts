import type { Type } from '../datamodel/types';
import { internalError } from '../errors';
import { showRpc, type Rpc } from './value';

/** A value of the database: what a field holds, with ints and floats as numbers and dates as text. */
export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

/** A plain value as text; sets and maps as JSON. */
export function textOf(value: Value | undefined): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value ?? '');
}

/**
 * Turns what came over the wire into a value of the declared type.
 * @throws ApiError INTERNAL_ERROR with the texts of the real server: it names what it expected and what it got.
 */
export function unmarshal(value: Rpc, type: Type): Value {
  switch (type.kind) {
    case 'string':
    case 'ref':
      return toText(value);
    case 'int':
      return toInt(value);
    case 'float':
      return toFloat(value);
    case 'bool':
      if (value.kind === 'bool') return value.value;
      throw expected('Expected bool, got', value);
    case 'datetime':
      return toDate(value);
    case 'enum':
      return toEnum(value, type.values);
    case 'set':
      if (value.kind !== 'list') throw expected('Expecting Rpc.Enum, but found', value);
      return value.items.map((item) => unmarshal(item, type.of));
    case 'map':
      return toMap(value, type.key, type.value);
    case 'option':
      return value.kind === 'null' ? '' : unmarshal(value, type.of);
    case 'record':
    case 'void':
      throw internalError(`Failure("a parameter of type ${type.kind} cannot be read")`);
  }
}

function expected(words: string, value: Rpc): Error {
  return internalError(`Failure("${words} '${showRpc(value)}'")`);
}

function toText(value: Rpc): string {
  if (value.kind === 'string') return value.text;
  throw expected('Expected string, got', value);
}

const smallest = -(2n ** 63n);
const largest = 2n ** 63n - 1n;

/** Strings are taken for ints, in OCaml's notation (`0x10` too), since that is the XML-RPC form of every int. */
function toInt(value: Rpc): number {
  if (value.kind === 'int') return exact(value.value);
  if (value.kind !== 'string') throw expected('Expected int64, got', value);
  const literal = /^(-?)(\d[\d_]*|0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+)$/.exec(value.text);
  if (literal === null) throw internalError('Failure("Int64.of_string")');
  const magnitude = BigInt((literal[2] ?? '').replaceAll('_', '').replace(/^0+(?=\d)/, ''));
  return exact(literal[1] === '-' ? -magnitude : magnitude);
}

/** The real server keeps 64 bits; a number beyond 2^53 would lose digits here, so it is refused instead. */
function exact(value: bigint): number {
  if (value < smallest || value > largest) throw internalError('Failure("Int64.of_string")');
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw internalError(`Failure("the simulator keeps integers up to 2^53, got ${value.toString()}")`);
}

function toFloat(value: Rpc): number {
  if (value.kind === 'float') return value.value;
  if (value.kind === 'int') return Number(value.value);
  if (value.kind !== 'string') throw expected('Expected float, got', value);
  if (!/^[+-]?(\d[\d_]*\.?[\d_]*(e[+-]?\d+)?|inf|infinity|nan)$/i.test(value.text))
    throw internalError('Failure("float_of_string")');
  return Number(value.text.replaceAll('_', ''));
}

function toDate(value: Rpc): string {
  if (value.kind !== 'datetime' && value.kind !== 'string')
    throw internalError('Failure("Date.iso8601_of_rpc")');
  const parts = /^(\d{4})-?(\d\d)-?(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z?$/.exec(value.text);
  if (parts === null) throw internalError(`Invalid argument: Clock__Date.of_iso8601: ${value.text}`);
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] = parts;
  return `${year}${month}${day}T${hour}:${minute}:${second}Z`;
}

function toEnum(value: Rpc, values: ReadonlyMap<string, string>): string {
  const member = value.kind === 'string' ? values.get(value.text.toLowerCase()) : undefined;
  if (member === undefined) throw internalError('Failure("Unknown tag/contents")');
  return member;
}

function toMap(value: Rpc, key: Type, of: Type): Value {
  if (value.kind !== 'dict') throw expected('Expecting Rpc.Dict, but found', value);
  const entries = value.members.map(([name, member]): [string, Value] => [
    textOf(unmarshal({ kind: 'string', text: name }, key)),
    unmarshal(member, of),
  ]);
  return Object.fromEntries(entries);
}
