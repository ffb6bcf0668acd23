import { formatDate } from '../clock';
import { flag, int, list, text } from '../database/row';
import { ApiError } from '../errors';
import { attachVbd, detachVbd, pluggedHosts } from '../pool/attach';
import type { Call, Handlers } from '../pool/call';
import type { Host } from '../pool/host';
import type { Pool } from '../pool/pool';
import { refreshVif } from '../pool/vdi-rules';
import { announce } from './vm-create';
import { vmOperation } from './vm-operation';
import { checkVmOperation, refreshVm } from './vm-rules';

/** Starting, stopping and all between. There is no hypervisor: a started VM is one whose records say so. */
export const vmPower = {
  'VM.start': (call) =>
    start(call, 'start', () => chooseHost(call.pool, call.args.text(0)), call.args.flag(1)),
  'VM.start_on': (call) => {
    call.pool.db.row('host', call.args.text(1));
    return start(call, 'start_on', () => call.pool.hostOf(call.args.text(1)), call.args.flag(2));
  },
  'VM.hard_shutdown': (call) => stop(call, 'hard_shutdown'),
  'VM.clean_shutdown': (call) => stop(call, 'clean_shutdown'),
  'VM.shutdown': (call) => stop(call, 'shutdown'),
  'VM.hard_reboot': (call) => reboot(call, 'hard_reboot'),
  'VM.clean_reboot': (call) => reboot(call, 'clean_reboot'),
  'VM.pause': (call) => change(call, 'pause', 'Paused'),
  'VM.unpause': (call) => change(call, 'unpause', 'Running'),
  'VM.suspend': (call) => refuseAfterCheck(call, 'suspend'),
  'VM.resume': (call) => refuseAfterCheck(call, 'resume'),
  'VM.resume_on': (call) => refuseAfterCheck(call, 'resume_on'),
  'VM.pool_migrate': poolMigrate,
  'VM.migrate_send': (call) => refuseAfterCheck(call, 'migrate_send'),
  'VM.send_sysrq': (call) => refuseAfterCheck(call, 'send_sysrq'),
  'VM.send_trigger': (call) => refuseAfterCheck(call, 'send_trigger'),
  'VM.power_state_reset': ({ pool, args }) => {
    pool.db.row('VM', args.text(0));
    if (pool.db.text('VM', args.text(0), 'power_state') !== 'Halted') stopVm(pool, args.text(0));
    return '';
  },
  'VM.assert_operation_valid': ({ pool, args }) => {
    checkVmOperation(pool.db, args.text(0), args.text(1));
    return '';
  },
  'VM.update_allowed_operations': ({ pool, args }) => {
    pool.db.row('VM', args.text(0));
    refreshVm(pool.db, args.text(0));
    return '';
  },
  'VM.assert_can_boot_here': ({ pool, args }) => {
    pool.db.row('VM', args.text(0));
    assertCanRun(pool, args.text(0), pool.hostOf(args.text(1)));
    return '';
  },
  'VM.get_possible_hosts': ({ pool, args }) => {
    pool.db.row('VM', args.text(0));
    return pool.hosts.filter((host) => canRun(pool, args.text(0), host)).map((host) => host.ref);
  },
  'VM.get_cooperative': () => true,
} satisfies Handlers;

async function start(call: Call, operation: string, choose: () => Host, paused: boolean): Promise<string> {
  const { pool } = call;
  const vm = call.args.text(0);
  await vmOperation(call, operation, () => {
    assertStartable(pool, vm);
    const host = choose();
    assertCanRun(pool, vm, host);
    startVm(pool, vm, host, paused ? 'Paused' : 'Running');
  });
  announce(call, 'VM_STARTED', vm, `VM '${pool.db.text('VM', vm, 'name_label')}' started`);
  return '';
}

async function stop(call: Call, operation: string): Promise<string> {
  const vm = call.args.text(0);
  await vmOperation(call, operation, () => stopVm(call.pool, vm));
  announce(call, 'VM_SHUTDOWN', vm, `VM '${call.pool.db.text('VM', vm, 'name_label')}' shutdown forcibly`);
  return '';
}

async function reboot(call: Call, operation: string): Promise<string> {
  const vm = call.args.text(0);
  await vmOperation(call, operation, () => {
    const host = call.pool.hostOf(call.pool.db.text('VM', vm, 'resident_on'));
    stopVm(call.pool, vm);
    startVm(call.pool, vm, host, 'Running');
  });
  return '';
}

async function change(call: Call, operation: string, state: string): Promise<string> {
  await vmOperation(call, operation, () => call.pool.db.set('VM', call.args.text(0), 'power_state', state));
  return '';
}

/** Checks of the server first; then says that the simulated hypervisor cannot do it. */
async function refuseAfterCheck(call: Call, operation: string): Promise<string> {
  await vmOperation(call, operation, () => {
    throw new ApiError('NOT_IMPLEMENTED', `${call.method}: there is no hypervisor behind the simulated pool`);
  });
  return '';
}

async function poolMigrate(call: Call): Promise<string> {
  const { pool, args } = call;
  const vm = args.text(0);
  await vmOperation(call, 'pool_migrate', () => {
    const host = pool.hostOf(args.text(1));
    assertCanRun(pool, vm, host);
    stopVm(pool, vm);
    startVm(pool, vm, host, 'Running');
  });
  return '';
}

