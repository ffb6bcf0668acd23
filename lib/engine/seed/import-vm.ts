/** The VM that the files of a seed become: halted, not to be started, without network cards until its first run. */
import { NULL_REF } from '../../xapi';
import type { CallOptions, Pool, Ref, VmCreateRecord, VmRecord } from '../../xapi';
import { decode, encode, own } from '../../planner/keys';
import type { VmSettings } from '../../planner/settings';
import type { SeedContents } from './files/contents';
import { importedText } from './imported';

export interface CarriedVm {
  readonly ref: string;
  readonly uuid: string;
  readonly complete: boolean;
}

/** The VM that an earlier import of the same files made; null where there is none. */
export async function findVm(
  target: Pool,
  contents: SeedContents,
  options: CallOptions,
): Promise<CarriedVm | null> {
  const vms = Object.entries(await target.call('VM.get_all_records', [], options)).filter(
    ([, vm]) => !vm.is_a_snapshot,
  );
  for (const [ref, vm] of vms) {
    const mark = own(decode.seedVm(vm.other_config, vm.uuid));
    if (mark?.files === contents.files) return { ref, uuid: vm.uuid, complete: mark.complete };
  }
  // Made by a try that died before it could mark it: its name is its mark.
  const unmarked = vms.find(([, vm]) => vm.name_label === temporaryName(contents));
  return unmarked === undefined ? null : mark(target, contents, unmarked[0], unmarked[1]);
}

export async function makeVm(target: Pool, contents: SeedContents): Promise<CarriedVm> {
  const settings = contents.settings ?? plainSettings(contents.name);
  const ref = await target.call('VM.create', [toCreate(settings, temporaryName(contents))]);
  return mark(target, contents, ref, await target.call('VM.get_record', [ref]));
}

/** Blocks its start before it gets a disk, then marks it. */
async function mark(target: Pool, { files }: SeedContents, vmRef: string, vm: VmRecord): Promise<CarriedVm> {
  const ref = vmRef as Ref<'VM'>;
  for (const operation of ['start', 'start_on']) {
    if (vm.blocked_operations[operation] !== undefined) continue;
    await target.call('VM.add_to_blocked_operations', [ref, operation, importedText]);
  }
  const record = encode.seedVm({ v: 1, self: vm.uuid, files, complete: false });
  await target.call('VM.set_other_config', [ref, { ...vm.other_config, ...record }]);
  return { ref: vmRef, uuid: vm.uuid, complete: false };
}

/** Every byte is confirmed: from here on it can be attached. */
export async function finishVm(target: Pool, vm: CarriedVm, contents: SeedContents): Promise<void> {
  const ref = vm.ref as Ref<'VM'>;
  await target.call('VM.set_name_label', [ref, contents.name]);
  const otherConfig = await target.call('VM.get_other_config', [ref]);
  const record = encode.seedVm({ v: 1, self: vm.uuid, files: contents.files, complete: true });
  await target.call('VM.set_other_config', [ref, { ...otherConfig, ...record }]);
}

function temporaryName({ files, name }: SeedContents): string {
  return `[xenrepl import ${files}] ${name}`;
}

function toCreate(settings: VmSettings, name: string): VmCreateRecord {
  return {
    ...settings,
    name_label: name,
    is_a_template: false,
    affinity: NULL_REF as Ref<'host'>,
    ha_restart_priority: '',
    PCI_bus: '',
    other_config: {},
    blocked_operations: {},
    user_version: 1,
  };
}

/** For single disks, which say nothing about their VM: the first run of the job brings all of it up to date. */
function plainSettings(name: string): VmSettings {
  const memory = 1024 ** 3;
  return {
    name_label: name,
    name_description: '',
    memory_static_min: memory,
    memory_static_max: memory,
    memory_dynamic_min: memory,
    memory_dynamic_max: memory,
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
    recommendations: '',
    xenstore_data: {},
    tags: [],
  };
}
