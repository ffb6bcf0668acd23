import type { Handler, Handlers } from '../pool/call';

export const tasks = {
  'task.create': ({ pool, args, session, host }) =>
    pool.tasks.create({
      label: args.text(0),
      description: args.text(1),
      sessionRef: session,
      hostRef: pool.hosts.includes(host) ? host.ref : pool.coordinator.ref,
    }),
  'task.destroy': ({ pool, args }) => {
    pool.db.row('task', args.text(0));
    pool.tasks.destroy(args.text(0));
    return '';
  },
  /** Only marks the task: whoever works on it may look at the mark, and disk transfers never do. */
  'task.cancel': ({ pool, args, task }) => {
    const before = pool.db.map('task', args.text(0), 'current_operations');
    if (pool.tasks.isPending(args.text(0)) && !Object.values(before).includes('cancel'))
      pool.db.set('task', args.text(0), 'current_operations', { ...before, [task]: 'cancel' });
    return '';
  },
  'task.set_status': setter('status'),
  'task.set_progress': ({ pool, args }) => {
    pool.db.set('task', args.text(0), 'progress', args.value(1));
    pool.tasks.noteProgress(args.text(0));
    return '';
  },
  'task.set_result': setter('result'),
  'task.set_error_info': setter('error_info'),
  'task.set_resident_on': setter('resident_on'),
  'task.set_other_config': setter('other_config'),
  'task.add_to_other_config': ({ pool, args }) => {
    pool.db.addToMap('task', args.text(0), 'other_config', args.text(1), args.text(2));
    return '';
  },
  'task.remove_from_other_config': ({ pool, args }) => {
    pool.db.removeFromMap('task', args.text(0), 'other_config', args.text(1));
    return '';
  },
} satisfies Handlers;

/** Writes the field as it is told, even on a task that has ended. */
function setter(field: string): Handler {
  return ({ pool, args }) => {
    pool.db.set('task', args.text(0), field, args.value(1));
    return '';
  };
}
