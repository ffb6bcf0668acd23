import { textOf, type Value } from '../rpc/unmarshal';
import type { Row } from './table';

/** Fields of a group are written with two underscores after the group's name in the database. */
export function databaseName(field: string): string {
  return grouped.test(field) ? field.replace(/^(API_version|[A-Za-z]+)_/, '$1__') : field;
}

const grouped =
  /^(name_(label|description)$|memory_|VCPUs_|actions_after_|PV_(?!drivers)|HVM_|API_version_|qos_|io_)/;

/** Values as the database keeps them: sets and maps in its own notation, so that no plain literal equals them. */
export function databaseText(value: Value): string {
  if (typeof value !== 'object') return textOf(value);
  if (isList(value)) return `(${value.map((item) => `'${textOf(item)}'`).join(' ')})`;
  const members = Object.entries(value).map(([key, item]) => `('${key}' '${textOf(item)}')`);
  return `(${members.join(' ')})`;
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** A whole row, as it is kept in `snapshot_metadata`. */
export function rowText(row: Row): string {
  const fields = Object.entries(row).map(
    ([field, value]) => `('${databaseName(field)}' '${databaseText(value)}')`,
  );
  return `(${fields.join(' ')})`;
}
