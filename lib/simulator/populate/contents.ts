import { join } from 'node:path';

import { createVbd, destroyVbd, detachVbd } from '../pool/attach';
import { createDisk, settle, storage, updateSr } from '../pool/disks';
import type { Pool } from '../pool/pool';
import { createVm } from '../methods/vm-create';
import { createVif } from '../methods/vif';
import { startVm } from '../methods/vm-power';
import { textOf } from '../rpc/unmarshal';
import { ImageStore } from '../storage';
import type { DiskSpec, PoolSpec, SrSpec, VmSpec } from '../spec';

const defaultMemoryBytes = 1024 ** 3;
const thin = new Set(['ext', 'nfs']);
const sharedTypes = new Set(['nfs', 'lvmoiscsi']);

/** The pool's SRs, each a folder of VHD files, and its VMs with their disks. */
export async function createContents(pool: Pool, spec: PoolSpec, folder: string): Promise<void> {
  for (const sr of spec.srs) await createSr(pool, sr, folder);
  const chosen = spec.srs.find((sr) => sr.default === true) ?? spec.srs[0];
  if (chosen !== undefined) pool.db.set('pool', pool.ref, 'default_SR', srNamed(pool, chosen.name));
  for (const vm of spec.vms) await createVmOf(pool, vm);
}

async function createSr(pool: Pool, spec: SrSpec, folder: string): Promise<void> {
  const { db } = pool;
  const lvm = spec.type.startsWith('lvm');
  const seenBy = spec.hosts ?? pool.hosts.map((host) => host.name);
  const shared = sharedTypes.has(spec.type) || seenBy.length > 1;
  const ref = db.create('SR', {
    name_label: spec.name,
    type: spec.type,
    content_type: 'user',
    shared,
    physical_size: spec.sizeBytes,
    allowed_operations: srOperations,
    sm_config: lvm ? { allocation: 'thick', use_vhd: 'true' } : {},
  });
  pool.stores.set(ref, await openStore(pool, spec, join(folder, db.text('SR', ref, 'uuid'))));
  for (const host of pool.hosts) {
    const plugged = seenBy.includes(host.name);
    const device_config = { location: `simulated:/${spec.name}` };
    if (plugged || shared)
      db.create('PBD', { host: host.ref, SR: ref, currently_attached: plugged, device_config });
  }
  assertKnownHosts(pool, spec);
  updateSr(pool, ref);
}

const srOperations = [
  'vdi_create',
  'vdi_clone',
  'vdi_snapshot',
  'vdi_destroy',
  'vdi_resize',
  'scan',
  'update',
  'unplug',
  'forget',
];

/** Opens the folder of an SR, new or from a former process. */
export function openStore(
  pool: Pool,
  spec: Pick<SrSpec, 'sizeBytes' | 'type'>,
  folder: string,
): Promise<ImageStore> {
  return ImageStore.open(folder, {
    capacityBytes: spec.sizeBytes,
    allocation: thin.has(spec.type) ? 'thin' : 'thick',
    newId: () => Buffer.from(pool.random.uuid().replaceAll('-', ''), 'hex'),
    now: () => pool.clock.now(),
  });
}

/** Opens the folders of the SRs of a saved pool. Devices of control domains were those of transfers that are gone. */
export async function reopenStores(pool: Pool, folder: string): Promise<void> {
  const { db } = pool;
  for (const [ref, row] of db.table('SR').rows()) {
    const spec = { type: textOf(row['type']) as SrSpec['type'], sizeBytes: Number(row['physical_size']) };
    pool.stores.set(ref, await openStore(pool, spec, join(folder, textOf(row['uuid']))));
  }
  for (const [ref, row] of db.table('VDI').rows()) {
    const tracked = row['cbt_enabled'] === true;
    const store = pool.stores.get(textOf(row['SR']));
    if (tracked && store?.cbtEnabled(textOf(row['location'])) !== true)
      db.set('VDI', ref, 'cbt_enabled', false);
  }
  for (const host of pool.hosts)
    for (const vbd of db.list('VM', host.controlDomain, 'VBDs')) {
      detachVbd(pool, vbd, host);
      destroyVbd(pool, vbd);
    }
}

function assertKnownHosts(pool: Pool, spec: SrSpec): void {
  const unknown = spec.hosts?.find((name) => !pool.hosts.some((host) => host.name === name));
  if (unknown !== undefined)
    throw new Error(
      `SR "${spec.name}" of pool "${pool.name}" names host "${unknown}"; the pool has ${pool.hosts.map((host) => host.name).join(', ')}`,
    );
}

