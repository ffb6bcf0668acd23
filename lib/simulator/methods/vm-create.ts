import { list, map, text } from '../database/row';
import { ApiError } from '../errors';
import { destroyVbd } from '../pool/attach';
import type { Call, Handlers } from '../pool/call';
import type { Pool } from '../pool/pool';
import type { Value } from '../rpc/unmarshal';
import { vmOperation } from './vm-operation';
import { refreshVm } from './vm-rules';

/** Making and destroying VMs. */
export const vmCreation = {
  'VM.create': ({ pool, args }) => createVm(pool, args.value(0) as Readonly<Record<string, Value>>),
  'VM.destroy': async (call) => {
    await vmOperation(call, 'destroy', () => destroyVm(call.pool, call.args.text(0)));
    return '';
  },
} satisfies Handlers;

/** Members that the server accepts in the record and does not look at. */
const ignored = ['blocked_operations', 'protection_policy', 'snapshot_schedule', 'is_snapshot_from_vmpp'];

/** Makes a VM without disks and NICs. Nothing is checked here: bad memory or VCPUs show at start only. */
export function createVm(pool: Pool, given: Readonly<Record<string, Value>>): string {
  const { db } = pool;
  const values = Object.fromEntries(Object.entries(given).filter(([name]) => !ignored.includes(name)));
  const ref = pool.random.ref();
  if (given['power_state'] === 'Suspended')
    throw new ApiError('VM_BAD_POWER_STATE', ref, 'halted', 'suspended');
  const otherConfig = map(values, 'other_config');
  const domainType = deriveDomainType(values);
  db.create(
    'VM',
    {
      ...values,
      ...(otherConfig['mac_seed'] === undefined
        ? { other_config: { ...otherConfig, mac_seed: pool.random.uuid() } }
        : {}),
      power_state: 'Halted',
      domain_type: domainType,
      domid: -1,
      generation_id: text(values, 'generation_id') === '' ? '0:0' : text(values, 'generation_id'),
      hardware_platform_version: 2,
      has_vendor_device: values['has_vendor_device'] ?? true,
      memory_overhead: memoryOverhead(values, domainType),
      metrics: createMetrics(pool),
      suspend_VDI: 'OpaqueRef:NULL',
      suspend_SR: values['suspend_SR'] ?? 'OpaqueRef:NULL',
    },
    ref,
  );
  refreshVm(db, ref);
  return ref;
}

export function createMetrics(pool: Pool): string {
  return pool.db.create('VM_metrics', { VCPUs_utilisation: { '0': 0 }, current_domain_type: 'unspecified' });
}

function deriveDomainType(values: Readonly<Record<string, Value>>): string {
  const given = text(values, 'domain_type');
  if (given !== '' && given !== 'unspecified') return given;
  return text(values, 'HVM_boot_policy') === '' ? 'pv' : 'hvm';
}

/** What the hypervisor needs beside the guest's memory: shadow pages by size, some per VCPU, some fixed. */
function memoryOverhead(values: Readonly<Record<string, Value>>, domainType: string): number {
  const mebibyte = 1024 ** 2;
  const sizeMib = Math.ceil(Number(values['memory_static_max'] ?? 0) / mebibyte);
  const vcpus = Number(values['VCPUs_max'] ?? 1);
  return (domainType === 'pv' ? 1 : 2 + vcpus + Math.ceil(sizeMib / 128)) * mebibyte;
}

/** Removes a VM with its VBDs, VIFs, vTPMs and metrics; its disks stay. */
export function destroyVm(pool: Pool, vm: string): void {
  const { db } = pool;
  const row = db.row('VM', vm);
  for (const child of list(row, 'children')) db.set('VM', child, 'parent', text(row, 'parent'));
  for (const vbd of list(row, 'VBDs')) destroyVbd(pool, vbd);
  for (const vif of list(row, 'VIFs')) destroyVif(pool, vif);
  for (const vtpm of list(row, 'VTPMs')) db.destroy('VTPM', vtpm);
  for (const console of list(row, 'consoles')) db.destroy('console', console);
  db.destroy('VM_metrics', text(row, 'metrics'));
  db.destroy('VM_guest_metrics', text(row, 'guest_metrics'));
  db.destroy('VM', vm);
}

export function destroyVif(pool: Pool, vif: string): void {
  pool.db.destroy('VIF_metrics', pool.db.text('VIF', vif, 'metrics'));
  pool.db.destroy('VIF', vif);
}

/** Tells whoever reads messages what was done to a VM. */
export function announce(call: Call, name: string, vm: string, body: string): void {
  call.pool.announce(name, 'VM', call.pool.db.text('VM', vm, 'uuid'), body);
}
