/** Arguments that are known by the time they are read, and were checked before: anything else is a defect here. */
import { isArray, isObject } from '../framework';
import type { Value, ValueObject } from '../framework';

/** @throws TypeError where a value is not a known text. */
export function text(values: ValueObject, name: string): string {
  const value = values[name];
  if (typeof value !== 'string') throw new TypeError(`${name} is not a known text`);
  return value;
}

/** The known texts of a list. */
export function texts(value: Value | undefined): readonly string[] {
  return isArray(value ?? null) ? (value as readonly Value[]).filter((item) => typeof item === 'string') : [];
}

export function number(values: ValueObject, name: string): number {
  const value = values[name];
  if (typeof value !== 'number') throw new TypeError(`${name} is not a known number`);
  return value;
}

export function object(values: ValueObject, name: string): ValueObject {
  const value = values[name];
  if (!isObject(value)) throw new TypeError(`${name} is not a known object`);
  return value;
}

/** @throws TypeError where it is none of the choices, which are in the order of their schema. */
export function choice<Choice extends string>(
  values: ValueObject,
  name: string,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((one) => one === values[name]);
  if (found === undefined) throw new TypeError(`${name} is none of ${choices.join(', ')}`);
  return found;
}
