import { Token } from 'cdktf';
import { Construct } from 'constructs';
import { Job } from './bindings/job';
import type { JobConfig } from './bindings/job';
import { checkedChoice, checkedInteger, checkedText, checkedUuids } from './checked';
import type { Duration } from './duration';
import { limitAttributes, snapshotAttributes, transferAttributes } from './job-options';
import type { LimitOptions, SnapshotOptions, TransferOptions } from './job-options';
import type { XenReplicationProvider } from './provider';
import type { Retention } from './retention';
import type { Schedule } from './schedule';
import type { TimeWindow } from './time-window';

/** What to replicate, where to, how often. */
export interface ReplicationJobProps {
  /**
   * Name of the job, unique on the target pool. The job's identity is made from it once, at creation: a job destroyed
   * and deployed again under the same name, or under another construct id, goes on with its replicas and sends a delta.
   */
  readonly name: string;
  /** Pool the VMs are on, by its name in the pools file. */
  readonly sourcePool: string;
  /** Pool the replicas are kept on, by its name in the pools file. */
  readonly targetPool: string;
  /** Storage repository of the target pool for the replicas' disks: its uuid, or its name label where that is unique. */
  readonly targetSr: string;
  /**
   * VMs to protect, by uuid. Together with `vmTags` at least one must be named.
   * @default - none
   */
  readonly vmUuids?: readonly string[];
  /**
   * Protects every VM of the source pool that bears one of these tags when a run starts.
   * @default - none
   */
  readonly vmTags?: readonly string[];
  /**
   * When the agent runs the job by itself.
   * @default - never: it runs when a `ReplicationRun`, a person or a pipeline asks
   */
  readonly schedule?: Schedule;
  /**
   * How many recovery points are kept.
   * @default Retention.latest(3)
   */
  readonly retention?: Retention;
  /**
   * Network of the target for each network of the source, each by uuid or by name label where that is unique.
   * @default - none: a VM with network cards is refused, see `onUnmappedNetwork`
   */
  readonly networkMap?: Readonly<Record<string, string>>;
  /**
   * What happens to a network card whose network `networkMap` does not name: `fail` the run of that VM, or `omit` the
   * card from the replica. Never is a network guessed: a replica on the wrong one answers under a live address.
   * @default 'fail'
   */
  readonly onUnmappedNetwork?: 'fail' | 'omit';
  /**
   * What happens where recovery points exist, but none that a delta can build on: `fail`, or send everything (`full`).
   * @default 'fail'
   */
  readonly onMissingBase?: 'fail' | 'full';
  /**
   * What happens where somebody else wrote to the replica's disks: `fail`, or `overwrite` what they wrote.
   * @default 'fail'
   */
  readonly onDivergence?: 'fail' | 'overwrite';
  /**
   * How the first copy gets to the target: sent by the first run (`auto`), or carried by hand (`seed`): runs wait for it
   * and never send a full by themselves. See `ReplicaSeed`.
   * @default 'auto'
   */
  readonly initialCopy?: 'auto' | 'seed';
  /**
   * Promise that the newest recovery point is never older than this. The agent starts early enough to keep it, and tells
   * where it is broken. Not shorter than the schedule's interval.
   * @default - no promise
   */
  readonly rpo?: Duration;
  /**
   * Scheduled starts are put off by up to this, by the same time for this job each time, so that jobs do not all start
   * at once. Shorter than the schedule's interval.
   * @default - not at all
   */
  readonly jitter?: Duration;
  /**
   * Times in which the agent starts no run; what is running goes on.
   * @default - none
   */
  readonly blackouts?: readonly TimeWindow[];
  /**
   * How the source snapshot is taken.
   * @default - of the disks alone, of each VM when its turn comes
   */
  readonly snapshot?: SnapshotOptions;
  /**
   * How the bytes travel, and what is read back of them.
   * @default - by NBD with changed-block tracking where both are there, else by export; nothing is read back
   */
  readonly transfer?: TransferOptions;
  /**
   * What a run must not exceed; all its disks share it.
   * @default - as fast as it goes, 8 disks at once per pool and 4 per storage repository
   */
  readonly limits?: LimitOptions;
  /**
   * Layers that a disk's chain may have, on either side, before a run is put off until storage has merged some: 2 to 30.
   * @default 28
   */
  readonly maxChainDepth?: number;
  /**
   * VMs replicated at once, 1 to 16.
   * @default 2
   */
  readonly concurrency?: number;
  /**
   * Whether schedule and runs are active. A disabled job keeps its replicas.
   * @default true
   */
  readonly enabled?: boolean;
  /**
   * Destroys the replicas and their recovery points when the job is destroyed.
   * @default false - they stay, and a job with the same identity adopts them
   */
  readonly deleteReplicasOnDestroy?: boolean;
  /**
   * Identity of the job on the target pool, for a job that must go on with the replicas of another. Fixed at creation.
   * @default - made from the target pool and the name
   */
  readonly jobId?: string;
  /**
   * Identity of its schedule, for a job that goes on with the replicas of Xen Orchestra, or hands its own over.
   * @default - made from the job id
   */
  readonly scheduleId?: string;
  /**
   * Provider to use.
   * @default - the stack's XenReplicationProvider without an alias
   */
  readonly provider?: XenReplicationProvider;
}

