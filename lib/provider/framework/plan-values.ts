import type { Path } from './diagnostics';
import { isNested } from './schema';
import type { Attribute, Attributes, Nested } from './schema';
import { UNKNOWN, isArray, isObject, isSame, isWhollyKnown } from './value';
import type { Value, ValueObject } from './value';

/**
 * What the object shall be after apply, from configuration, defaults and state alone. Terraform holds us to it: what is
 * configured must be planned as it is (or as it stands in the state, if that means the same), and what is planned as a
 * known value must come out of apply.
 */
export function planValues(
  attributes: Attributes,
  config: ValueObject,
  prior: ValueObject | null,
): ValueObject {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) => [
      name,
      planValue(attribute, config[name] ?? null, prior === null ? undefined : (prior[name] ?? null)),
    ]),
  );
}

/** Attributes marked as not changeable in place whose value changes, or may change once it is known. */
export function replacedAttributes(
  attributes: Attributes,
  planned: ValueObject,
  prior: ValueObject,
): readonly Path[] {
  return Object.entries(attributes)
    .filter(([name, { requiresReplace }]) => {
      return requiresReplace === true && !isSame(planned[name] ?? null, prior[name] ?? null);
    })
    .map(([name]) => [name]);
}

/** `prior` is undefined where the object (or the list item) does not exist yet. */
function planValue(attribute: Attribute, config: Value, prior: Value | undefined): Value {
  if (attribute.writeOnly === true) return null;
  if (config === UNKNOWN) return UNKNOWN;
  if (config === null) return unconfigured(attribute, prior);
  if (isNested(attribute.type)) return planNested(attribute.type, config, prior ?? null);
  return keepsSpelling(attribute, config, prior ?? null) ? (prior ?? null) : config;
}

function unconfigured(attribute: Attribute, prior: Value | undefined): Value {
  if (attribute.default !== undefined) return attribute.default;
  if (attribute.computed !== true) return null;
  return prior === undefined ? UNKNOWN : prior;
}

function planNested(type: Nested, config: Value, prior: Value): Value {
  if (isArray(config)) {
    const before = isArray(prior) ? prior : [];
    return config.map((item, index) => planMember(type, item, before[index]));
  }
  if (!isObject(config)) return config;
  if (type.nesting === 'single') return planMember(type, config, prior);
  const before = isObject(prior) ? prior : {};
  return Object.fromEntries(
    Object.entries(config).map(([key, item]) => [key, planMember(type, item, before[key])]),
  );
}

function planMember(type: Nested, config: Value, prior: Value | undefined): Value {
  if (!isObject(config)) return config;
  return planValues(type.attributes, config, isObject(prior) ? prior : null);
}

function keepsSpelling({ sameAs }: Attribute, config: Value, prior: Value): boolean {
  return sameAs !== undefined && prior !== null && isWhollyKnown(config) && sameAs(config, prior);
}
