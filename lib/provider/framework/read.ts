import { conform } from './conform';
import { DiagnosticError, error, toDiagnostics } from './diagnostics';
import type { Context, Resource } from './resource';
import { objectType } from './schema';
import { settle } from './settle';
import { unableTo } from './titles';
import { isObject } from './value';
import type { Value, ValueObject } from './value';

/** The object as it is now. A failure keeps the state: silence is no proof that something is gone. */
export async function readState<Configured>(
  resource: Resource<Configured>,
  state: ValueObject,
  context: Context<Configured>,
): Promise<ValueObject | null> {
  try {
    const found = await resource.read(state, context);
    return found === null ? null : settle(resource.schema.attributes, found, state);
  } catch (failure) {
    toDiagnostics(failure, unableTo('Read', resource.noun, state), context.signal).forEach(context.report);
    return state;
  }
}

/** The little that an import id says, as a state; Terraform has it read at once. */
export function importState<Configured>(
  typeName: string,
  resource: Resource<Configured>,
  id: string,
): ValueObject {
  if (resource.import === undefined) {
    throw new DiagnosticError(
      error(`Unable to Import ${resource.noun}`, `Resources of type ${typeName} cannot be imported.`),
    );
  }
  return asState(resource, resource.import(id));
}

/** Lifts a stored state version by version to that of the schema. Called on every walk, mostly with nothing to do. */
export function upgradeState<Configured>(
  typeName: string,
  resource: Resource<Configured>,
  version: number,
  stored: Record<string, unknown>,
): ValueObject {
  const wanted = resource.schema.version;
  if (version > wanted) {
    throw new DiagnosticError(
      error(
        `Unable to Read State of ${typeName}`,
        `The state has schema version ${String(version)}, this provider knows ${String(wanted)}. ` +
          'It was written by a newer release: use that one or a newer.',
      ),
    );
  }
  let state = stored;
  for (let from = version; from < wanted; from += 1) {
    const lift = resource.upgrades?.[from];
    if (lift === undefined) {
      throw new DiagnosticError(
        error(
          `Unable to Upgrade State of ${typeName}`,
          `The state has schema version ${String(version)}, and there is no way from ${String(from)} to ${String(from + 1)}. ` +
            'Use a release of the provider that still knows it, apply once, then update.',
        ),
      );
    }
    state = lift(state);
  }
  return asState(resource, state as ValueObject);
}

function asState<Configured>(resource: Resource<Configured>, members: ValueObject): ValueObject {
  const state: Value = conform(members, objectType(resource.schema.attributes), 'state');
  if (!isObject(state)) throw new TypeError('state is not an object');
  return state;
}
