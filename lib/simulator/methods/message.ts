import { parseDate } from '../clock';
import { text } from '../database/row';
import type { Row } from '../database/table';
import { ApiError } from '../errors';
import type { Call, Handlers } from '../pool/call';
import type { Pool } from '../pool/pool';

/** Notes that the server leaves for administrators: "VM started" and the like. */
export const messages = {
  'message.create': ({ pool, args }) => {
    const uuid = args.text(3);
    const known = [...pool.db.tables()].some(([, table]) => table.refOfUuid(uuid) !== undefined);
    if (!known) throw new ApiError('UUID_INVALID', args.text(2), uuid);
    return pool.announce(args.text(0), args.text(2), uuid, args.text(4), args.int(1));
  },
  'message.destroy': ({ pool, args }) => {
    pool.db.row('message', args.text(0));
    pool.db.destroy('message', args.text(0));
    return '';
  },
  'message.destroy_many': ({ pool, args }) => {
    for (const ref of args.list(0)) pool.db.destroy('message', ref);
    return '';
  },
  'message.get_since': ({ pool, args }) => since(pool, args.text(0)),
  'message.get': get,
} satisfies Handlers;

function since(pool: Pool, date: string): Record<string, Row> {
  const rows = [...pool.db.table('message').rows()];
  return Object.fromEntries(rows.filter(([, row]) => parseDate(text(row, 'timestamp')) > parseDate(date)));
}

function get({ pool, args }: Call): Record<string, Row> {
  return Object.fromEntries(
    Object.entries(since(pool, args.text(2))).filter(
      ([, row]) => text(row, 'cls') === args.text(0) && text(row, 'obj_uuid') === args.text(1),
    ),
  );
}
