/** Metrics for Prometheus: counters are fed by events, gauges are read from the agent when somebody asks. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { AgentEvent, OfJob } from './events';
import type { JobView } from './agent';
import { promisesOf } from './violations';

/** What the gauges are read from. */
export interface Readings {
  readonly views: readonly JobView[];
  readonly pools: readonly { readonly name: string; readonly up: boolean }[];
}

const ofJob = ['pool', 'job', 'job_id'] as const;
const ofVm = [...ofJob, 'vm', 'vm_uuid'] as const;
type JobLabels = Record<(typeof ofJob)[number], string>;

/** A minute to a day: a run is short where little changes, and long where all of it travels. */
const durationBucketsSeconds = [1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600];

export class Metrics {
  readonly registry = new Registry();
  readonly #read: () => Readings;
  readonly #counters: Counters;
  readonly #gauges: Gauges;
  #forgetting: Promise<void> = Promise.resolve();

  constructor(version: string, read: () => Readings) {
    this.#read = read;
    this.#counters = countersIn(this.registry);
    this.#gauges = gaugesIn(this.registry);
    const build = gauge(this.registry, 'xenrepl_build_info', 'Version of the agent; the value is 1.', [
      'version',
    ]);
    build.set({ version }, 1);
    collectDefaultMetrics({ register: this.registry });
    // Gauges of that library whose names say that they are counters.
    for (const kind of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`nodejs_active_${kind}_total`);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** The page, in the text format of Prometheus. */
  async page(): Promise<string> {
    await this.#forgetting;
    this.#readGauges();
    return this.registry.metrics();
  }

  take(event: AgentEvent): void {
    const counters = this.#counters;
    switch (event.kind) {
      case 'job-found':
        this.#startAtZero(event);
        return;
      case 'job-gone':
        this.#forget(event);
        return;
      case 'skipped':
        counters.skips.inc({ ...labelsOf(event), reason: event.reason });
        return;
      case 'run-ended':
        this.#takeRun(event);
        return;
      case 'run-failed':
        counters.runs.inc({ ...labelsOf(event), outcome: 'failed' });
        counters.failures.inc({ ...labelsOf(event), code: event.code });
        return;
      case 'violation-began':
        counters.violations.inc({
          ...labelsOf(event),
          vm: event.vm.name ?? event.vm.uuid,
          vm_uuid: event.vm.uuid,
        });
        return;
      case 'pool-down':
        counters.poolFailures.inc({ pool: event.pool, code: event.code });
        return;
      case 'notification-failed':
        counters.notificationFailures.inc({ channel: event.channel });
        return;
      default:
        return;
    }
  }

  #takeRun(event: Extract<AgentEvent, { kind: 'run-ended' }>): void {
    const { runs, durations, readBytes, sentBytes, failures, lockWaits } = this.#counters;
    const labels = labelsOf(event);
    runs.inc({ ...labels, outcome: event.outcome });
    durations.observe(labels, event.report.durationMs / 1000);
    for (const { disks, outcome } of event.report.vms) {
      for (const disk of disks) {
        readBytes.inc(labels, disk.readBytes);
        sentBytes.inc(labels, disk.sentBytes);
      }
      if (outcome.kind === 'locked') lockWaits.inc(labels);
      else if (outcome.kind !== 'replicated') failures.inc({ ...labels, code: outcome.error.code });
    }
  }

  /** A rate of a counter that appears with its first event misses that event. */
  #startAtZero(event: OfJob): void {
    const labels = labelsOf(event);
    for (const outcome of ['replicated', 'failed']) this.#counters.runs.inc({ ...labels, outcome }, 0);
    for (const one of [this.#counters.readBytes, this.#counters.sentBytes, this.#counters.lockWaits])
      one.inc(labels, 0);
  }

  /** Series of jobs that are gone would go on for ever. */
  #forget(event: OfJob): void {
    const gone = labelsOf(event);
    const all = this.#counters.ofJobs.map((one) => forget(one, gone));
    this.#forgetting = Promise.all([this.#forgetting, ...all]).then(() => undefined);
  }

  #readGauges(): void {
    const { views, pools } = this.#read();
    const gauges = this.#gauges;
    for (const one of Object.values(gauges)) one.reset();
    for (const { name, up } of pools) gauges.poolUp.set({ pool: name }, up ? 1 : 0);
    for (const view of views) this.#readJob(view);
  }

  #readJob(view: JobView): void {
    const gauges = this.#gauges;
    const { book } = view;
    const { jobId, name: job, enabled, rpoMs } = book.definition;
    const labels = { pool: book.poolName, job, job_id: jobId };
    gauges.enabled.set(labels, enabled ? 1 : 0);
    gauges.running.set(labels, book.running === null ? 0 : 1);
    gauges.failureStreak.set(labels, book.failure?.count ?? 0);
    if (rpoMs !== null) gauges.rpo.set(labels, rpoMs / 1000);
    if (book.nextStart !== null) gauges.nextStart.set(labels, book.nextStart.atMs / 1000);
    for (const { vmUuid, name, verification } of view.vms) {
      if (verification === null) continue;
      const vm = name ?? book.vms?.get(vmUuid) ?? vmUuid;
      const ofOne = { ...labels, vm, vm_uuid: vmUuid };
      gauges.verifiedTime.set(ofOne, verification.lastAtMs / 1000);
      gauges.verifiedEqual.set(ofOne, verification.allEqual ? 1 : 0);
    }
    for (const vm of promisesOf(view)) {
      const ofOne = { ...labels, vm: vm.name ?? vm.uuid, vm_uuid: vm.uuid };
      if (vm.takenAtMs !== null) gauges.pointTime.set(ofOne, vm.takenAtMs / 1000);
      if (vm.ageMs !== null) gauges.age.set(ofOne, vm.ageMs / 1000);
      if (rpoMs === null || !enabled) continue;
      gauges.violated.set(ofOne, vm.violated ? 1 : 0);
      if (vm.lagMs !== null) gauges.lag.set(ofOne, vm.lagMs / 1000);
    }
  }
}

