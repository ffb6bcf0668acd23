/** What people and other programs do to the objects of a replication. */
import type { Json } from './admin';
import type { Side, Stage } from './stage';
import { View } from './view';
import type { ViewedCommit, ViewedVm } from './view';

export async function newestCommit(stage: Stage): Promise<ViewedCommit> {
  const commit = (await View.of(stage.site.target)).commits.at(-1);
  if (commit === undefined) throw new Error('there is no recovery point');
  return commit;
}

export async function replicaOf(stage: Stage): Promise<ViewedVm> {
  const view = await View.of(stage.site.target);
  const { vm } = await newestCommit(stage);
  const replica = view.vms.find(({ ref }) => ref === vm.snapshotOf);
  if (replica === undefined) throw new Error('there is no replica');
  return replica;
}

/** Destroys a VM or snapshot with its disks, as a person does who wants the space back. */
export async function destroyVm(stage: Stage, side: Side, uuid: string): Promise<void> {
  const admin = stage.admin[side];
  const { disks, ref } = (await View.of(stage.pool(side))).vm(uuid);
  for (const disk of disks) await admin.call('VDI.destroy', await admin.ref('VDI', disk.uuid));
  await admin.call('VM.destroy', ref);
}

export async function destroyDisk(stage: Stage, side: Side, uuid: string): Promise<void> {
  const admin = stage.admin[side];
  await admin.call('VDI.destroy', await admin.ref('VDI', uuid));
}

/** Starts the replica as somebody does who takes the block off first. */
export async function startReplica(stage: Stage): Promise<void> {
  const { ref } = await replicaOf(stage);
  const { target } = stage.admin;
  await target.call('VM.set_blocked_operations', ref, {});
  await target.call('VM.start', ref, false, false);
}

export async function stopReplica(stage: Stage): Promise<void> {
  await stage.admin.target.call('VM.hard_shutdown', (await replicaOf(stage)).ref);
}

export async function writeReplica(stage: Stage): Promise<void> {
  const [disk] = (await replicaOf(stage)).disks;
  await stage.site.target.control.writeDisk(disk?.uuid ?? '', 4096, Buffer.alloc(512, 0x77));
}

/** Takes a disk off a VM without destroying it. */
export async function detachDisk(stage: Stage, side: Side, vmRef: string, device: string): Promise<void> {
  const admin = stage.admin[side];
  const vbds = (await admin.call('VM.get_VBDs', vmRef)) as readonly string[];
  for (const vbd of vbds)
    if ((await admin.text('VBD.get_userdevice', vbd)) === device) await admin.call('VBD.destroy', vbd);
}

/** Makes a disk and attaches it. Gives its uuid. */
export async function attachDisk(
  stage: Stage,
  side: Side,
  vmRef: string,
  device: string,
  name: string,
): Promise<string> {
  const admin = stage.admin[side];
  const [sr] = (await admin.call('SR.get_by_name_label', `${side}-sr`)) as readonly string[];
  const vdi = await admin.text('VDI.create', { ...emptyDisk, name_label: name, SR: sr ?? '' });
  await admin.call('VBD.create', { ...plainDevice, VM: vmRef, VDI: vdi, userdevice: device });
  return admin.text('VDI.get_uuid', vdi);
}

/** Sends a VM away as an archive and takes it in again, as a new one. */
export async function reimport(stage: Stage, side: Side, uuid: string): Promise<void> {
  const admin = stage.admin[side];
  const archive = await admin.download('/export', { uuid, use_compression: 'false' });
  const [sr] = (await admin.call('SR.get_by_name_label', `${side}-sr`)) as readonly string[];
  await admin.upload('/import', { sr_id: sr ?? '' }, archive);
}

const emptyDisk: Readonly<Record<string, Json>> = {
  name_description: '',
  virtual_size: 4 * 1024 ** 2,
  type: 'user',
  sharable: false,
  read_only: false,
  other_config: {},
  xenstore_data: {},
  sm_config: {},
  tags: [],
};

const plainDevice: Readonly<Record<string, Json>> = {
  bootable: false,
  mode: 'RW',
  type: 'Disk',
  unpluggable: true,
  empty: false,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
};
