import { isNested } from './schema';
import type { Attribute, Attributes } from './schema';
import { isObject, isSame, isWhollyKnown } from './value';
import type { Value, ValueObject } from './value';

/**
 * What was read, in the words of the state: where both mean the same, the state's spelling stays, so that letter case
 * or units never show as a change; defaults stand where nothing is known (after import).
 */
export function settle(attributes: Attributes, found: ValueObject, state: ValueObject): ValueObject {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) => [
      name,
      settleValue(attribute, found[name] ?? null, state[name] ?? null),
    ]),
  );
}

function settleValue(attribute: Attribute, found: Value, state: Value): Value {
  if (found === null) return attribute.default !== undefined && state === null ? attribute.default : found;
  if (isNested(attribute.type)) {
    if (attribute.type.nesting !== 'single' || !isObject(found)) return found;
    return settle(attribute.type.attributes, found, isObject(state) ? state : {});
  }
  if (state === null || !isWhollyKnown(state) || isSame(found, state)) return found;
  return attribute.sameAs?.(found, state) === true ? state : found;
}
