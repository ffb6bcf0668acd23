import type { Handlers } from '../pool/call';

export const events = {
  'event.from': ({ pool, session, args, signal }) =>
    pool.events.from({
      session,
      signal,
      specs: args.list(0),
      token: args.text(1),
      timeoutS: Number(args.value(2)),
    }),
  'event.inject': ({ pool, args }) => pool.events.inject(args.text(0), args.text(1)),
  'event.register': ({ pool, session, args }) => {
    pool.events.register(session, args.list(0));
    return '';
  },
  'event.unregister': ({ pool, session, args }) => {
    pool.events.unregister(session, args.list(0));
    return '';
  },
  'event.next': ({ pool, session, signal }) => pool.events.next(session, signal),
  'event.get_current_id': ({ pool }) => pool.db.generation,
} satisfies Handlers;