function countersIn(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name, help, labelNames, registers });
  const runs = counter('xenrepl_runs_total', 'Runs of a job that ended, by outcome.', [...ofJob, 'outcome']);
  const failures = counter(
    'xenrepl_failures_total',
    'VMs of runs, or whole runs, that ended without a recovery point, by error code.',
    [...ofJob, 'code'],
  );
  const skips = counter('xenrepl_skips_total', 'Starts that were put off or left out, by reason.', [
    ...ofJob,
    'reason',
  ]);
  const violations = counter(
    'xenrepl_rpo_violations_total',
    'Times that a VM began to violate its RPO.',
    ofVm,
  );
  const readBytes = counter(
    'xenrepl_source_read_bytes_total',
    'Bytes read from source pools by ended runs.',
    ofJob,
  );
  const sentBytes = counter(
    'xenrepl_target_sent_bytes_total',
    'Bytes sent to target pools by ended runs.',
    ofJob,
  );
  const lockWaits = counter(
    'xenrepl_lock_waits_total',
    'VMs of runs that another run held the lock of.',
    ofJob,
  );
  const durations = new Histogram({
    name: 'xenrepl_run_duration_seconds',
    help: 'How long runs took.',
    labelNames: ofJob,
    buckets: durationBucketsSeconds,
    registers,
  });
  return {
    runs,
    failures,
    skips,
    violations,
    readBytes,
    sentBytes,
    lockWaits,
    durations,
    poolFailures: counter('xenrepl_pool_failures_total', 'Looks at a pool that failed, by error code.', [
      'pool',
      'code',
    ]),
    notificationFailures: counter(
      'xenrepl_notification_failures_total',
      'Notifications that were not delivered.',
      ['channel'],
    ),
    ofJobs: [runs, failures, skips, violations, readBytes, sentBytes, lockWaits, durations] as const,
  };
}

type Counters = ReturnType<typeof countersIn>;

function gauge<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
): Gauge<L> {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}

function gaugesIn(registry: Registry) {
  const own = <L extends string>(name: string, help: string, labels: readonly L[]): Gauge<L> =>
    gauge(registry, name, help, labels);
  return {
    poolUp: own('xenrepl_pool_up', 'Whether the pool answered at the last look.', ['pool']),
    enabled: own('xenrepl_job_enabled', 'Whether the job is enabled.', ofJob),
    running: own('xenrepl_job_running', 'Whether this agent is at a run of the job.', ofJob),
    failureStreak: own('xenrepl_job_failure_streak', 'Runs of the job that failed one after another.', ofJob),
    nextStart: own('xenrepl_job_next_start_timestamp_seconds', 'When this agent starts the job next.', ofJob),
    rpo: own(
      'xenrepl_job_rpo_seconds',
      'The age that no newest recovery point of the job is to exceed.',
      ofJob,
    ),
    pointTime: own(
      'xenrepl_recovery_point_timestamp_seconds',
      'When the content of the newest recovery point was taken, by the source pool.',
      ofVm,
    ),
    age: own(
      'xenrepl_recovery_point_age_seconds',
      'Age of the newest recovery point, by the target pool.',
      ofVm,
    ),
    lag: own('xenrepl_rpo_lag_seconds', 'By how much the newest recovery point is older than the RPO.', ofVm),
    verifiedTime: own(
      'xenrepl_verification_timestamp_seconds',
      'When a recovery point was last compared with its source, by the target pool.',
      ofVm,
    ),
    verifiedEqual: own(
      'xenrepl_verification_equal',
      'Whether all its recovery points that were compared were equal when they last were.',
      ofVm,
    ),
    violated: own(
      'xenrepl_rpo_violated',
      'Whether the RPO is violated: too old, or no recovery point in time.',
      ofVm,
    ),
  };
}

type Gauges = ReturnType<typeof gaugesIn>;

function labelsOf({ pool, job }: OfJob): JobLabels {
  return { pool, job: job.name, job_id: job.id };
}

async function forget<L extends string>(metric: Counter<L> | Histogram<L>, gone: JobLabels): Promise<void> {
  const { values } = await metric.get();
  const matching = new Map(
    values
      .filter(({ labels }) =>
        Object.entries(gone).every(([name, value]) => (labels as Record<string, unknown>)[name] === value),
      )
      .map(({ labels }) => {
        // A bucket's limit is no label of the series that it belongs to.
        const own = Object.entries(labels as Record<string, string>).filter(([name]) => name !== 'le');
        return [JSON.stringify(own), Object.fromEntries(own) as Partial<Record<L, string>>] as const;
      }),
  );
  for (const labels of matching.values()) metric.remove(labels);
}