/** What a run needs to know of a job; a `ReplicationJob` is one, and so is a job made elsewhere, written as an object. */
export interface IReplicationJob {
  /** Target pool, by its name in the pools file. */
  readonly targetPool: string;
  /** Identity of the job on the target pool. */
  readonly jobId: string;
  /**
   * Provider whose pools file names the target pool.
   * @default - the stack's XenReplicationProvider without an alias
   */
  readonly provider?: XenReplicationProvider | undefined;
}

/**
 * Continuous replication of VMs from one pool to another. Creating it writes down what is wanted and sends nothing;
 * the data moves when the job runs: by the agent's schedule, or in `cdktf deploy` through a `ReplicationRun`.
 *
 *     new ReplicationJob(this, 'web', {
 *       name: 'web',
 *       sourcePool: 'berlin',
 *       targetPool: 'munich',
 *       targetSr: 'nas',
 *       vmTags: ['dr:web'],
 *       networkMap: { 'LAN Berlin': 'LAN Munich' },
 *       schedule: Schedule.every(Duration.minutes(15)),
 *     });
 */
export class ReplicationJob extends Construct implements IReplicationJob {
  readonly targetPool: string;
  readonly provider: XenReplicationProvider | undefined;
  readonly #resource: Job;

  constructor(scope: Construct, id: string, props: ReplicationJobProps) {
    super(scope, id);
    checkProps(props);
    this.targetPool = props.targetPool;
    this.provider = props.provider;
    this.#resource = new Job(this, 'Default', attributesOf(props));
  }

  /** Identity of the job on the target pool. Known after the first apply, and the same from then on. */
  get jobId(): string {
    return this.#resource.jobId;
  }

  /** Identity of the job's schedule. */
  get scheduleId(): string {
    return this.#resource.scheduleId;
  }

  /** Uuid of the source pool; null where it did not answer when the job was created. */
  get sourcePoolUuid(): string {
    return this.#resource.sourcePoolUuid;
  }

  /** Uuid of the target pool. */
  get targetPoolUuid(): string {
    return this.#resource.targetPoolUuid;
  }

  /** Uuid of the storage repository of the replicas. */
  get targetSrUuid(): string {
    return this.#resource.targetSrUuid;
  }

  /**
   * Takes over a job that stands on the target pool already, as `terraform import` does.
   * @param importId `<name of the target pool>/<job id>`
   */
  importFrom(importId: string): void {
    this.#resource.importFrom(importId);
  }
}

function checkProps(props: ReplicationJobProps): void {
  const { vmUuids = [], vmTags = [] } = props;
  checkedText('name', props.name, "the job's identity is made from it");
  checkedText('sourcePool', props.sourcePool, 'it is looked up in the pools file');
  checkedText('targetPool', props.targetPool, 'it is looked up in the pools file');
  checkedText('targetSr', props.targetSr, "replicas' disks must be kept somewhere");
  checkedUuids(
    'vmUuids',
    vmUuids,
    'names of VMs are not unique on a pool; use vmTags to choose VMs by a name of yours',
  );
  for (const tag of vmTags) checkedText('vmTags', tag, 'no VM bears an empty tag');
  if (isEmpty(vmUuids) && isEmpty(vmTags)) {
    throw new Error('vmUuids or vmTags must name at least one VM or tag: a job without VMs protects nothing');
  }
  if (props.jobId !== undefined) checkJobId('jobId', props.jobId, 'from the name');
  if (props.scheduleId !== undefined) checkJobId('scheduleId', props.scheduleId, 'from the job id');
  if (props.concurrency !== undefined) {
    checkedInteger('concurrency', props.concurrency, {
      min: 1,
      max: 16,
      because:
        'each VM at once takes a stream from the source and one to the target, which share the same hosts',
    });
  }
  if (props.maxChainDepth !== undefined) {
    checkedInteger('maxChainDepth', props.maxChainDepth, {
      min: 2,
      max: 30,
      because: 'two is a copy and what changed since, and storage refuses chains of more than 30',
    });
  }
  checkRetention(props);
  checkPolicies(props);
  checkPace(props);
  checkNetworkMap(props.networkMap ?? {});
}

