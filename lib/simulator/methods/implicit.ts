import type { Field, Message } from '../datamodel/model';
import { parseFilter } from '../database/filter';
import { list, text } from '../database/row';
import { ApiError } from '../errors';
import type { Call, Handler } from '../pool/call';
import type { Value } from '../rpc/unmarshal';

/**
 * The messages that exist for every class or field: `get_all`, `get_record`, getters, setters, map and set changes. They
 * answer from the database. Gives undefined for a message that is none of these.
 */
export function implicitHandler(message: Message, fields: ReadonlyMap<string, Field>): Handler | undefined {
  return (
    wholeClass(message) ??
    getter(message, fields) ??
    (message.implicit ? changer(message, fields) : undefined)
  );
}

/** Setters of fields that take any value of their type, although the datamodel declares them as messages of their own. */
export function plainSetter(message: Message, fields: ReadonlyMap<string, Field>): Handler | undefined {
  return changer(message, fields);
}

function wholeClass(message: Message): Handler | undefined {
  const owner = message.owner;
  switch (message.name) {
    case 'get_all':
      return ({ pool }) => pool.db.table(owner).refs();
    case 'get_all_records':
      return ({ pool }) => Object.fromEntries(pool.db.table(owner).rows());
    case 'get_all_where':
      return (call) => Object.keys(selected(call, owner));
    case 'get_all_records_where':
      return (call) => selected(call, owner);
    case 'get_record':
      return ({ pool, args }) => pool.db.row(owner, args.text(0));
    case 'get_by_uuid':
      return ({ pool, args }) => {
        const ref = pool.db.table(owner).refOfUuid(args.text(0));
        if (ref === undefined) throw new ApiError('UUID_INVALID', owner, args.text(0));
        return ref;
      };
    case 'get_by_name_label':
      return ({ pool, args }) =>
        [...pool.db.table(owner).rows()]
          .filter(([, row]) => text(row, 'name_label') === args.text(0))
          .map(([ref]) => ref);
    default:
      return undefined;
  }
}

function selected({ pool, args }: Call, owner: string): Record<string, Value> {
  const matches = parseFilter(args.text(0));
  return Object.fromEntries([...pool.db.table(owner).rows()].filter(([ref, row]) => matches(ref, row)));
}

function getter(message: Message, fields: ReadonlyMap<string, Field>): Handler | undefined {
  if (!message.name.startsWith('get_') || message.parameters.length !== 1) return undefined;
  const field = fields.get(message.name.slice(4));
  if (field === undefined) return undefined;
  return ({ pool, args }) => pool.db.row(message.owner, args.text(0))[field.name] ?? (field.initial as Value);
}

function changer(message: Message, fields: ReadonlyMap<string, Field>): Handler | undefined {
  const parts = /^(set|add_to|remove_from|add|remove)_(.+)$/.exec(message.name);
  const [, verb = '', name = ''] = parts ?? [];
  const field = fields.get(name);
  if (field === undefined) return undefined;
  const { owner } = message;
  switch (verb) {
    case 'set':
      return ({ pool, args }) => {
        refuseEmptyKey(args.value(1), field);
        pool.db.set(owner, args.text(0), name, args.value(1));
        return '';
      };
    case 'add_to':
      return ({ pool, args }) => {
        pool.db.addToMap(owner, args.text(0), name, args.text(1), args.text(2));
        return '';
      };
    case 'remove_from':
      return ({ pool, args }) => {
        pool.db.removeFromMap(owner, args.text(0), name, args.text(1));
        return '';
      };
    default:
      return (call) => changeSet(call, owner, name, verb === 'add');
  }
}

function refuseEmptyKey(value: Value, field: Field): void {
  if (field.type.kind !== 'map' || typeof value !== 'object') return;
  if (Object.hasOwn(value, '')) throw new ApiError('INTERNAL_ERROR', 'Db_exn.Empty_key_in_map');
}

/** Sets keep the newest member first; adding a member twice changes nothing. */
function changeSet({ pool, args }: Call, owner: string, field: string, add: boolean): Value {
  const before = list(pool.db.row(owner, args.text(0)), field);
  const member = args.text(1);
  if (add && !before.includes(member)) pool.db.set(owner, args.text(0), field, [member, ...before]);
  if (!add && before.includes(member))
    pool.db.set(
      owner,
      args.text(0),
      field,
      before.filter((other) => other !== member),
    );
  return '';
}
