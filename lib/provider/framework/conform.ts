import { Dynamic, UNKNOWN, isArray, isObject } from './value';
import type { Type, Value, ValueObject } from './value';

/**
 * Brings a decoded value into the shape of its type: objects carry every attribute (null where absent) and no other,
 * numbers are numbers. Surplus attributes are dropped: a state may have been written by another release of the provider.
 *
 * @throws TypeError naming the place where the value is of another type.
 */
export function conform(value: Value, type: Type, place = 'value'): Value {
  if (value === null || value === UNKNOWN) return value;
  if (typeof type === 'string') return conformScalar(value, type, place);
  switch (type[0]) {
    case 'list':
    case 'set':
      return items(value, place).map((item, index) => conform(item, type[1], `${place}[${String(index)}]`));
    case 'map':
      return mapMembers(members(value, place), (item, key) => conform(item, type[1], `${place}["${key}"]`));
    case 'object':
      return conformObject(members(value, place), type[1], place);
    case 'tuple':
      return items(value, place).map((item, index) =>
        conform(item, type[1][index] ?? 'dynamic', `${place}[${String(index)}]`),
      );
  }
}

function conformScalar(value: Value, type: 'string' | 'number' | 'bool' | 'dynamic', place: string): Value {
  switch (type) {
    case 'string':
      if (typeof value === 'string') return value;
      break;
    case 'bool':
      if (typeof value === 'boolean') return value;
      break;
    case 'number':
      // Numbers beyond 64 bits travel as decimal text.
      if (typeof value === 'number') return value;
      if (typeof value === 'string' && value !== '' && !Number.isNaN(Number(value))) return Number(value);
      break;
    case 'dynamic':
      return conformDynamic(value, place);
  }
  throw new TypeError(`${place} is not a ${type}`);
}

/** A stored state writes a dynamic value as `{type, value}`; one that brings no type along is taken as what it is. */
function conformDynamic(value: Value, place: string): Dynamic {
  if (value instanceof Dynamic) return value;
  if (isObject(value) && 'type' in value && 'value' in value) {
    const type = value['type'] as Type;
    return new Dynamic(type, conform(value['value'] ?? null, type, place));
  }
  return new Dynamic(typeOfValue(value), value);
}

function conformObject(found: ValueObject, attributes: Readonly<Record<string, Type>>, place: string): Value {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, type]) => [
      name,
      conform(own(found, name), type, `${place}.${name}`),
    ]),
  );
}

/** Null where there is none: what every object of JavaScript inherits (`constructor`) is no value. */
function own(object: ValueObject, name: string): Value {
  return Object.hasOwn(object, name) ? (object[name] ?? null) : null;
}

function typeOfValue(value: Value): Type {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'number';
  if (typeof value === 'string') return 'string';
  if (value === null || value === UNKNOWN || value instanceof Dynamic) return 'dynamic';
  if (isArray(value)) return ['tuple', value.map(typeOfValue)];
  return [
    'object',
    Object.fromEntries(Object.entries(value).map(([name, item]) => [name, typeOfValue(item)])),
  ];
}

function items(value: Value, place: string): readonly Value[] {
  if (isArray(value)) return value;
  throw new TypeError(`${place} is not a list`);
}

function members(value: Value, place: string): ValueObject {
  if (isObject(value)) return value;
  throw new TypeError(`${place} is not an object`);
}

function mapMembers(object: ValueObject, change: (value: Value, key: string) => Value): ValueObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));
}
