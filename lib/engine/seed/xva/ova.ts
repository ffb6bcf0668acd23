/** The description at the head of an archive: `ova.xml`, one XML-RPC value with the records of all objects. */
import { parseXmlRpcValue } from '../../../xapi';
import type { XmlValue } from '../../../xapi';
import type { VmSettings } from '../../../planner/settings';
import { seedFileError } from '../errors';

export interface ArchivedDisk {
  /** Name of the disk within the archive, `Ref:4`. */
  readonly ref: string;
  readonly device: string;
  readonly bootable: boolean;
  readonly name: string;
  readonly sizeBytes: number;
  readonly vdi: string;
}

export interface Ova {
  readonly vmUuid: string;
  readonly settings: VmSettings;
  /** By device position. */
  readonly disks: readonly ArchivedDisk[];
  /** Names of disks of other VMs in the same archive (snapshots that were exported along): passed over. */
  readonly otherDisks: readonly string[];
}

interface Archived {
  readonly id: string;
  readonly record: Readonly<Record<string, XmlValue>>;
}

/** @throws ReplicationError `seed-file` where it is not what XenServer 6.5 and later write. */
export function parseOva(xml: string): Ova {
  try {
    return toOva(parseXmlRpcValue(xml.replace(/^\s*<\?xml[^>]*\?>/, '')));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw seedFileError(
      `The archive's ova.xml cannot be read: ${reason}`,
      'only archives (XVA) of XenServer 6.5 or later, or of XCP-ng, are understood',
      error,
    );
  }
}

function toOva(value: XmlValue): Ova {
  const all = list(member(value, 'objects')).map((object) => ({
    of: text(member(object, 'class')),
    id: text(member(object, 'id')),
    record: struct(member(object, 'snapshot')),
  }));
  const ofClass = (name: string): readonly Archived[] => all.filter(({ of }) => of === name);
  const vms = ofClass('VM');
  const vm = vms.find(({ record }) => record['is_a_snapshot'] !== true) ?? vms[0];
  if (vm === undefined) throw new SyntaxError('it holds no VM');
  const vdis = new Map(ofClass('VDI').map(({ id, record }) => [id, record]));
  const vbds = ofClass('VBD').filter(({ record }) => record['type'] === 'Disk');
  const disks = vbds
    .filter(({ record }) => record['VM'] === vm.id)
    .flatMap(({ record: vbd }): ArchivedDisk[] => {
      const ref = text(vbd['VDI']);
      const vdi = vdis.get(ref);
      return vdi === undefined ? [] : [toDisk(ref, vbd, vdi)];
    })
    .sort((one, other) => Number(one.device) - Number(other.device));
  const mine = new Set(disks.map(({ ref }) => ref));
  return {
    vmUuid: text(vm.record['uuid']),
    settings: toSettings(vm.record),
    disks,
    otherDisks: [...vdis.keys()].filter((ref) => !mine.has(ref)),
  };
}

function toDisk(
  ref: string,
  vbd: Readonly<Record<string, XmlValue>>,
  vdi: Readonly<Record<string, XmlValue>>,
): ArchivedDisk {
  return {
    ref,
    device: text(vbd['userdevice']),
    bootable: vbd['bootable'] === true,
    name: text(vdi['name_label']),
    sizeBytes: integer(vdi, 'virtual_size'),
    vdi: text(vdi['uuid']),
  };
}

/** Members that an older release does not write stay absent. */
function toSettings(vm: Readonly<Record<string, XmlValue>>): VmSettings {
  const word = (name: string): string => text(vm[name]);
  const words = (name: string): Readonly<Record<string, string>> => texts(vm[name]);
  return {
    name_label: word('name_label'),
    name_description: word('name_description'),
    memory_static_min: integer(vm, 'memory_static_min'),
    memory_static_max: integer(vm, 'memory_static_max'),
    memory_dynamic_min: integer(vm, 'memory_dynamic_min'),
    memory_dynamic_max: integer(vm, 'memory_dynamic_max'),
    VCPUs_max: integer(vm, 'VCPUs_max'),
    VCPUs_at_startup: integer(vm, 'VCPUs_at_startup'),
    VCPUs_params: words('VCPUs_params'),
    actions_after_shutdown: word('actions_after_shutdown'),
    actions_after_reboot: word('actions_after_reboot'),
    actions_after_crash: word('actions_after_crash'),
    PV_bootloader: word('PV_bootloader'),
    PV_kernel: word('PV_kernel'),
    PV_ramdisk: word('PV_ramdisk'),
    PV_args: word('PV_args'),
    PV_bootloader_args: word('PV_bootloader_args'),
    PV_legacy_args: word('PV_legacy_args'),
    HVM_boot_policy: word('HVM_boot_policy'),
    HVM_boot_params: words('HVM_boot_params'),
    HVM_shadow_multiplier: Number(vm['HVM_shadow_multiplier'] ?? 1),
    platform: words('platform'),
    recommendations: word('recommendations'),
    xenstore_data: words('xenstore_data'),
    tags: list(vm['tags'] ?? []).map(text),
    ...(vm['domain_type'] === undefined ? {} : { domain_type: word('domain_type') }),
    ...(vm['NVRAM'] === undefined ? {} : { NVRAM: words('NVRAM') }),
  };
}

function member(value: XmlValue, name: string): XmlValue {
  const found = struct(value)[name];
  if (found === undefined) throw new SyntaxError(`it has no ${name}`);
  return found;
}

/** An empty struct or array may be written as an empty value. */
function struct(value: XmlValue | undefined): Readonly<Record<string, XmlValue>> {
  if (value === '') return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new SyntaxError('a record is missing');
  return value as Readonly<Record<string, XmlValue>>;
}

function list(value: XmlValue): readonly XmlValue[] {
  if (value === '') return [];
  if (!Array.isArray(value)) throw new SyntaxError('a list is missing');
  return value as readonly XmlValue[];
}

function text(value: XmlValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: XmlValue | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(struct(value ?? '')).map(([key, item]) => [key, text(item)]));
}

function integer(record: Readonly<Record<string, XmlValue>>, name: string): number {
  const value = Number(record[name]);
  if (!Number.isSafeInteger(value) || value < 0) throw new SyntaxError(`${name} is no whole number`);
  return value;
}
