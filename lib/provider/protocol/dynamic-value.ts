import { ExtData, ExtensionCodec, decode, encode } from '@msgpack/msgpack';
import { conform } from '../framework/conform';
import { Dynamic, UNKNOWN, isArray, isObject } from '../framework/value';
import type { Type, Value } from '../framework/value';

/** The wire form of a value: MessagePack, or JSON where that is empty. */
export interface WireValue {
  readonly msgpack: Uint8Array;
  readonly json: Uint8Array;
}

/**
 * Extension type of an unknown value. Terraform also sends type 12, an unknown value of which it knows more (a prefix,
 * "not null"), and may send others: to us they are all unknown.
 */
const unknownExtension = 0;

const extensions = new ExtensionCodec();
extensions.register({
  type: unknownExtension,
  encode: (value) => (value === wireUnknown ? new Uint8Array(1) : null),
  decode: () => UNKNOWN,
});

/** Stands for `UNKNOWN` while encoding: the encoder hands objects to an extension, symbols never. */
const wireUnknown = Object.freeze({});

/**
 * A key `__proto__` is refused: the library takes no risk with it, and no one names a disk or a tag so.
 *
 * @throws TypeError where the bytes hold something else than the type says, DecodeError where they are no MessagePack
 *   or a map in them has the key `__proto__`.
 */
export function decodeValue(wire: WireValue | undefined, type: Type): Value {
  if (wire === undefined || (wire.msgpack.length === 0 && wire.json.length === 0)) return null;
  if (wire.msgpack.length === 0) return decodeJson(wire.json, type);
  return conform(fromWire(decode(wire.msgpack, { extensionCodec: extensions }), type), type);
}

/** JSON is also how a stored state arrives. */
export function decodeJson(bytes: Uint8Array, type: Type): Value {
  const parsed: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return conform(fromWire(parsed, type), type);
}

/** Always MessagePack: Terraform does not understand JSON in every answer. */
export function encodeValue(value: Value, type: Type): WireValue {
  return {
    msgpack: encode(toWire(conform(value, type), type), { extensionCodec: extensions }),
    json: new Uint8Array(),
  };
}

function fromWire(wire: unknown, type: Type): Value {
  if (wire === null || wire === undefined) return null;
  if (wire === UNKNOWN || wire instanceof ExtData) return UNKNOWN;
  if (type === 'dynamic') return dynamicFromWire(wire);
  if (typeof wire === 'string' || typeof wire === 'number' || typeof wire === 'boolean') return wire;
  if (Array.isArray(wire)) return wire.map((item, index) => fromWire(item, elementType(type, index)));
  if (typeof wire !== 'object') throw new TypeError(`A value cannot be a ${typeof wire}`);
  return Object.fromEntries(
    Object.entries(wire).flatMap(([name, item]) => {
      const member = memberType(type, name);
      return member === undefined ? [] : [[name, fromWire(item, member)]];
    }),
  );
}

/** A dynamic value brings its type: `[type as JSON bytes, value]` in MessagePack, `{type, value}` in JSON. */
function dynamicFromWire(wire: unknown): Value {
  if (Array.isArray(wire) && wire[0] instanceof Uint8Array) {
    const type = JSON.parse(Buffer.from(wire[0]).toString('utf8')) as Type;
    return new Dynamic(type, conform(fromWire(wire[1], type), type));
  }
  if (typeof wire === 'object' && wire !== null && 'type' in wire && 'value' in wire) {
    const type = wire.type as Type;
    return new Dynamic(type, conform(fromWire(wire.value, type), type));
  }
  throw new TypeError('A dynamic value came without its type');
}

function toWire(value: Value, type: Type): unknown {
  if (value === UNKNOWN) return wireUnknown;
  if (value instanceof Dynamic) {
    return [Buffer.from(JSON.stringify(value.type)), toWire(value.value, value.type)];
  }
  if (isArray(value)) return value.map((item, index) => toWire(item, elementType(type, index)));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, toWire(item, memberType(type, name) ?? 'dynamic')]),
  );
}

function elementType(type: Type, index: number): Type {
  if (typeof type === 'string') return 'dynamic';
  if (type[0] === 'tuple') return type[1][index] ?? 'dynamic';
  return type[0] === 'object' ? 'dynamic' : type[1];
}

/** Undefined for an attribute that the type does not have (any more): it is dropped. */
function memberType(type: Type, name: string): Type | undefined {
  if (typeof type === 'string' || type[0] === 'tuple') return 'dynamic';
  if (type[0] !== 'object') return type[1];
  // What every object of JavaScript inherits (`constructor`) is no attribute of the type.
  return Object.hasOwn(type[1], name) ? type[1][name] : undefined;
}
