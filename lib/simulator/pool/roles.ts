import type { Message } from '../datamodel/model';
import { ApiError } from '../errors';
import type { Pool } from './pool';

/** Roles from the weakest to the strongest; each may do what the ones before it may. */
export const roles = [
  'read-only',
  'vm-operator',
  'vm-admin',
  'vm-power-admin',
  'pool-operator',
  'pool-admin',
] as const;
export type Role = (typeof roles)[number];

/** Messages that a weaker role than pool-operator may send, besides reading. */
const vmAdminClasses = new Set([
  'VM',
  'VDI',
  'VBD',
  'VIF',
  'VTPM',
  'task',
  'VGPU',
  'VUSB',
  'console',
  'blob',
]);
const vmOperatorMessages =
  /^VM\.(start|start_on|clean_shutdown|clean_reboot|hard_shutdown|hard_reboot|shutdown|suspend|resume|pause|unpause)$/;
const reading = /^(get_|assert_|compute_)|^(from|next|register|unregister|inject|query_)/;
const poolAdminMessages = /^(user|subject|role|auth|secret)\.|^pool\.(join|eject|emergency_|recover_)/;

/** The weakest role that may send a message. */
export function neededRole(message: Message): Role {
  if (reading.test(message.name) || message.owner === 'session') return 'read-only';
  if (vmOperatorMessages.test(message.full)) return 'vm-operator';
  if (/^task\.(create|destroy|cancel|set_|add_|remove_)/.test(message.full)) return 'read-only';
  if (vmAdminClasses.has(message.owner)) return 'vm-admin';
  if (poolAdminMessages.test(message.full)) return 'pool-admin';
  return 'pool-operator';
}

/** @throws ApiError RBAC_PERMISSION_DENIED [permission, message] */
export function permits(pool: Pool, session: string, message: Message): void {
  if (!pool.sessions.exists(session) || pool.db.flag('session', session, 'is_local_superuser')) return;
  if (pool.db.list('session', session, 'rbac_permissions').includes(message.full.toLowerCase())) return;
  throw new ApiError(
    'RBAC_PERMISSION_DENIED',
    message.full.toLowerCase(),
    `No permission in user session. (Roles with this permission: ${stronger(neededRole(message)).join(', ')})`,
  );
}

function stronger(role: Role): readonly Role[] {
  return roles.slice(roles.indexOf(role));
}

/** The permissions that a role has, as `session.get_rbac_permissions` lists them. */
export function permissionsOf(pool: Pool, role: string): string[] {
  const rank = roles.indexOf(role as Role);
  return [...pool.model.classes.values()].flatMap((owner) =>
    [...owner.messages.values()]
      .filter((message) => roles.indexOf(neededRole(message)) <= rank)
      .map((message) => message.full.toLowerCase()),
  );
}
