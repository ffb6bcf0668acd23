import type { VmRecord } from '../../xapi';
import type { VmSettings } from '../../planner/settings';

/** The fields of a VM that a replica carries; members that this release does not send stay absent. */
export function settingsOf(vm: VmRecord): VmSettings {
  return {
    name_label: vm.name_label,
    name_description: vm.name_description,
    memory_static_min: vm.memory_static_min,
    memory_static_max: vm.memory_static_max,
    memory_dynamic_min: vm.memory_dynamic_min,
    memory_dynamic_max: vm.memory_dynamic_max,
    VCPUs_max: vm.VCPUs_max,
    VCPUs_at_startup: vm.VCPUs_at_startup,
    VCPUs_params: vm.VCPUs_params,
    actions_after_shutdown: vm.actions_after_shutdown,
    actions_after_reboot: vm.actions_after_reboot,
    actions_after_crash: vm.actions_after_crash,
    PV_bootloader: vm.PV_bootloader,
    PV_kernel: vm.PV_kernel,
    PV_ramdisk: vm.PV_ramdisk,
    PV_args: vm.PV_args,
    PV_bootloader_args: vm.PV_bootloader_args,
    PV_legacy_args: vm.PV_legacy_args,
    HVM_boot_policy: vm.HVM_boot_policy,
    HVM_boot_params: vm.HVM_boot_params,
    HVM_shadow_multiplier: vm.HVM_shadow_multiplier,
    platform: vm.platform,
    recommendations: vm.recommendations,
    xenstore_data: vm.xenstore_data,
    tags: vm.tags,
    ...(vm.domain_type === undefined ? {} : { domain_type: vm.domain_type }),
    ...(vm.hardware_platform_version === undefined
      ? {}
      : { hardware_platform_version: vm.hardware_platform_version }),
    ...(vm.NVRAM === undefined ? {} : { NVRAM: vm.NVRAM }),
    ...(vm.order === undefined ? {} : { order: vm.order }),
    ...(vm.start_delay === undefined ? {} : { start_delay: vm.start_delay }),
    ...(vm.shutdown_delay === undefined ? {} : { shutdown_delay: vm.shutdown_delay }),
  };
}