/** Besides its recovery points a chain holds the live disk's layer, and needs room for that of the next run. */
function checkRetention({ retention, maxChainDepth = 28 }: ReplicationJobProps): void {
  const latest = retention?.toAttributes().latest;
  if (latest === undefined || Token.isUnresolved(latest) || Token.isUnresolved(maxChainDepth)) return;
  if (latest <= maxChainDepth - 2) return;
  throw new Error(
    `retention must not keep more than ${maxChainDepth - 2} latest points with maxChainDepth ${maxChainDepth}, and ${latest} ` +
      "is more: each is a layer of its disks' chains, and every run after that would be put off",
  );
}

/** Whether the schedule can keep the promise, and the jitter the schedule. */
function checkPace({ schedule, rpo, jitter }: ReplicationJobProps): void {
  const interval = schedule?.interval;
  if (interval?.isKnown !== true) return;
  if (rpo?.isKnown === true && rpo.toSeconds() < interval.toSeconds()) {
    throw new Error(
      `rpo must not be shorter than the schedule's interval (${interval.toString()}), and ${rpo.toString()} is: ` +
        'between two runs the newest recovery point is older than that',
    );
  }
  if (jitter?.isKnown === true && jitter.toSeconds() >= interval.toSeconds()) {
    throw new Error(
      `jitter must be shorter than the schedule's interval (${interval.toString()}), and ${jitter.toString()} is not: ` +
        'a start could be put off beyond the next one',
    );
  }
}

function checkJobId(name: string, id: string, otherwise: string): void {
  if (Token.isUnresolved(id) || /^[\w.-]{1,64}$/.test(id)) return;
  throw new Error(
    `${name} must be a uuid, or up to 64 letters, digits, dots, dashes and underscores, not "${id}": ` +
      `it stands inside keys on the pool. Leave it out to have it made ${otherwise}`,
  );
}

function checkPolicies(props: ReplicationJobProps): void {
  const { initialCopy, onUnmappedNetwork, onMissingBase, onDivergence } = props;
  if (initialCopy !== undefined) {
    checkedChoice('initialCopy', initialCopy, ['auto', 'seed'], 'the first copy is sent or carried by hand');
  }
  if (onUnmappedNetwork !== undefined) {
    checkedChoice('onUnmappedNetwork', onUnmappedNetwork, ['fail', 'omit'], 'a network is never guessed');
  }
  if (onMissingBase !== undefined) {
    checkedChoice('onMissingBase', onMissingBase, ['fail', 'full'], 'a delta never silently becomes a full');
  }
  if (onDivergence !== undefined) {
    checkedChoice(
      'onDivergence',
      onDivergence,
      ['fail', 'overwrite'],
      'what others wrote is not thrown away unasked',
    );
  }
}

function checkNetworkMap(networkMap: Readonly<Record<string, string>>): void {
  if (Token.isUnresolved(networkMap)) return;
  for (const [source, target] of Object.entries(networkMap)) {
    checkedText('networkMap', source, 'a network of the source pool is named by uuid or name label');
    checkedText(
      `networkMap["${source}"]`,
      target,
      "leave the entry out and set onUnmappedNetwork to 'omit' for a card without a network",
    );
  }
}

function isEmpty(list: readonly string[]): boolean {
  return !Token.isUnresolved(list) && list.length === 0;
}

/** What is not given stays out: the provider holds the defaults, and writes them into the plan. */
function attributesOf(props: ReplicationJobProps): JobConfig {
  const { vmUuids = [], vmTags = [], schedule, retention, networkMap, provider, ...others } = props;
  const { rpo, jitter, blackouts, snapshot, transfer, limits, ...scalars } = others;
  return {
    ...scalars,
    ...(isEmpty(vmUuids) ? {} : { vmUuids: [...vmUuids] }),
    ...(isEmpty(vmTags) ? {} : { vmTags: [...vmTags] }),
    ...(schedule === undefined ? {} : { schedule: schedule.toAttributes() }),
    ...(retention === undefined ? {} : { retention: retention.toAttributes() }),
    ...(networkMap === undefined ? {} : { networkMap: { ...networkMap } }),
    ...(rpo === undefined ? {} : { rpo: rpo.toString() }),
    ...(jitter === undefined ? {} : { jitter: jitter.toString() }),
    ...(blackouts === undefined || blackouts.length === 0
      ? {}
      : { blackouts: blackouts.map((window) => window.toAttributes()) }),
    ...(snapshot === undefined ? {} : { snapshot: snapshotAttributes(snapshot) }),
    ...(transfer === undefined ? {} : { transfer: transferAttributes(transfer) }),
    ...(limits === undefined ? {} : { limits: limitAttributes(limits) }),
    ...(provider === undefined ? {} : { provider }),
  };
}
