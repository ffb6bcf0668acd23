import { formatDate, never } from '../clock';
import { rowText } from '../database/notation';
import { flag, list, map, text, without } from '../database/row';
import { ApiError } from '../errors';
import { createVbd } from '../pool/attach';
import type { Call, Handlers } from '../pool/call';
import { branchDisk, destroyDisk } from '../pool/disks';
import type { Pool } from '../pool/pool';
import { refreshVif } from '../pool/vdi-rules';
import type { Value } from '../rpc/unmarshal';
import { copyDisk } from './vdi-copy';
import { announce, createMetrics } from './vm-create';
import { operationOn, vmOperation } from './vm-operation';
import { refreshVm } from './vm-rules';
import { createVif } from './vif';
import { stopVm } from './vm-power';

/** Snapshots, clones, copies, and the way back from a snapshot. */
export const vmBranching = {
  'VM.snapshot': (call) =>
    vmOperation(call, 'snapshot', () => snapshotVm(call, call.args.text(1), call.args.list(2))),
  'VM.clone': (call) => vmOperation(call, 'clone', () => cloneVm(call, call.args.text(1))),
  'VM.copy': (call) => vmOperation(call, 'copy', () => copyVm(call, call.args.text(1), call.args.text(2))),
  // Needs a guest with the VSS provider, which no simulated one has.
  'VM.snapshot_with_quiesce': (call) => {
    throw new ApiError('VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED', call.args.text(0));
  },
  'VM.checkpoint': (call) =>
    vmOperation(call, 'checkpoint', () => {
      throw new ApiError('NOT_IMPLEMENTED', 'checkpoint: the simulated hypervisor saves no memory');
    }),
  'VM.revert': revert,
  'VM.provision': async (call) => {
    await vmOperation(call, 'provision', () =>
      call.pool.db.set('VM', call.args.text(0), 'is_a_template', false),
    );
    return '';
  },
} satisfies Handlers;

type CopyDisk = (vdi: string) => Promise<string>;

async function snapshotVm(call: Call, name: string, ignoredVdis: readonly string[]): Promise<string> {
  const { pool } = call;
  const vm = call.args.text(0);
  const row = { ...pool.db.row('VM', vm) };
  const snapshotDisk: CopyDisk = async (vdi) => {
    const label = `Snapshotting disk ${text(pool.db.row('VDI', vdi), 'name_label')}`;
    const subtask = pool.tasks.create({
      label,
      sessionRef: call.session,
      hostRef: call.host.ref,
      subtaskOf: call.task,
    });
    try {
      await applyDiskFault(call, vdi);
      return await branchDisk(pool, vdi, 'snapshot');
    } finally {
      pool.tasks.drop(subtask);
    }
  };
  const disks = await copyDisks(pool, vm, snapshotDisk, ignoredVdis);
  const snapshot = createBranch(pool, row, name, {
    is_a_snapshot: true,
    is_a_template: true,
    snapshot_of: vm,
    snapshot_time: formatDate(pool.clock.now()),
    snapshot_info: {
      'power-state-at-snapshot': text(row, 'power_state'),
      'disk-snapshot-type': 'crash_consistent',
    },
    parent: text(row, 'parent'),
    snapshot_metadata: rowText(without(row, 'snapshot_metadata')),
    transportable_snapshot_id: '',
  });
  connect(pool, vm, snapshot, disks, true);
  pool.db.set('VM', vm, 'parent', snapshot);
  refreshVm(pool.db, snapshot);
  announce(call, 'VM_SNAPSHOTTED', vm, `VM snapshot ${name}`);
  return snapshot;
}

/** The server sends itself a `VDI.snapshot` for each disk, so rules for that message hit here too. */
async function applyDiskFault({ pool, host, signal }: Call, vdi: string): Promise<void> {
  const row = pool.db.row('VDI', vdi);
  const effect = pool.faults.take({
    method: 'VDI.snapshot',
    objects: [vdi, text(row, 'uuid'), text(row, 'name_label')],
    host: [host.ref, host.uuid, host.name],
  });
  if (effect?.kind === 'delay') await pool.clock.sleep(effect.ms, signal);
  if (effect?.kind === 'error') throw new ApiError(effect.code, ...(effect.params ?? []));
}

