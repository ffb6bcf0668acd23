import { ApiError } from '../errors';
import type { Call, Handlers } from '../pool/call';
import { permissionsOf } from '../pool/roles';

export const sessions = {
  'session.login_with_password': login,
  'session.slave_local_login_with_password': login,
  'session.slave_login': ({ args }) => {
    throw new ApiError('SESSION_AUTHENTICATION_FAILED', args.text(0), 'Pool credentials invalid');
  },
  'session.slave_local_login': ({ args }) => {
    throw new ApiError('SESSION_AUTHENTICATION_FAILED', args.text(0), 'Pool credentials invalid');
  },
  'session.logout': ({ pool, session }) => {
    pool.sessions.close(session);
    return '';
  },
  'session.local_logout': ({ pool, session }) => {
    pool.sessions.close(session);
    return '';
  },
  'session.get_all_subject_identifiers': () => [],
  'session.logout_subject_identifier': () => '',
} satisfies Handlers;

/** The answer to a wrong password comes late. */
async function login({ pool, host, args, signal }: Call): Promise<string> {
  const user = pool.users.find((candidate) => candidate.name === args.text(0));
  if (user === undefined || user.password !== args.text(1)) {
    await pool.clock.sleep(pool.wrongPasswordDelayMs, signal);
    throw new ApiError('SESSION_AUTHENTICATION_FAILED', args.text(0), 'Authentication failure');
  }
  const superuser = user.role === 'pool-admin';
  return pool.sessions.open({
    user: user.name,
    originator: args.text(3),
    hostRef: host.ref,
    superuser,
    permissions: superuser ? [] : permissionsOf(pool, user.role),
  });
}