async function createVmOf(pool: Pool, spec: VmSpec): Promise<void> {
  const { db } = pool;
  const memory = spec.memoryBytes ?? defaultMemoryBytes;
  const vcpus = spec.vcpus ?? 1;
  const uefi = spec.firmware === 'uefi';
  const vm = createVm(pool, {
    name_label: spec.name,
    name_description: spec.description ?? '',
    user_version: 1,
    is_a_template: false,
    memory_static_min: Math.floor(memory / 2),
    memory_static_max: memory,
    memory_dynamic_min: memory,
    memory_dynamic_max: memory,
    VCPUs_max: vcpus,
    VCPUs_at_startup: vcpus,
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'restart',
    actions_after_crash: 'restart',
    HVM_boot_policy: 'BIOS order',
    HVM_boot_params: { order: 'cd', ...(uefi ? { firmware: 'uefi' } : {}) },
    platform: {
      acpi: '1',
      apic: 'true',
      pae: 'true',
      viridian: 'true',
      ...(uefi ? { secureboot: 'false' } : {}),
    },
    other_config: spec.otherConfig ?? {},
    tags: spec.tags ?? [],
  });
  for (const disk of spec.disks) await addDisk(pool, vm, spec, disk);
  (spec.vifs ?? []).forEach((vif, index) => {
    createVif(pool, {
      VM: vm,
      device: String(index),
      network: named(pool, 'network', vif.network),
      MAC: vif.mac ?? '',
      MTU: 1500,
    });
  });
  if (spec.running === true) start(pool, vm);
  else db.touch('VM', vm);
}

async function addDisk(pool: Pool, vm: string, spec: VmSpec, disk: DiskSpec): Promise<void> {
  const sr = srNamed(pool, disk.sr);
  const vdi = await createDisk(pool, {
    SR: sr,
    name_label: disk.name ?? `${spec.name} disk ${disk.device}`,
    virtual_size: disk.sizeBytes,
    type: 'user',
  });
  const { contentFile } = disk;
  if (contentFile !== undefined) {
    await storage(pool, sr, (store) => store.fillFrom(pool.db.text('VDI', vdi, 'location'), contentFile));
    settle(pool, [vdi]);
  }
  createVbd(pool, {
    VM: vm,
    VDI: vdi,
    userdevice: String(disk.device),
    mode: 'RW',
    bootable: disk.device === 0,
    other_config: { owner: '' },
  });
}

/** Starts a VM that the spec says is running, with a guest agent in it. */
function start(pool: Pool, vm: string): void {
  const metrics = pool.db.create('VM_guest_metrics', {
    os_version: { name: 'Simulated Linux', distro: 'simulated', uname: '6.1.0' },
    PV_drivers_version: { major: '8', minor: '4', micro: '0' },
    PV_drivers_up_to_date: true,
    PV_drivers_detected: true,
    live: true,
    can_use_hotplug_vbd: 'yes',
    can_use_hotplug_vif: 'yes',
  });
  pool.db.set('VM', vm, 'guest_metrics', metrics);
  const host = pool.hosts.find((candidate) => {
    const vdis = pool.db.list('VM', vm, 'VBDs').map((vbd) => pool.db.text('VBD', vbd, 'VDI'));
    return vdis.every((vdi) =>
      pool.db
        .list('SR', pool.db.text('VDI', vdi, 'SR'), 'PBDs')
        .some(
          (pbd) =>
            pool.db.text('PBD', pbd, 'host') === candidate.ref &&
            pool.db.flag('PBD', pbd, 'currently_attached'),
        ),
    );
  });
  if (host === undefined)
    throw new Error(
      `VM "${pool.db.text('VM', vm, 'name_label')}" cannot run: no host of pool "${pool.name}" sees all of its SRs`,
    );
  startVm(pool, vm, host, 'Running');
}

function srNamed(pool: Pool, name: string): string {
  return named(pool, 'SR', name);
}

/** The ref of the object that the spec names. */
function named(pool: Pool, className: string, name: string): string {
  for (const [ref, row] of pool.db.table(className).rows()) if (row['name_label'] === name) return ref;
  const known = [...pool.db.table(className).rows()].map(([, row]) => `"${textOf(row['name_label'])}"`);
  throw new Error(
    `pool "${pool.name}" has no ${className} named "${name}"; it has ${known.join(', ') || 'none'}`,
  );
}
