import type { ClassModel, Datamodel, Message } from '../datamodel/model';
import { ApiError, internalError } from '../errors';
import { unmarshal, type Value } from './unmarshal';
import { isCleanText, showRpc, type Rpc } from './value';

/**
 * Parameters of a call, behind the session, as values of the declared types.
 * @throws ApiError MESSAGE_PARAMETER_COUNT_MISMATCH, INTERNAL_ERROR for a wrong type.
 */
export function readParameters(message: Message, params: readonly Rpc[], model: Datamodel): Value[] {
  return message.parameters.map((parameter, index) => {
    const given = params[index];
    if (given === undefined) return parameter.initial as Value;
    if (parameter.type.kind !== 'record') return unmarshal(given, parameter.type);
    const owner = model.classes.get(parameter.type.of);
    if (owner === undefined) throw internalError(`class ${parameter.type.of} does not exist in this release`);
    return readConstructor(given, owner);
  });
}

/**
 * Too few, or too many where no parameter is optional. A surplus behind optional parameters is taken without a word. The
 * numbers leave the session out, so a call without any argument counts -1.
 */
export function checkCount(message: Message, given: number): void {
  const tooMany = message.required === message.parameters.length && given > message.required;
  if (given >= message.required && !tooMany) return;
  throw new ApiError(
    'MESSAGE_PARAMETER_COUNT_MISMATCH',
    message.full,
    String(message.required),
    String(given),
  );
}

/** The struct that `Class.create` takes: unknown members are ignored, missing ones get defaults or fail. */
function readConstructor(given: Rpc, owner: ClassModel): Value {
  if (given.kind !== 'dict') throw internalError('Failure("bad __structure")');
  const members = new Map(given.members);
  const record: Record<string, Value> = {};
  for (const field of owner.fields.values()) {
    if (field.constructor === 'absent') continue;
    const member = members.get(field.name);
    if (member !== undefined) record[field.name] = unmarshal(member, field.type);
    else if (field.constructor === 'required')
      throw internalError(`Server_helpers.Dispatcher_FieldNotFound("${field.name}")`);
    else record[field.name] = field.initial as Value;
  }
  return record;
}

/** The first string that holds a character the server does not take, or null. */
export function findDirtyText(params: readonly Rpc[]): string | null {
  for (const value of params) {
    const found = dirtyIn(value);
    if (found !== null) return found;
  }
  return null;
}

function dirtyIn(value: Rpc): string | null {
  switch (value.kind) {
    case 'string':
      return isCleanText(value.text) ? null : showRpc(value);
    case 'list':
      return findDirtyText(value.items);
    case 'dict':
      return (
        findDirtyText(value.members.map(([name]) => ({ kind: 'string', text: name }))) ??
        findDirtyText(value.members.map(([, member]) => member))
      );
    default:
      return null;
  }
}
