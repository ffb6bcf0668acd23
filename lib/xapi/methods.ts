import type { NbdServerInfo, NetworkRecord, Records, TaskStatus, VbdRecord, VmRecord } from './records';
import type { Ref, Uuid } from './refs';

/** One XAPI message: parameters without the leading session, and the type of its result. */
interface Method<P extends readonly unknown[], R> {
  readonly params: P;
  readonly result: R;
}

/** Members a caller must give to `VM.create`: older hosts demand every one of them. */
export type VmCreateRecord = Omit<
  VmRecord,
  | 'uuid'
  | 'power_state'
  | 'is_a_snapshot'
  | 'is_control_domain'
  | 'snapshot_of'
  | 'snapshots'
  | 'snapshot_time'
  | 'resident_on'
  | 'VBDs'
  | 'VIFs'
  | 'VTPMs'
  | 'allowed_operations'
  | 'current_operations'
  | 'suspend_VDI'
  | 'user_version'
  | 'metrics'
> & { readonly user_version: number };

export interface VdiCreateRecord {
  readonly name_label: string;
  readonly name_description: string;
  readonly SR: Ref<'SR'>;
  readonly virtual_size: number;
  readonly type: 'user' | 'system';
  readonly sharable: boolean;
  readonly read_only: boolean;
  readonly other_config: Readonly<Record<string, string>>;
  readonly xenstore_data: Readonly<Record<string, string>>;
  readonly sm_config: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
}

export type VbdCreateRecord = Pick<
  VbdRecord,
  | 'VM'
  | 'VDI'
  | 'userdevice'
  | 'bootable'
  | 'mode'
  | 'type'
  | 'unpluggable'
  | 'empty'
  | 'other_config'
  | 'qos_algorithm_type'
  | 'qos_algorithm_params'
>;

export interface VifCreateRecord {
  readonly device: string;
  readonly network: Ref<'network'>;
  readonly VM: Ref<'VM'>;
  readonly MAC: string;
  readonly MTU: number;
  readonly other_config: Readonly<Record<string, string>>;
  readonly qos_algorithm_type: string;
  readonly qos_algorithm_params: Readonly<Record<string, string>>;
  readonly locking_mode: string;
  readonly ipv4_allowed: readonly string[];
  readonly ipv6_allowed: readonly string[];
}

type ReadMethods = {
  [C in keyof Records as `${C}.get_record`]: Method<[self: Ref<C>], Records[C]>;
} & {
  [C in keyof Records as `${C}.get_all_records`]: Method<[], Readonly<Record<string, Records[C]>>>;
} & {
  [C in keyof Records as `${C}.get_by_uuid`]: Method<[uuid: Uuid<C> | string], Ref<C>>;
} & {
  [C in keyof Records as `${C}.get_uuid`]: Method<[self: Ref<C>], Uuid<C>>;
};

type OtherConfigMethods = {
  [C in 'VM' | 'VDI' | 'pool' | 'task' as `${C}.set_other_config`]: Method<
    [self: Ref<C>, value: Readonly<Record<string, string>>],
    ''
  >;
} & {
  [C in 'VM' | 'VDI' | 'pool' | 'task' as `${C}.add_to_other_config`]: Method<
    [self: Ref<C>, key: string, value: string],
    ''
  >;
} & {
  [C in 'VM' | 'VDI' | 'pool' | 'task' as `${C}.remove_from_other_config`]: Method<
    [self: Ref<C>, key: string],
    ''
  >;
} & {
  [C in 'VM' | 'VDI' | 'pool' as `${C}.get_other_config`]: Method<
    [self: Ref<C>],
    Readonly<Record<string, string>>
  >;
};

/** VM fields that xapi makes itself and nobody can set. */
type VmReadOnlyField =
  | 'uuid'
  | 'power_state'
  | 'is_a_snapshot'
  | 'is_control_domain'
  | 'is_default_template'
  | 'snapshot_of'
  | 'snapshots'
  | 'snapshot_time'
  | 'snapshot_info'
  | 'resident_on'
  | 'VBDs'
  | 'VIFs'
  | 'VTPMs'
  | 'allowed_operations'
  | 'current_operations'
  | 'metrics';

/** Setters of VM fields that are carried from the source to the replica, each taking the field's own type. */
type VmFieldSetters = {
  [F in Exclude<keyof VmRecord, VmReadOnlyField> as `VM.set_${F}`]: Method<
    [self: Ref<'VM'>, value: NonNullable<VmRecord[F]>],
    ''
  >;
};

/** An object as `event.from` gives it; `snapshot` is its record, absent where the object is gone. */
export interface ObjectEvent {
  /** In lower case. */
  readonly class: string;
  /** `add`, `mod` or `del`. */
  readonly operation: string;
  readonly ref: string;
  readonly snapshot?: unknown;
}

/** What changed since the token that was asked with; everything, where that was empty. */
export interface EventBatch {
  readonly events: readonly ObjectEvent[];
  /** How many objects of each class there are, by lower-case name: the only sign of a deletion that was not told. */
  readonly valid_ref_counts?: Readonly<Record<string, number>>;
  readonly token: string;
}

