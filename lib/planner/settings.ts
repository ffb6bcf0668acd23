/**
 * What a replica takes over from its source besides disks and network cards. Plain values in XAPI's spelling,
 * so that this list is the one place that says what is carried, changed and cleared.
 */

/** A field in XAPI's spelling, with the value it should have. */
export interface FieldChange {
  readonly field: string;
  readonly value: unknown;
}

type StringMap = Readonly<Record<string, string>>;

/** Fields that are copied as they are. Absent members are ones the release does not know. */
export interface VmSettings {
  readonly name_label: string;
  readonly name_description: string;
  readonly memory_static_min: number;
  readonly memory_static_max: number;
  readonly memory_dynamic_min: number;
  readonly memory_dynamic_max: number;
  readonly VCPUs_max: number;
  readonly VCPUs_at_startup: number;
  readonly VCPUs_params: StringMap;
  readonly actions_after_shutdown: string;
  readonly actions_after_reboot: string;
  readonly actions_after_crash: string;
  readonly PV_bootloader: string;
  readonly PV_kernel: string;
  readonly PV_ramdisk: string;
  readonly PV_args: string;
  readonly PV_bootloader_args: string;
  readonly PV_legacy_args: string;
  readonly HVM_boot_policy: string;
  readonly HVM_boot_params: StringMap;
  readonly HVM_shadow_multiplier: number;
  readonly platform: StringMap;
  readonly recommendations: string;
  readonly xenstore_data: StringMap;
  readonly tags: readonly string[];
  readonly domain_type?: string;
  readonly hardware_platform_version?: number;
  readonly NVRAM?: StringMap;
  readonly order?: number;
  readonly start_delay?: number;
  readonly shutdown_delay?: number;
}

/** Tag every replica bears; Xen Orchestra looks for it too. */
export const replicaTag = 'Continuous Replication';

const memoryFields = [
  'memory_static_min',
  'memory_static_max',
  'memory_dynamic_min',
  'memory_dynamic_max',
] as const satisfies readonly (keyof VmSettings)[];

/** Fields with a plain `VM.set_<field>`; memory and VCPUs follow rules of their own below. */
const plainFields = [
  'name_label',
  'name_description',
  'VCPUs_params',
  'actions_after_shutdown',
  'actions_after_reboot',
  'actions_after_crash',
  'PV_bootloader',
  'PV_kernel',
  'PV_ramdisk',
  'PV_args',
  'PV_bootloader_args',
  'PV_legacy_args',
  // Before the boot policy: setting the type sets a policy as well.
  'domain_type',
  'HVM_boot_policy',
  'HVM_boot_params',
  'HVM_shadow_multiplier',
  'platform',
  'recommendations',
  'xenstore_data',
  'tags',
  'hardware_platform_version',
  'NVRAM',
  'order',
  'start_delay',
  'shutdown_delay',
] as const satisfies readonly (keyof VmSettings)[];

export interface SettingsChange {
  /** One call, because setting the four limits one by one fails on the way where they must cross. */
  readonly memory:
    readonly [staticMin: number, staticMax: number, dynamicMin: number, dynamicMax: number] | null;
  /** In the order in which they are to be set. */
  readonly fields: readonly FieldChange[];
}

/** The replica's settings as they should be, given the source snapshot's. */
export function wantedSettings(source: VmSettings): VmSettings {
  const tags = [...new Set([...source.tags, replicaTag])].sort();
  // 6.5 has no domain_type: a guest with a boot policy is fully virtualised, one without is not.
  const domainType = source.domain_type ?? (source.HVM_boot_policy === '' ? 'pv' : 'hvm');
  const rest = source.domain_type === 'unspecified' ? {} : { domain_type: domainType };
  return { ...source, ...rest, tags };
}

/** What must be set on the replica so that it has the wanted settings; empty where it has them. */
export function settingsChange(actual: VmSettings, wanted: VmSettings): SettingsChange {
  const memory = memoryFields.some((field) => actual[field] !== wanted[field])
    ? ([
        wanted.memory_static_min,
        wanted.memory_static_max,
        wanted.memory_dynamic_min,
        wanted.memory_dynamic_max,
      ] as const)
    : null;
  const fields = plainFields
    .filter((field) => wanted[field] !== undefined && !same(actual[field], wanted[field]))
    .map((field): FieldChange => ({ field, value: wanted[field] }));
  return { memory, fields: [...vcpuChanges(actual, wanted), ...fields] };
}

/** VCPUs at start-up may never exceed the maximum, so which of the two is set first depends on the direction. */
function vcpuChanges(actual: VmSettings, wanted: VmSettings): readonly FieldChange[] {
  const maximum: FieldChange = { field: 'VCPUs_max', value: wanted.VCPUs_max };
  const startup: FieldChange = { field: 'VCPUs_at_startup', value: wanted.VCPUs_at_startup };
  const ordered = wanted.VCPUs_max >= actual.VCPUs_max ? [maximum, startup] : [startup, maximum];
  return ordered.filter(({ field, value }) => actual[field as 'VCPUs_max' | 'VCPUs_at_startup'] !== value);
}

function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

/** Maps and sets come in any order; only their content matters. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return JSON.stringify(value.map(String).sort());
  if (typeof value === 'object' && value !== null) {
    return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return String(value);
}
