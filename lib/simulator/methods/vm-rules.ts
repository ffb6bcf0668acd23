import type { Database } from '../database/database';
import { flag, list, map, text } from '../database/row';
import type { Row } from '../database/table';
import { ApiError } from '../errors';

const any = ['Halted', 'Paused', 'Suspended', 'Running'];
const alive = ['Paused', 'Suspended', 'Running'];

/** Power states in which an operation may start; the order is that of the error's text. */
const states: Readonly<Record<string, readonly string[]>> = {
  start: ['Halted'],
  start_on: ['Halted'],
  provision: ['Halted'],
  make_into_template: ['Halted'],
  changing_NVRAM: ['Halted'],
  changing_shadow_memory: ['Halted'],
  create_vtpm: ['Halted'],
  changing_VCPUs: ['Halted'],
  changing_static_range: ['Halted'],
  changing_memory_limits: ['Halted'],
  clone: ['Halted'],
  copy: ['Halted'],
  changing_dynamic_range: ['Halted', 'Running'],
  destroy: ['Halted', 'Suspended'],
  export: ['Halted', 'Suspended'],
  create_template: ['Halted', 'Suspended'],
  migrate_send: ['Halted', 'Suspended', 'Running'],
  snapshot: any,
  metadata_export: any,
  revert: any,
  power_state_reset: any,
  assert_operation_valid: any,
  update_allowed_operations: any,
  query_services: any,
  checkpoint: alive,
  shutdown: alive,
  hard_shutdown: alive,
  get_boot_record: alive,
  hard_reboot: ['Paused', 'Running'],
  resume: ['Suspended'],
  resume_on: ['Suspended'],
  csvm: ['Suspended'],
  unpause: ['Paused'],
};

/** All others need a running VM. */
const running = ['Running'];

/** What `allowed_operations` may name; the check itself knows more operations. */
const advertised = [
  'changing_NVRAM',
  'changing_VCPUs_live',
  'changing_dynamic_range',
  'changing_shadow_memory',
  'changing_static_range',
  'checkpoint',
  'clean_reboot',
  'clean_shutdown',
  'clone',
  'copy',
  'create_vtpm',
  'destroy',
  'export',
  'hard_reboot',
  'hard_shutdown',
  'make_into_template',
  'metadata_export',
  'migrate_send',
  'pause',
  'pool_migrate',
  'provision',
  'resume',
  'resume_on',
  'revert',
  'snapshot',
  'start',
  'start_on',
  'suspend',
  'unpause',
];

const onTemplates = new Set([
  'changing_dynamic_range',
  'changing_static_range',
  'changing_memory_limits',
  'changing_shadow_memory',
  'changing_VCPUs',
  'changing_NVRAM',
  'clone',
  'copy',
  'export',
  'metadata_export',
  'provision',
]);
const onSnapshots = new Set([
  'revert',
  'clone',
  'copy',
  'export',
  'destroy',
  'hard_shutdown',
  'metadata_export',
]);
const onControlDomains = new Set(['changing_dynamic_range', 'changing_static_range', 'metadata_export']);

/** A running guest without its agent cannot be asked to do these. */
const needGuestAgent = new Set([
  'clean_shutdown',
  'clean_reboot',
  'suspend',
  'checkpoint',
  'pool_migrate',
  'migrate_send',
  'changing_VCPUs_live',
]);

/** Groups of operations that may run side by side. */
const together = [new Set(['clone', 'copy', 'export']), new Set(['snapshot', 'checkpoint'])];

/** Code and parameters of the error that forbids an operation; null where nothing does. */
type Refusal = readonly [code: string, ...params: string[]] | null;

/**
 * Whether `operation` may start on a VM now. The first failing check in the server's order decides: blocked, power state,
 * operation in progress, template, snapshot, the rest.
 * @throws ApiError
 */
export function checkVmOperation(db: Database, vm: string, operation: string): void {
  const refusal = refuse(db, vm, db.row('VM', vm), operation);
  if (refusal !== null) throw new ApiError(...refusal);
}

function refuse(db: Database, vm: string, row: Row, operation: string): Refusal {
  const blocked = map(row, 'blocked_operations')[operation];
  if (blocked !== undefined) return ['OPERATION_BLOCKED', vm, blocked];
  if (flag(row, 'is_control_domain') && onControlDomains.has(operation)) return null;
  return (
    refusePowerState(row, vm, operation) ??
    refuseBesideOthers(row, vm, operation) ??
    refuseTemplate(row, vm, operation) ??
    refuseRest(db, row, vm, operation)
  );
}