async function cloneVm(call: Call, name: string): Promise<string> {
  const { pool } = call;
  const vm = call.args.text(0);
  const clone = await branchOf(pool, vm, name, (vdi) => branchDisk(pool, vdi, 'clone'));
  announce(call, 'VM_CLONED', vm, `VM clone ${name}`);
  return clone;
}

async function copyVm(call: Call, name: string, sr: string): Promise<string> {
  const { pool } = call;
  if (sr !== 'OpaqueRef:NULL') pool.db.row('SR', sr);
  return branchOf(pool, call.args.text(0), name, (vdi) => {
    const target = sr === 'OpaqueRef:NULL' ? pool.db.text('VDI', vdi, 'SR') : sr;
    return copyDisk(call, vdi, target);
  });
}

/** A clone or copy is a VM of its own: new `mac_seed`, no history. Of a snapshot it is still a template. */
async function branchOf(pool: Pool, vm: string, name: string, copy: CopyDisk): Promise<string> {
  const row = { ...pool.db.row('VM', vm) };
  const disks = await copyDisks(pool, vm, copy, []);
  const template = flag(row, 'is_a_template') ? { base_template_name: text(row, 'name_label') } : {};
  const made = createBranch(pool, row, name, {
    is_a_snapshot: false,
    is_a_template: flag(row, 'is_a_template'),
    snapshot_of: 'OpaqueRef:NULL',
    snapshot_time: never,
    snapshot_info: {},
    snapshot_metadata: '',
    parent: 'OpaqueRef:NULL',
    other_config: {
      ...without(map(row, 'other_config'), 'default_template'),
      ...template,
      mac_seed: pool.random.uuid(),
    },
  });
  connect(pool, vm, made, disks, false);
  refreshVm(pool.db, made);
  return made;
}

/** Copies one disk after the other; when one fails those made so far are destroyed again. */
async function copyDisks(
  pool: Pool,
  vm: string,
  copy: CopyDisk,
  ignoredVdis: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const made = new Map<string, string>();
  try {
    for (const vbd of [...pool.db.list('VM', vm, 'VBDs')].reverse()) {
      const row = pool.db.row('VBD', vbd);
      const vdi = text(row, 'VDI');
      if (text(row, 'type') !== 'Disk' || ignoredVdis.includes(vdi) || !pool.db.exists('VDI', vdi)) continue;
      made.set(vbd, await copy(vdi));
    }
  } catch (error) {
    for (const vdi of made.values()) await destroyDisk(pool, vdi);
    throw error;
  }
  return made;
}

/** The new VM object: all fields of the old one but those that belong to one VM alone. */
function createBranch(
  pool: Pool,
  row: Readonly<Record<string, Value>>,
  name: string,
  values: Readonly<Record<string, Value>>,
): string {
  return pool.db.create('VM', {
    ...without(row, 'uuid'),
    VBDs: [],
    VIFs: [],
    VTPMs: [],
    VUSBs: [],
    VGPUs: [],
    consoles: [],
    children: [],
    snapshots: [],
    crash_dumps: [],
    attached_PCIs: [],
    blocked_operations: {},
    allowed_operations: [],
    current_operations: {},
    blobs: {},
    appliance: 'OpaqueRef:NULL',
    suspend_VDI: 'OpaqueRef:NULL',
    guest_metrics: 'OpaqueRef:NULL',
    power_state: 'Halted',
    resident_on: 'OpaqueRef:NULL',
    scheduled_to_be_resident_on: 'OpaqueRef:NULL',
    domid: -1,
    ha_always_run: false,
    is_default_template: false,
    reference_label: '',
    generation_id: `${pool.random.bigNumber()}:${pool.random.bigNumber()}`,
    metrics: createMetrics(pool),
    ...values,
    name_label: name,
  });
}

