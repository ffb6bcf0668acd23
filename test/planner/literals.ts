/** The parts of an observation that hardly a case cares about. */
import { jobDefaults, keepLatest } from '../../lib/planner/job';
import type { JobDefinition } from '../../lib/planner/job';
import type { ObservedReplica, SourceObservation, TargetObservation } from '../../lib/planner/observation';
import type { VmSettings } from '../../lib/planner/settings';

export function jobWith(changes: Partial<JobDefinition> = {}): JobDefinition {
  return {
    ...jobDefaults,
    schemaVersion: 1,
    jobId: 'gold',
    scheduleId: 'hourly',
    name: 'Gold',
    enabled: true,
    source: { poolName: 'berlin', poolUuid: null },
    target: { poolName: 'paris', poolUuid: 'pool-target', srUuid: 'sr' },
    selection: { uuids: ['vm'], tags: [] },
    schedule: { kind: 'manual' },
    retention: keepLatest(1),
    networkMap: { lan: 'dr-lan' },
    onUnmappedNetwork: 'fail',
    onMissingBase: 'fail',
    onDivergence: 'fail',
    concurrency: 1,
    ...changes,
  };
}

const lan = { ref: 'ref:lan', uuid: 'net-lan', name: 'lan' };
const drLan = { ref: 'ref:dr-lan', uuid: 'net-dr-lan', name: 'dr-lan' };

export const sourceVm: SourceObservation = {
  poolName: 'berlin',
  vm: { ref: 'ref:vm', uuid: 'vm', name: 'db1' },
  powerState: 'Running',
  operations: ['snapshot', 'clean_shutdown'],
  shutDown: { kind: 'absent' },
  disks: [],
  excluded: [],
  cards: [{ device: '0', network: lan, mac: '02:00:00:00:00:01', mtu: 1500 }],
  snapshots: [],
  networks: [lan],
  replicaOf: null,
  storages: [],
  nowMs: null,
  nbd: null,
};

/** Words: thin, thick, unzeroed, raw, free=<GiB>. */
export function targetOf(words: readonly string[]): TargetObservation {
  const free = words.find((word) => word.startsWith('free='))?.slice('free='.length) ?? '1000';
  return {
    poolName: 'paris',
    poolUuid: 'pool-target',
    sr: { ref: 'ref:sr', uuid: 'sr', name: 'vault' },
    srType: 'ext',
    allocation: words.includes('thick') ? 'thick' : 'thin',
    zeroedDisks: !words.includes('unzeroed'),
    rawDisks: words.includes('raw'),
    freeBytes: Number(free) * 1024 ** 3,
    staged: [],
    reserved: [],
    replica: null,
    rivals: [],
    networks: [drLan],
  };
}

export function replicaNamed(name: string): ObservedReplica {
  return {
    id: { ref: `ref:${name}`, uuid: name, name },
    mark: { v: 1, self: name, job: 'gold', sourceVm: 'vm', sr: 'sr' },
    powerState: 'Halted',
    blockedOperations: { start: 'replica', start_on: 'replica' },
    disks: [],
    points: [],
    swap: { kind: 'absent' },
    announced: [],
    settings: plainSettings,
    cards: [],
    cardRefs: [],
    foreignTransfer: null,
  };
}

export const plainSettings: VmSettings = {
  name_label: 'db1',
  name_description: 'a database',
  memory_static_min: 1024,
  memory_static_max: 4096,
  memory_dynamic_min: 2048,
  memory_dynamic_max: 4096,
  VCPUs_max: 2,
  VCPUs_at_startup: 2,
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
  HVM_boot_params: { order: 'cdn' },
  HVM_shadow_multiplier: 1,
  platform: { acpi: '1' },
  recommendations: '',
  xenstore_data: {},
  tags: ['gold'],
};
