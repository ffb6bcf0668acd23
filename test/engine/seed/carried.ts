/** A VM on the target pool with the disks of a source snapshot, as if a seed had been carried there by hand. */
import { randomUUID } from 'node:crypto';
import { attachSeed, detachSeed, systemClock } from '../../../lib/engine';
import type { AttachReport, AttachSeedOptions, DetachReport, SeedEvent } from '../../../lib/engine';
import { defaultScheduleId } from '../../../lib/engine';
import type { SeedJob } from '../../../lib/planner/seed';
import { NULL_REF } from '../../../lib/xapi';
import type { Pool, Ref, VmCreateRecord } from '../../../lib/xapi';
import { disksOf } from '../inspect';
import type { Site } from '../site';

export { seedJobOf } from '../../../lib/planner/seed';

const mib = 1024 ** 2;

export const jobId = '11111111-1111-4111-8111-111111111111';

/** A job that no pool knows: only its two ids are given. */
export const unknownJob: SeedJob = {
  jobId,
  scheduleId: defaultScheduleId(jobId),
  name: null,
  srUuid: null,
  selection: null,
};

export interface Carried {
  readonly snapshot: string;
  readonly vm: string;
}

/** Takes a snapshot of the source VM, as a person would. */
export async function takeSnapshot(site: Site, vmName = 'db1'): Promise<string> {
  const source = await site.connect('source');
  const ref = await source.call('VM.get_by_uuid', [await site.source.control.vmUuid(vmName)]);
  const snapshot = await source.callTask('VM.snapshot', [ref, 'SEED do not delete']);
  return source.call('VM.get_uuid', [snapshot]);
}

export interface CarryChanges {
  /** Sizes on the target by device, where they are to differ from the source's. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Devices to leave out. */
  readonly without?: readonly string[];
  /** Where a disk goes instead of its own position. */
  readonly at?: Readonly<Record<string, string>>;
  readonly sr?: string;
  readonly otherConfig?: Readonly<Record<string, string>>;
}

/** Makes the VM that an import would have made, byte for byte. */
export async function carry(site: Site, snapshot: string, changes: CarryChanges = {}): Promise<string> {
  const target = await site.connect('target');
  const source = await site.connect('source');
  const record = await source.call('VM.get_record', [await source.call('VM.get_by_uuid', [snapshot])]);
  const vm = await target.call('VM.create', [vmRecord(record, changes.otherConfig ?? {})]);
  const [sr] = await target.call('SR.get_by_name_label', [changes.sr ?? 'target-sr']);
  if (sr === undefined) throw new Error('the target has no such SR');
  for (const [device, vdi] of await disksOf(site, 'source', snapshot)) {
    if (changes.without?.includes(device) === true) continue;
    const { sizeBytes } = await site.source.control.digestDisk(vdi);
    const wanted = changes.sizes?.[device] ?? sizeBytes;
    const made = await makeDisk(target, sr, vm, changes.at?.[device] ?? device, wanted);
    await copyContent(site, vdi, made, Math.min(sizeBytes, wanted));
  }
  return target.call('VM.get_uuid', [vm]);
}

/** Snapshot and carried VM in one. */
export async function carried(site: Site, changes: CarryChanges = {}): Promise<Carried> {
  const snapshot = await takeSnapshot(site);
  return { snapshot, vm: await carry(site, snapshot, changes) };
}

export async function makeDisk(
  target: Pool,
  sr: Ref<'SR'>,
  vm: Ref<'VM'>,
  device: string,
  sizeBytes: number,
): Promise<string> {
  const vdi = await target.callTask('VDI.create', [
    {
      name_label: `carried ${device}`,
      name_description: '',
      SR: sr,
      virtual_size: sizeBytes,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
      xenstore_data: {},
      sm_config: {},
      tags: [],
    },
  ]);
  await target.call('VBD.create', [
    {
      VM: vm,
      VDI: vdi,
      userdevice: device,
      bootable: device === '0',
      mode: 'RW',
      type: 'Disk',
      unpluggable: true,
      empty: false,
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
    },
  ]);
  return target.call('VDI.get_uuid', [vdi]);
}

async function copyContent(site: Site, from: string, to: string, sizeBytes: number): Promise<void> {
  const zeros = Buffer.alloc(mib);
  for (let at = 0; at < sizeBytes; at += mib) {
    const piece = await site.source.control.readDisk(from, at, Math.min(mib, sizeBytes - at));
    if (Buffer.compare(piece, zeros.subarray(0, piece.length)) !== 0) {
      await site.target.control.writeDisk(to, at, piece);
    }
  }
}

export function vmRecord(
  source: { readonly name_label: string; readonly memory_static_max: number },
  otherConfig: Readonly<Record<string, string>>,
): VmCreateRecord {
  const memory = source.memory_static_max;
  return {
    name_label: source.name_label,
    name_description: 'carried by hand',
    user_version: 1,
    is_a_template: false,
    affinity: NULL_REF as Ref<'host'>,
    memory_static_max: memory,
    memory_static_min: memory,
    memory_dynamic_max: memory,
    memory_dynamic_min: memory,
    VCPUs_max: 1,
    VCPUs_at_startup: 1,
    VCPUs_params: {},
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'restart',
    actions_after_crash: 'restart',
    PV_bootloader: '',
    PV_kernel: '',
    PV_ramdisk: '',
    PV_args: '',
    PV_bootloader_args: '',
    PV_legacy_args: '',
    HVM_boot_policy: 'BIOS order',
    HVM_boot_params: { order: 'cd' },
    HVM_shadow_multiplier: 1,
    platform: {},
    PCI_bus: '',
    other_config: otherConfig,
    xenstore_data: {},
    ha_restart_priority: '',
    recommendations: '',
    tags: [],
    blocked_operations: {},
  };
}

export interface Attaching {
  readonly events: readonly SeedEvent[];
  readonly report: AttachReport;
}

/** Attaches as a door would, with a run id of its own. */
export async function attach(
  site: Site,
  { snapshot, vm }: Carried,
  job: SeedJob,
  changes: Partial<Omit<AttachSeedOptions, 'source' | 'target' | 'job'>> = {},
): Promise<Attaching> {
  const [source, target] = await Promise.all([site.connect('source'), site.connect('target')]);
  const events: SeedEvent[] = [];
  try {
    const report = await attachSeed({
      source,
      target,
      job,
      snapshotUuid: snapshot,
      targetVmUuid: vm,
      lockWaitMs: 0,
      ...changes,
      context: { ...seedContext(events), ...changes.context },
    });
    return { events, report };
  } finally {
    await Promise.all([source.disconnect(), target.disconnect()]);
  }
}

export async function detach(
  site: Site,
  vm: string,
  withSource = true,
  ofJob: string | null = null,
): Promise<DetachReport> {
  const [source, target] = await Promise.all([site.connect('source'), site.connect('target')]);
  return detachSeed({
    source: withSource ? source : null,
    target,
    targetVmUuid: vm,
    jobId: ofJob,
    lockWaitMs: 0,
    context: seedContext([]),
  });
}

export function seedContext(events: SeedEvent[]): AttachSeedOptions['context'] {
  return {
    runId: randomUUID(),
    who: 'test',
    clock: systemClock,
    signal: new AbortController().signal,
    emit: (event) => {
      events.push(event);
    },
  };
}
