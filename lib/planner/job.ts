/*
 * The vocabulary of this project, used in every file with one meaning:
 *
 * pool      one XenServer/XCP-ng pool, reached at its coordinator
 * source    the end that is copied from; target: the end that is copied to
 * VM, disk  a disk is a VM's non-CD block device, known by its device position
 * snapshot  on the source;  recovery point: a committed snapshot of the replica
 * replica   the VM on the target
 * base      the newest pair (source snapshot, recovery point) with equal content
 * full, delta, seed (a replica that was carried by hand)
 * job       what to replicate, where to, how often
 * run       one execution of a job;  attempt: one try inside a run;  plan: the steps of an attempt, as data
 */

/** When the agent starts a run. `manual` jobs run only when a person or a pipeline asks. */
export type JobSchedule =
  | { readonly kind: 'manual' }
  | { readonly kind: 'every'; readonly intervalMs: number }
  | { readonly kind: 'cron'; readonly expression: string; readonly timeZone: string };

/** How many recovery points stay on the target, and how many snapshots on the source besides the newest base. */
export interface JobRetention {
  readonly latest: number;
  readonly sourceLatest: number;
}

/** Which VMs of the source pool a job protects: named ones and, resolved at run time, those that bear a tag. */
export interface VmSelection {
  readonly uuids: readonly string[];
  readonly tags: readonly string[];
}

/** How the first copy of a VM gets to the target: sent by the first run, or carried by hand and waited for. */
export type InitialCopy = 'auto' | 'seed';
/** What to do where a full copy would be needed although recovery points exist. */
export type OnMissingBase = 'fail' | 'full';
/** What to do where the replica's disks were written to by somebody else. */
export type OnDivergence = 'fail' | 'overwrite';
/** What to do with a network card whose network the map does not name. */
export type OnUnmappedNetwork = 'fail' | 'omit';

/**
 * The definition of a job as it stands on the target pool. Plain JSON, schema-versioned, without secrets:
 * whoever holds credentials for the target pool alone can read what was protected and where it is.
 */
export interface JobDefinition {
  readonly schemaVersion: 1;
  readonly jobId: string;
  readonly scheduleId: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly source: { readonly poolName: string; readonly poolUuid: string | null };
  readonly target: { readonly poolName: string; readonly poolUuid: string; readonly srUuid: string };
  readonly selection: VmSelection;
  readonly schedule: JobSchedule;
  readonly retention: JobRetention;
  /** Source network (uuid, or name where it is unique) to target network (likewise). */
  readonly networkMap: Readonly<Record<string, string>>;
  readonly onUnmappedNetwork: OnUnmappedNetwork;
  readonly initialCopy: InitialCopy;
  readonly onMissingBase: OnMissingBase;
  readonly onDivergence: OnDivergence;
  /** VMs replicated at once. */
  readonly concurrency: number;
}
