import { internalError } from '../errors';
import type { Row } from './table';

/*
 * Typed access to the fields of a row. A field that the simulated release lacks reads as its empty value, so that
 * code for newer fields also runs on older releases; a field of another type is a defect and fails loudly.
 */

export function text(row: Row, field: string): string {
  const value = row[field] ?? '';
  if (typeof value === 'string') return value;
  throw internalError(`field ${field} is not a string`);
}

export function int(row: Row, field: string): number {
  const value = row[field] ?? 0;
  if (typeof value === 'number') return value;
  throw internalError(`field ${field} is not a number`);
}

export function flag(row: Row, field: string): boolean {
  const value = row[field] ?? false;
  if (typeof value === 'boolean') return value;
  throw internalError(`field ${field} is not a bool`);
}

/** A set of strings or refs. */
export function list(row: Row, field: string): readonly string[] {
  const value = row[field] ?? [];
  if (Array.isArray(value)) return value as readonly string[];
  throw internalError(`field ${field} is not a set`);
}

/** A map from strings to strings. */
export function map(row: Row, field: string): Readonly<Record<string, string>> {
  const value = row[field] ?? {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Readonly<Record<string, string>>;
  throw internalError(`field ${field} is not a map`);
}

/** A copy of a record without some of its members. */
export function without<T>(
  record: Readonly<Record<string, T>>,
  ...names: readonly string[]
): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}
