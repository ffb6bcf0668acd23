/*
 * Replication of XenServer and XCP-ng virtual machines in a CDKTF app: what the user wants, checked at synth.
 */
export { DataRate } from './data-rate';
export { Duration } from './duration';
export type { LimitOptions, RateWindow, SnapshotOptions, TransferOptions } from './job-options';
export { XenReplicationProvider } from './provider';
export type { XenReplicationProviderProps } from './provider';
export { ReplicaSeed } from './replica-seed';
export type { ReplicaSeedProps } from './replica-seed';
export { ReplicationJob } from './replication-job';
export type { IReplicationJob, ReplicationJobProps } from './replication-job';
export { ReplicationRun } from './replication-run';
export type { ReplicationRunProps } from './replication-run';
export { Retention } from './retention';
export type { RetentionOptions } from './retention';
export { Schedule } from './schedule';
export type { CronOptions } from './schedule';
export { TimeWindow } from './time-window';
export type { TimeWindowOptions, Weekday } from './time-window';
/** The provider's own resources, one class each, for what the constructs above leave out. */
export * as bindings from './bindings';