/** Copies VBDs, VIFs and vTPMs over; CD drives go on pointing at the same disc. */
function connect(
  pool: Pool,
  vm: string,
  made: string,
  disks: ReadonlyMap<string, string>,
  sameMacs: boolean,
): void {
  const { db } = pool;
  for (const vbd of [...db.list('VM', vm, 'VBDs')].reverse()) {
    const row = db.row('VBD', vbd);
    const disk = text(row, 'type') === 'Disk';
    const vdi = disk ? disks.get(vbd) : text(row, 'VDI');
    if (vdi === undefined) continue;
    const keep = [
      'userdevice',
      'bootable',
      'mode',
      'type',
      'unpluggable',
      'empty',
      'other_config',
      'qos_algorithm_type',
      'qos_algorithm_params',
    ];
    const copied = Object.fromEntries(keep.map((field) => [field, row[field] as string]));
    createVbd(pool, { ...copied, VM: made, VDI: vdi });
  }
  for (const vif of [...db.list('VM', vm, 'VIFs')].reverse()) {
    const row = { ...db.row('VIF', vif) };
    const copy = createVif(pool, { ...row, VM: made, MAC: sameMacs ? text(row, 'MAC') : '' });
    if (sameMacs) db.set('VIF', copy, 'MAC_autogenerated', flag(row, 'MAC_autogenerated'));
    refreshVif(db, copy);
  }
  for (const vtpm of list(db.row('VM', vm), 'VTPMs')) {
    const copy = db.create('VTPM', { ...without(db.row('VTPM', vtpm), 'uuid'), VM: made });
    pool.vtpmContents.set(copy, pool.vtpmContents.get(vtpm) ?? '');
  }
}

/** Live disks are destroyed and cloned anew from the snapshot, so they come back under other refs and uuids. */
async function revert(call: Call): Promise<string> {
  const { pool } = call;
  const { db } = pool;
  const snapshot = call.args.text(0);
  const vm = text(db.row('VM', snapshot), 'snapshot_of');
  if (!db.exists('VM', vm)) throw new ApiError('VM_REVERT_FAILED', snapshot, vm);
  await operationOn(call, snapshot, 'revert', async () => {
    if (db.text('VM', vm, 'power_state') !== 'Halted') stopVm(pool, vm);
    await revertTo(pool, snapshot, vm);
  });
  return '';
}

async function revertTo(pool: Pool, snapshot: string, vm: string): Promise<void> {
  const { db } = pool;
  const disks = await copyDisks(pool, snapshot, (vdi) => branchDisk(pool, vdi, 'clone'), []);
  for (const [vbd, made] of disks) {
    const old = db.text('VDI', db.text('VBD', vbd, 'VDI'), 'snapshot_of');
    if (!db.exists('VDI', old)) continue;
    for (const taken of list(db.row('VDI', old), 'snapshots')) db.set('VDI', taken, 'snapshot_of', made);
    await destroyDisk(pool, old);
  }
  const row = { ...db.row('VM', snapshot) };
  for (const vbd of list(db.row('VM', vm), 'VBDs')) if (disks.size > 0) db.destroy('VBD', vbd);
  for (const vif of list(db.row('VM', vm), 'VIFs')) db.destroy('VIF', vif);
  connect(pool, snapshot, vm, disks, true);
  const keep = [
    'name_description',
    'other_config',
    'platform',
    'memory_static_max',
    'memory_static_min',
    'memory_dynamic_max',
    'memory_dynamic_min',
    'VCPUs_max',
    'VCPUs_at_startup',
    'VCPUs_params',
    'HVM_boot_params',
    'HVM_boot_policy',
    'NVRAM',
    'tags',
  ];
  db.update('VM', vm, {
    ...Object.fromEntries(keep.flatMap((field) => (row[field] === undefined ? [] : [[field, row[field]]]))),
    parent: snapshot,
  });
  refreshVm(db, vm);
}
