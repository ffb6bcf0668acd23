import { isArray, isObject } from '../framework';
import type { Value } from '../framework';

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return uuidForm.test(text);
}

/** XAPI writes uuids in lower case; users copy them from anywhere. Other texts stay as they are. */
export function canonical(text: string): string {
  return isUuid(text) ? text.toLowerCase() : text;
}

/** Equal but for the letter case of uuids, in texts, lists, and keys and values of maps. */
export function sameButForCase(left: Value, right: Value): boolean {
  if (typeof left === 'string' && typeof right === 'string') return canonical(left) === canonical(right);
  if (isArray(left) && isArray(right)) {
    return (
      left.length === right.length && left.every((item, index) => sameButForCase(item, right[index] ?? null))
    );
  }
  if (!isObject(left) || !isObject(right)) return left === right;
  const other = new Map<string, Value>(Object.entries(right).map(([key, value]) => [canonical(key), value]));
  const entries = Object.entries(left);
  return (
    entries.length === other.size &&
    entries.every(([key, value]) => sameButForCase(value, other.get(canonical(key)) ?? null))
  );
}
