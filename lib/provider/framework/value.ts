/**
 * Values of the Terraform language as this provider sees them, freed from how they travelled.
 * Lists, sets and tuples are arrays; maps and objects are plain objects; what is known only after apply is `UNKNOWN`.
 */
export type Value =
  null | typeof UNKNOWN | string | number | boolean | Dynamic | readonly Value[] | ValueObject;

export interface ValueObject {
  readonly [name: string]: Value;
}

/** A value that Terraform will know only after apply. */
export const UNKNOWN: unique symbol = Symbol('known after apply');

/** A type of the Terraform language, in the very form in which it travels as JSON. */
export type Type =
  | 'string'
  | 'number'
  | 'bool'
  | 'dynamic'
  | readonly ['list' | 'set' | 'map', Type]
  | readonly ['object', Readonly<Record<string, Type>>]
  | readonly ['tuple', readonly Type[]];

/** A value of an attribute whose type is `dynamic`: it brings its own type along. */
export class Dynamic {
  readonly type: Type;
  readonly value: Value;

  constructor(type: Type, value: Value) {
    this.type = type;
    this.value = value;
  }
}

/** True for maps and objects. */
export function isObject(value: Value | undefined): value is ValueObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Dynamic);
}

/** True where nothing in the value is unknown, however deep. */
export function isWhollyKnown(value: Value): boolean {
  if (value === UNKNOWN) return false;
  if (value instanceof Dynamic) return isWhollyKnown(value.value);
  if (isArray(value)) return value.every(isWhollyKnown);
  return !isObject(value) || Object.values(value).every(isWhollyKnown);
}

/** Deep equality; `UNKNOWN` equals only itself. */
export function isSame(left: Value, right: Value): boolean {
  if (left === right) return true;
  if (left instanceof Dynamic || right instanceof Dynamic) {
    return left instanceof Dynamic && right instanceof Dynamic && isSame(left.value, right.value);
  }
  if (isArray(left) || isArray(right)) {
    return (
      isArray(left) &&
      isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => isSame(item, right[index] ?? null))
    );
  }
  if (!isObject(left) || !isObject(right)) return false;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && isSame(left[name] ?? null, right[name] ?? null))
  );
}

/** A value within a sentence: texts as they are, anything else as JSON. */
export function show(value: Value | undefined): string {
  if (value === UNKNOWN) return '(known after apply)';
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

/** `Array.isArray`, typed for read-only arrays of values. */
export function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}
