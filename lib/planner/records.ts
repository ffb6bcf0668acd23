/**
 * How a record is read from `other_config`. It is copied by clone, snapshot, revert and XVA export, and anybody may write to
 * it: a record counts only on the object that it names, and only where it has all its members.
 */

export type StringMap = Readonly<Record<string, string>>;

/** What is found under a key: nothing, a record that speaks of another object (a copy), garbage, or the record. */
export type Found<T> =
  | { readonly kind: 'absent' }
  | { readonly kind: 'copied'; readonly record: T }
  | { readonly kind: 'unreadable'; readonly reason: string }
  | { readonly kind: 'own'; readonly record: T };

/** The record if it stands on the object that it names, else null. */
export function own<T>(found: Found<T>): T | null {
  return found.kind === 'own' ? found.record : null;
}

/** What stands under a key, checked member by member. */
export function find<T extends { readonly self: string }>(
  otherConfig: StringMap,
  key: string,
  selfUuid: string,
  shape: Readonly<Record<string, Check>>,
): Found<T> {
  const value = otherConfig[key];
  if (value === undefined) return { kind: 'absent' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    return { kind: 'unreadable', reason: `the value of ${key} is not JSON` };
  }
  const wrong = mismatch(parsed, shape);
  if (wrong !== null)
    return { kind: 'unreadable', reason: `${key}: ${wrong} is missing or of the wrong type` };
  const record = parsed as T;
  return record.self === selfUuid ? { kind: 'own', record } : { kind: 'copied', record };
}

export type Check = (value: unknown) => boolean;

export const text: Check = (value) => typeof value === 'string' && value !== '';
export const textOrNull: Check = (value) => value === null || text(value);
export const count: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
export const flag: Check = (value) => typeof value === 'boolean';
/** Members that records of the first versions do not have. */
export const orAbsent =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
export const one: Check = (value) => value === 1;
export const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && words.includes(value);
export const listOf =
  (shape: Readonly<Record<string, Check>>): Check =>
  (value) =>
    Array.isArray(value) && value.every((item) => mismatch(item, shape) === null);

/** Name of the first member that is missing or of the wrong type, or null where the value fits. */
function mismatch(value: unknown, shape: Readonly<Record<string, Check>>): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the whole value';
  const members = value as Readonly<Record<string, unknown>>;
  return Object.keys(shape).find((name) => shape[name]?.(members[name]) !== true) ?? null;
}