/** Memory and VCPUs are checked here for the first time. */
function assertStartable(pool: Pool, vm: string): void {
  const row = pool.db.row('VM', vm);
  const limits = ['memory_static_min', 'memory_dynamic_min', 'memory_dynamic_max', 'memory_static_max'];
  const bytes = limits.map((field) => int(row, field));
  if (bytes.some((value, index) => index > 0 && value < (bytes[index - 1] ?? 0)))
    throw new ApiError('MEMORY_CONSTRAINT_VIOLATION');
  const vcpus = int(row, 'VCPUs_max');
  if (vcpus < 1) throw new ApiError('INVALID_VALUE', 'VCPUs_max', String(vcpus));
  if (int(row, 'VCPUs_at_startup') > vcpus || int(row, 'VCPUs_at_startup') < 1)
    throw new ApiError(
      'VALUE_NOT_SUPPORTED',
      'VCPUs-at-startup',
      String(int(row, 'VCPUs_at_startup')),
      'value must be no greater than VCPUs-max',
    );
}

/** The VM's affinity if it can run there, else the first host that can. */
function chooseHost(pool: Pool, vm: string): Host {
  const able = pool.hosts.filter((host) => canRun(pool, vm, host));
  const preferred = pool.db.text('VM', vm, 'affinity');
  const host = able.find((candidate) => candidate.ref === preferred) ?? able[0];
  if (host !== undefined) return host;
  if (pool.hosts.length === 1 && pool.hosts[0] !== undefined) assertCanRun(pool, vm, pool.hosts[0]);
  throw new ApiError('NO_HOSTS_AVAILABLE');
}

function canRun(pool: Pool, vm: string, host: Host): boolean {
  try {
    assertCanRun(pool, vm, host);
    return true;
  } catch (error) {
    if (error instanceof ApiError) return false;
    throw error;
  }
}

/** @throws ApiError HOST_OFFLINE, HOST_DISABLED, VM_REQUIRES_SR, HOST_NOT_ENOUGH_FREE_MEMORY */
function assertCanRun(pool: Pool, vm: string, host: Host): void {
  const { db } = pool;
  if (pool.offline.has(host.ref)) throw new ApiError('HOST_OFFLINE', host.ref);
  if (!db.flag('host', host.ref, 'enabled')) throw new ApiError('HOST_DISABLED', host.ref);
  for (const vbd of db.list('VM', vm, 'VBDs')) {
    const vdi = db.text('VBD', vbd, 'VDI');
    if (!db.exists('VDI', vdi)) continue;
    const sr = db.text('VDI', vdi, 'SR');
    if (!pluggedHosts(pool, sr).includes(host.ref)) throw new ApiError('VM_REQUIRES_SR', vm, sr);
  }
  const metrics = db.row('host_metrics', db.text('host', host.ref, 'metrics'));
  const needed = int(db.row('VM', vm), 'memory_static_max');
  if (needed > int(metrics, 'memory_free'))
    throw new ApiError('HOST_NOT_ENOUGH_FREE_MEMORY', String(needed), String(int(metrics, 'memory_free')));
}

/** Marks a VM as running on a host, with its devices plugged. */
export function startVm(pool: Pool, vm: string, host: Host, state: 'Running' | 'Paused'): void {
  const { db } = pool;
  const plugged: string[] = [];
  try {
    db.set('VM', vm, 'resident_on', host.ref);
    for (const vbd of db.list('VM', vm, 'VBDs')) {
      attachVbd(pool, vbd, host);
      plugged.push(vbd);
    }
  } catch (error) {
    for (const vbd of plugged) detachVbd(pool, vbd, host);
    db.set('VM', vm, 'resident_on', 'OpaqueRef:NULL');
    throw error;
  }
  for (const vif of db.list('VM', vm, 'VIFs')) {
    db.set('VIF', vif, 'currently_attached', true);
    refreshVif(db, vif);
  }
  const now = formatDate(pool.clock.now());
  const row = db.row('VM', vm);
  db.update('VM_metrics', text(row, 'metrics'), {
    start_time: now,
    last_updated: now,
    memory_actual: int(row, 'memory_dynamic_max'),
    VCPUs_number: int(row, 'VCPUs_at_startup'),
    current_domain_type: text(row, 'domain_type') === '' ? 'unspecified' : text(row, 'domain_type'),
    hvm: text(row, 'HVM_boot_policy') !== '',
  });
  changeFreeMemory(pool, host, -int(row, 'memory_static_max'));
  db.update('VM', vm, {
    power_state: state,
    domid: pool.nextDomain(),
    scheduled_to_be_resident_on: 'OpaqueRef:NULL',
  });
  refreshVm(db, vm);
}

/** Marks a VM as halted, with its devices unplugged. */
export function stopVm(pool: Pool, vm: string): void {
  const { db } = pool;
  const host = pool.hosts.find((candidate) => candidate.ref === db.text('VM', vm, 'resident_on'));
  if (host !== undefined) {
    for (const vbd of list(db.row('VM', vm), 'VBDs')) detachVbd(pool, vbd, host);
    changeFreeMemory(pool, host, int(db.row('VM', vm), 'memory_static_max'));
  }
  for (const vif of db.list('VM', vm, 'VIFs')) {
    if (flag(db.row('VIF', vif), 'currently_attached')) db.set('VIF', vif, 'currently_attached', false);
    refreshVif(db, vif);
  }
  db.update('VM', vm, { power_state: 'Halted', resident_on: 'OpaqueRef:NULL', domid: -1 });
  refreshVm(db, vm);
}

function changeFreeMemory(pool: Pool, host: Host, bytes: number): void {
  const metrics = pool.db.text('host', host.ref, 'metrics');
  const free = int(pool.db.row('host_metrics', metrics), 'memory_free');
  pool.db.set('host_metrics', metrics, 'memory_free', free + bytes);
}