interface ActionMethods {
  'event.from': Method<[specs: readonly string[], token: string, timeoutS: number], EventBatch>;
  'pool.get_all': Method<[], readonly Ref<'pool'>[]>;
  'session.get_is_local_superuser': Method<[self: Ref<'session'>], boolean>;
  'session.get_rbac_permissions': Method<[self: Ref<'session'>], readonly string[]>;
  /** Its latest value, of the last five seconds. Since XenServer 5.0, for every role (`datamodel_host.ml`). */
  'host.query_data_source': Method<[self: Ref<'host'>, dataSource: string], number>;
  'host.get_servertime': Method<[self: Ref<'host'>], string>;
  'host.get_server_certificate': Method<[self: Ref<'host'>], string>;

  'VM.create': Method<[record: VmCreateRecord], Ref<'VM'>>;
  'VM.destroy': Method<[self: Ref<'VM'>], ''>;
  'VM.snapshot': Method<[self: Ref<'VM'>, newName: string, ignoreVdis?: readonly Ref<'VDI'>[]], Ref<'VM'>>;
  'VM.clone': Method<[self: Ref<'VM'>, newName: string], Ref<'VM'>>;
  'VM.snapshot_with_quiesce': Method<[self: Ref<'VM'>, newName: string], Ref<'VM'>>;
  'VM.clean_shutdown': Method<[self: Ref<'VM'>], ''>;
  'VM.start': Method<[self: Ref<'VM'>, startPaused: boolean, force: boolean], ''>;
  'VM.hard_shutdown': Method<[self: Ref<'VM'>], ''>;
  'VM.set_memory_limits': Method<
    [self: Ref<'VM'>, staticMin: number, staticMax: number, dynamicMin: number, dynamicMax: number],
    ''
  >;
  'VM.set_VCPUs_number_live': Method<[self: Ref<'VM'>, count: number], ''>;
  'VM.add_to_blocked_operations': Method<[self: Ref<'VM'>, key: string, value: string], ''>;
  'VM.remove_from_blocked_operations': Method<[self: Ref<'VM'>, key: string], ''>;
  'VM.add_tags': Method<[self: Ref<'VM'>, value: string], ''>;
  'VM.remove_tags': Method<[self: Ref<'VM'>, value: string], ''>;
  'VM.get_power_state': Method<[self: Ref<'VM'>], VmRecord['power_state']>;
  'VM.get_current_operations': Method<[self: Ref<'VM'>], Readonly<Record<string, string>>>;
  'VM.get_by_name_label': Method<[label: string], readonly Ref<'VM'>[]>;

  'VDI.create': Method<[record: VdiCreateRecord], Ref<'VDI'>>;
  'VDI.clone': Method<[self: Ref<'VDI'>, driverParams: Readonly<Record<string, string>>], Ref<'VDI'>>;
  'VDI.destroy': Method<[self: Ref<'VDI'>], ''>;
  'VDI.resize': Method<[self: Ref<'VDI'>, sizeBytes: number], ''>;
  'VDI.set_name_label': Method<[self: Ref<'VDI'>, value: string], ''>;
  'VDI.set_name_description': Method<[self: Ref<'VDI'>, value: string], ''>;
  'VDI.get_VBDs': Method<[self: Ref<'VDI'>], readonly Ref<'VBD'>[]>;
  /** Since 7.3, as the four below. */
  'VDI.enable_cbt': Method<[self: Ref<'VDI'>], ''>;
  /** Base64 of a bitmap: a bit for each 64 KiB, most significant first, as long as the second disk needs. */
  'VDI.list_changed_blocks': Method<[older: Ref<'VDI'>, newer: Ref<'VDI'>], string>;
  'VDI.data_destroy': Method<[self: Ref<'VDI'>], ''>;
  'VDI.get_nbd_info': Method<[self: Ref<'VDI'>], readonly NbdServerInfo[]>;

  'VBD.create': Method<[record: VbdCreateRecord], Ref<'VBD'>>;
  'VBD.destroy': Method<[self: Ref<'VBD'>], ''>;
  'VIF.create': Method<[record: VifCreateRecord], Ref<'VIF'>>;
  'VIF.destroy': Method<[self: Ref<'VIF'>], ''>;

  'VTPM.create': Method<[vm: Ref<'VM'>, isUnique: boolean], Ref<'VTPM'>>;
  'VTPM.get_contents': Method<[self: Ref<'VTPM'>], string>;
  'VTPM.set_contents': Method<[self: Ref<'VTPM'>, contents: string], ''>;
  'VTPM.destroy': Method<[self: Ref<'VTPM'>], ''>;

  'SR.scan': Method<[self: Ref<'SR'>], ''>;
  'SR.get_by_name_label': Method<[label: string], readonly Ref<'SR'>[]>;
  'network.get_by_name_label': Method<[label: string], readonly Ref<'network'>[]>;
  'network.get_all_records_where': Method<[expr: string], Readonly<Record<string, NetworkRecord>>>;

  'task.create': Method<[label: string, description: string], Ref<'task'>>;
  'task.destroy': Method<[self: Ref<'task'>], ''>;
  'task.cancel': Method<[self: Ref<'task'>], ''>;
  /** Since 7.2. */
  'task.set_status': Method<[self: Ref<'task'>, status: TaskStatus], ''>;
}

/**
 * Every XAPI message this project sends: the client can call nothing else, and the simulator's handler
 * table is typed by the same interface, so a method that is used but not simulated does not compile.
 */
export type XapiMethods = ReadMethods & OtherConfigMethods & VmFieldSetters & ActionMethods;

export type MethodName = keyof XapiMethods;
export type Params<M extends MethodName> = XapiMethods[M]['params'];
export type Result<M extends MethodName> = XapiMethods[M]['result'];
