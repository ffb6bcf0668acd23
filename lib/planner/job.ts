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

/**
 * Which recovery points stay on the target: the newest `latest`, and the newest one of each of the last so many hours,
 * days, ISO weeks and months in which there is one, by the clock of `timeZone`. And how many snapshots stay on the source
 * besides the newest base.
 */
export interface JobRetention {
  readonly latest: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  /** IANA name. */
  readonly timeZone: string;
  readonly sourceLatest: number;
}

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';

/** A stretch of the day, over midnight where it ends before it begins. */
export interface TimeWindow {
  /** Days on which it begins; none means every day. */
  readonly days: readonly Weekday[];
  /** `HH:MM`. */
  readonly from: string;
  /** `HH:MM`, not in the window any more; `24:00` is the end of the day. */
  readonly to: string;
  /** IANA name. */
  readonly timeZone: string;
}

/** How the source snapshot is taken. */
export interface JobSnapshot {
  /** `offline` shuts the guest down for the moment of the snapshot and starts it again. */
  readonly mode: 'disk' | 'quiesce' | 'memory' | 'offline';
  /** All VMs of a run at once, at most this far apart; null: each VM when its turn comes. */
  readonly groupSkewMs: number | null;
}

/** How the bytes travel. */
export interface JobTransfer {
  /** `auto` takes NBD with changed-block tracking where both are there, else an export. */
  readonly method: 'auto' | 'export' | 'nbd';
  /** Whether the job may turn on changed-block tracking on the disks it protects. */
  readonly enableCbt: boolean;
  /** Whether the data of the base's source snapshot goes once it is committed: only its list of changed blocks stays. */
  readonly dropSnapshotData: boolean;
  /** What each run reads back of its recovery point before it is called good. */
  readonly verify: 'none' | 'sampled' | 'full';
}

/** What a run must not exceed. All disks of a run share it. */
export interface JobLimits {
  /** Null: no limit. */
  readonly bytesPerSecond: number | null;
  /** Where the time is in a window, its limit counts in place of the one above; the first that matches. */
  readonly windows: readonly (TimeWindow & { readonly bytesPerSecond: number | null })[];
  /** Gives way, down to a tenth of its rate, while the control domain of a host that it reads from is busy. */
  readonly nice: boolean;
  /** Disks read at once from one pool, and from or to one SR. */
  readonly transfersPerPool: number;
  readonly transfersPerSr: number;
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
  /** The newest recovery point is never to be older than this; null: no promise. */
  readonly rpoMs: number | null;
  /** Scheduled starts are put off by up to this, the same for a job each time, so that jobs do not all start at once. */
  readonly jitterMs: number;
  /** The agent starts no run in these. */
  readonly blackouts: readonly TimeWindow[];
  readonly snapshot: JobSnapshot;
  readonly transfer: JobTransfer;
  readonly limits: JobLimits;
  /** Layers a disk's chain may have, on either side, before a run is put off: storage refuses more than about 30. */
  readonly maxChainDepth: number;
}

/** What a definition says that does not speak of it: one written before there was the choice, or by somebody without a wish. */
export const jobDefaults = {
  initialCopy: 'auto',
  rpoMs: null,
  jitterMs: 0,
  blackouts: [],
  snapshot: { mode: 'disk', groupSkewMs: null },
  transfer: { method: 'auto', enableCbt: false, dropSnapshotData: false, verify: 'none' },
  limits: { bytesPerSecond: null, windows: [], nice: false, transfersPerPool: 8, transfersPerSr: 4 },
  maxChainDepth: 28,
} as const satisfies Partial<JobDefinition>;

/** A retention that only counts. */
export function keepLatest(latest: number, sourceLatest = 1): JobRetention {
  return { latest, hourly: 0, daily: 0, weekly: 0, monthly: 0, timeZone: 'UTC', sourceLatest };
}