/** The states in the error are lower case. */
function refusePowerState(row: Row, vm: string, operation: string): Refusal {
  const actual = text(row, 'power_state');
  const allowed = states[operation] ?? running;
  if (allowed.includes(actual)) return null;
  if (flag(row, 'is_a_snapshot') && actual === 'Suspended' && ['clone', 'copy'].includes(operation))
    return null;
  return ['VM_BAD_POWER_STATE', vm, allowed.join(', ').toLowerCase(), actual.toLowerCase()];
}

function refuseBesideOthers(row: Row, vm: string, operation: string): Refusal {
  const current = Object.entries(map(row, 'current_operations')).filter(
    ([, other]) => !compatible(operation, other),
  );
  if (current.length === 0) return null;
  const show = (items: readonly string[]): string =>
    items.length === 1 ? (items[0] ?? '') : `{${items.join(',')}}`;
  const [names, tasks] = [current.map(([, other]) => other), current.map(([task]) => task)];
  return ['OTHER_OPERATION_IN_PROGRESS', 'VM', vm, show(names), show(tasks)];
}

function compatible(operation: string, other: string): boolean {
  if (other === 'get_boot_record' || operation === 'get_boot_record') return true;
  if (operation === 'hard_shutdown') return other !== 'hard_shutdown';
  if (operation === 'hard_reboot') return other !== 'hard_shutdown' && other !== 'hard_reboot';
  if (other === 'migrate_send')
    return ['metadata_export', 'clean_shutdown', 'clean_reboot'].includes(operation);
  return together.some((group) => group.has(operation) && group.has(other));
}

function refuseTemplate(row: Row, vm: string, operation: string): Refusal {
  const snapshot = flag(row, 'is_a_snapshot');
  if (flag(row, 'is_a_template') && !snapshot) {
    const own = !isDefaultTemplate(row) && (operation === 'destroy' || operation === 'migrate_send');
    if (!onTemplates.has(operation) && !own) return ['VM_IS_TEMPLATE', vm, operation];
  }
  return snapshot && !onSnapshots.has(operation) ? ['VM_IS_SNAPSHOT', vm, operation] : null;
}

function refuseRest(db: Database, row: Row, vm: string, operation: string): Refusal {
  if (operation === 'provision' && !flag(row, 'is_a_template')) return ['PROVISION_ONLY_ALLOWED_ON_TEMPLATE'];
  if (operation === 'revert' && !flag(row, 'is_a_snapshot')) return ['ONLY_REVERT_SNAPSHOT'];
  if (flag(row, 'is_control_domain'))
    return ['OPERATION_NOT_ALLOWED', 'This operation is not allowed on a control domain'];
  if (text(row, 'power_state') === 'Running' && needGuestAgent.has(operation) && !hasGuestAgent(db, row))
    return ['VM_LACKS_FEATURE', vm];
  if (['snapshot', 'checkpoint', 'suspend'].includes(operation) && hasResetDisk(db, row))
    return ['VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION'];
  return null;
}

/** Older releases have no field for it and mark default templates in `other_config`. */
export function isDefaultTemplate(row: Row): boolean {
  return flag(row, 'is_default_template') || map(row, 'other_config')['default_template'] === 'true';
}

function hasGuestAgent(db: Database, row: Row): boolean {
  const metrics = text(row, 'guest_metrics');
  return db.exists('VM_guest_metrics', metrics);
}

function hasResetDisk(db: Database, row: Row): boolean {
  return list(row, 'VBDs').some((vbd) => {
    const vdi = db.text('VBD', vbd, 'VDI');
    return db.exists('VDI', vdi) && db.text('VDI', vdi, 'on_boot') === 'reset';
  });
}

/** Writes `allowed_operations` anew: advice for clients, recalculated at certain moments only. */
export function refreshVm(db: Database, vm: string): void {
  if (!db.exists('VM', vm)) return;
  const row = db.row('VM', vm);
  const known = operationNames(db);
  const allowed = advertised.filter(
    (operation) => known.has(operation) && refuse(db, vm, row, operation) === null,
  );
  db.set('VM', vm, 'allowed_operations', allowed);
}

function operationNames(db: Database): ReadonlySet<string> {
  const field = db.model.classes.get('VM')?.fields.get('allowed_operations');
  const of = field?.type.kind === 'set' ? field.type.of : undefined;
  return new Set(of?.kind === 'enum' ? of.values.values() : []);
}
