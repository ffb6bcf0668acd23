import { error, formatPath } from './diagnostics';
import type { Diagnostic, Path } from './diagnostics';
import { below, isNested } from './schema';
import type { Attribute, Attributes, Nested } from './schema';
import { UNKNOWN, isArray, isObject, isWhollyKnown } from './value';
import type { Value, ValueObject } from './value';

/**
 * Runs the validators of a schema over a configuration. Values that are not known yet are skipped: Terraform
 * validates again once they are.
 */
export function validateAttributes(
  attributes: Attributes,
  config: ValueObject,
  path: Path = [],
): readonly Diagnostic[] {
  return Object.entries(attributes).flatMap(([name, attribute]) =>
    validateAttribute(attribute, config[name] ?? null, below(path, name)),
  );
}

function validateAttribute(attribute: Attribute, value: Value, path: Path): readonly Diagnostic[] {
  if (value === null || value === UNKNOWN) return [];
  const nested = isNested(attribute.type) ? validateNested(attribute.type, value, path) : [];
  if (!isWhollyKnown(value)) return nested;
  const wrong = (attribute.validate ?? []).flatMap((validator) => validator(value) ?? []);
  return [...nested, ...wrong.map((text) => error(`Invalid Value of ${formatPath(path)}`, text, path))];
}

function validateNested(type: Nested, value: Value, path: Path): readonly Diagnostic[] {
  if (type.nesting === 'single') {
    return isObject(value) ? validateAttributes(type.attributes, value, path) : [];
  }
  const found: readonly (readonly [Path[number], Value])[] = isArray(value)
    ? value.map((item, index) => [index, item])
    : Object.entries(isObject(value) ? value : {}).map(([key, item]) => [{ key }, item]);
  return found.flatMap(([step, item]) =>
    isObject(item) ? validateAttributes(type.attributes, item, below(path, step)) : [],
  );
}
