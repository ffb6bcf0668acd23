export { Neighbours } from './neighbours';
export { systemClock, type Clock, type RunContext } from './context';
export { BlockedError, ReplicationError, StalePlan, retryOf, codeOf } from './errors';
export type { Emit, ErrorSummary, NiceEvent, NiceReport, RateEvent, RunEvent, VmOutcome } from './events';
export {
  buryJob,
  defaultJobId,
  defaultScheduleId,
  listJobs,
  liveJobs,
  readJob,
  unreadableJobs,
  writeJob,
} from './jobs';
export type { JobState } from './jobs';
export { deleteReplicas, listReplicas } from './replicas';
export type { RecoveryPointSummary, ReplicaSummary } from './replicas';
export type { DiskReport, RunReport, VmReport } from './report';
export { planJob, type VmPlan } from './plan-job';
export { runJob, type RunJobOptions } from './run-job';
export { selectVms, type SelectedVm } from './select-vms';
export { leaseMs } from './lock';
export { defaultCacheDir } from './grain-cache';
export * from './seed';
export * from './verify';
