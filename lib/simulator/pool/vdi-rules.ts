import type { Database } from '../database/database';
import { flag, list, map, text } from '../database/row';
import type { Row } from '../database/table';
import { ApiError } from '../errors';

/** Operations that a disk may undergo while it is plugged in somewhere. */
const live = new Set([
  'snapshot',
  'clone',
  'resize_online',
  'enable_cbt',
  'disable_cbt',
  'mirror',
  'blocked',
  'set_on_boot',
]);
/** All that a VDI without data still allows. */
const onMetadata = new Set([
  'destroy',
  'data_destroy',
  'list_changed_blocks',
  'forget',
  'update',
  'blocked',
  'force_unlock',
  'generate_config',
]);
/** `allowed_operations` never names newer ones, although they work. */
const advertised = ['clone', 'copy', 'destroy', 'forget', 'resize', 'snapshot', 'update'];

type Refusal = readonly [code: string, ...params: string[]] | null;

/**
 * Whether `operation` may start on a VDI now.
 * @throws ApiError VDI_IN_USE, VDI_INCOMPATIBLE_TYPE, OTHER_OPERATION_IN_PROGRESS, …
 */
export function checkVdiOperation(db: Database, vdi: string, operation: string): void {
  const refusal = refuse(db, vdi, db.row('VDI', vdi), operation);
  if (refusal !== null) throw new ApiError(...refusal);
}

function refuse(db: Database, vdi: string, row: Row, operation: string): Refusal {
  if (text(row, 'type') === 'cbt_metadata' && !onMetadata.has(operation))
    return ['VDI_INCOMPATIBLE_TYPE', vdi, 'CBT metadata'];
  const current = Object.entries(map(row, 'current_operations')).find(([, name]) => name !== 'copy');
  if (current !== undefined) return ['OTHER_OPERATION_IN_PROGRESS', 'VDI', vdi, current[1], current[0]];
  const attached = list(row, 'VBDs').filter((vbd) => db.flag('VBD', vbd, 'currently_attached'));
  if (attached.length > 0 && !live.has(operation) && !readersOnly(db, attached, operation))
    return ['VDI_IN_USE', vdi, operation];
  if (operation === 'snapshot' && Object.values(map(row, 'current_operations')).includes('copy'))
    return ['OPERATION_NOT_ALLOWED', 'Snapshot operation not allowed during copy.'];
  if (operation === 'destroy' && !flag(row, 'managed')) return ['VDI_NOT_MANAGED', vdi];
  return null;
}

function readersOnly(db: Database, attached: readonly string[], operation: string): boolean {
  return operation === 'copy' && attached.every((vbd) => db.text('VBD', vbd, 'mode') === 'RO');
}

/** Writes `allowed_operations` of a VDI anew. */
export function refreshVdi(db: Database, vdi: string): void {
  if (!db.exists('VDI', vdi)) return;
  const row = db.row('VDI', vdi);
  const allowed = advertised.filter((operation) => refuse(db, vdi, row, operation) === null);
  db.set('VDI', vdi, 'allowed_operations', allowed);
}

/** Writes `allowed_operations` of a VBD anew: what can be done with it depends on its VM. */
export function refreshVbd(db: Database, vbd: string): void {
  if (!db.exists('VBD', vbd)) return;
  const row = db.row('VBD', vbd);
  const vm = text(row, 'VM');
  if (!db.exists('VM', vm) || db.flag('VM', vm, 'is_a_snapshot')) {
    db.set('VBD', vbd, 'allowed_operations', []);
    return;
  }
  const attached = flag(row, 'currently_attached');
  const media = text(row, 'type') === 'CD' ? [flag(row, 'empty') ? 'insert' : 'eject'] : [];
  const plugging = attached
    ? ['unplug', 'unplug_force']
    : db.text('VM', vm, 'power_state') === 'Running'
      ? ['plug']
      : [];
  db.set('VBD', vbd, 'allowed_operations', ['attach', ...plugging, ...media]);
}

/** Writes `allowed_operations` of a VIF anew. */
export function refreshVif(db: Database, vif: string): void {
  if (!db.exists('VIF', vif)) return;
  const attached = db.flag('VIF', vif, 'currently_attached');
  db.set('VIF', vif, 'allowed_operations', attached ? ['attach', 'unplug'] : ['attach']);
}
