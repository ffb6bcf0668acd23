/** Pools without pools: jobs, locks and points as data, runs that take as long as the test says. */
import type { Clock, RunEvent, RunReport, VmOutcome } from '../../lib/engine';
import { encodeJob, jobKey } from '../../lib/planner/job-keys';
import { jobDefaults, keepLatest } from '../../lib/planner/job';
import type { JobDefinition } from '../../lib/planner/job';
import type { ActivityPoint, ReplicaPoints } from '../../lib/planner/job-activity';
import type { ReplicaVerification } from '../../lib/planner/verify';
import { encodeHolder, heldLocks, lockKey, releasedKey } from '../../lib/planner/lock-keys';
import type { PoolLook, RunRequest, Source, World } from '../../lib/agent/world';

export const leaseMs = 120_000;

export interface StartedRun {
  readonly job: string;
  readonly atMs: number;
  readonly onlyVms: readonly string[] | null;
}

/** One target pool with jobs of one VM each; several agents may share it. */
export class DrivenPool {
  readonly name: string;
  readonly uuid: string;
  /** By which its clock is ahead of ours. */
  readonly aheadMs: number;
  readonly otherConfig: Record<string, string> = {};
  readonly points = new Map<string, ActivityPoint[]>();
  down = false;

  constructor(name: string, aheadMs = 0) {
    this.name = name;
    this.uuid = `uuid-of-${name}`;
    this.aheadMs = aheadMs;
  }

  define(job: JobDefinition, revision = 1): void {
    for (const key of Object.keys(this.otherConfig)) {
      if (key.startsWith(`xenrepl:job:${job.jobId}:`)) Reflect.deleteProperty(this.otherConfig, key);
    }
    this.otherConfig[jobKey(job.jobId, revision)] = encodeJob(job, false);
  }

  remove(jobId: string): void {
    for (const key of Object.keys(this.otherConfig)) {
      if (key.startsWith(`xenrepl:job:${jobId}:`)) Reflect.deleteProperty(this.otherConfig, key);
    }
  }
}

export function jobOn(pool: DrivenPool, jobId: string, changes: Partial<JobDefinition> = {}): JobDefinition {
  return {
    ...jobDefaults,
    schemaVersion: 1,
    jobId,
    scheduleId: `schedule-of-${jobId}`,
    name: jobId,
    enabled: true,
    source: { poolName: 'paris', poolUuid: null },
    target: { poolName: pool.name, poolUuid: pool.uuid, srUuid: 'sr' },
    selection: { uuids: [], tags: ['protect'] },
    schedule: { kind: 'every', intervalMs: 3_600_000 },
    retention: keepLatest(3),
    networkMap: {},
    onUnmappedNetwork: 'fail',
    onMissingBase: 'fail',
    onDivergence: 'fail',
    concurrency: 1,
    ...changes,
  };
}

export class DrivenWorld implements World {
  readonly runs: StartedRun[] = [];
  readonly pools: DrivenPool[];
  readonly #clock: Clock;
  /** How long the next runs take. */
  runMs = 60_000;
  /** What they come to; null: a recovery point. */
  outcome: VmOutcome | null = null;
  /** What is said of the recovery points of each replica. */
  verification: ReplicaVerification | null = null;
  sourcesDown = new Set<string>();
  running = 0;
  runningMax = 0;
  closed = false;

  constructor(clock: Clock, ...pools: readonly DrivenPool[]) {
    this.#clock = clock;
    this.pools = [...pools];
  }

  get poolNames(): readonly string[] {
    return this.pools.map(({ name }) => name);
  }

  async look(poolName: string): Promise<PoolLook> {
    await Promise.resolve();
    const pool = this.#pool(poolName);
    if (pool.down) throw Object.assign(new Error(`pool "${poolName}" is gone`), { kind: 'connection' });
    return { poolUuid: pool.uuid, nowMs: this.#poolNow(pool), otherConfig: { ...pool.otherConfig } };
  }

  async replicas(poolName: string): Promise<ReadonlyMap<string, readonly ReplicaPoints[]>> {
    await Promise.resolve();
    return new Map(
      [...this.#pool(poolName).points].map(([jobId, points]) => [
        jobId,
        [{ sourceVmUuid: vmOf(jobId), name: 'db1', points: [...points], verification: this.verification }],
      ]),
    );
  }

  async source(job: JobDefinition): Promise<Source> {
    await Promise.resolve();
    const { poolName } = job.source;
    if (this.sourcesDown.has(poolName))
      throw Object.assign(new Error(`pool "${poolName}" does not answer`), {
        kind: 'timeout',
        retry: 'later',
        hint: 'look at it',
      });
    return { name: poolName, [Symbol.asyncDispose]: () => Promise.resolve() };
  }

  async run(_: Source, request: RunRequest): Promise<RunReport> {
    const { job, runId, onlyVms, emit, signal } = request;
    const pool = this.#pool(request.targetPool);
    const startedAtMs = this.#poolNow(pool);
    const vm = { uuid: vmOf(job.jobId), name: 'db1' };
    if (heldLocks(pool.otherConfig, job.jobId, startedAtMs).size > 0)
      return this.#report(request, vm, lockedOut, startedAtMs, startedAtMs);
    const number = 1 + highestLock(pool, job.jobId);
    const lock = { jobId: job.jobId, vmUuid: vm.uuid };
    pool.otherConfig[lockKey(lock, number)] = encodeHolder({
      run: runId,
      who: 'driven',
      takenAtMs: startedAtMs,
      leaseMs,
    });
    this.runs.push({ job: job.jobId, atMs: startedAtMs, onlyVms });
    this.running += 1;
    this.runningMax = Math.max(this.runningMax, this.running);
    for (const event of eventsOf(runId, job, vm)) emit(event);
    let outcome = this.outcome;
    try {
      await this.#clock.sleep(this.runMs, signal);
    } catch {
      outcome = {
        kind: 'cancelled',
        error: { code: 'cancelled', message: 'stopped', hint: '', retry: 'later' },
      };
    }
    this.running -= 1;
    pool.otherConfig[releasedKey(lock, number)] = runId;
    if (outcome === null) this.#commit(pool, job.jobId, runId, startedAtMs);
    return this.#report(request, vm, outcome ?? replicated(startedAtMs), startedAtMs, this.#poolNow(pool));
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  #commit(pool: DrivenPool, jobId: string, runId: string, takenAtMs: number): void {
    const points = pool.points.get(jobId) ?? [];
    const point = {
      takenAtMs,
      committedAtMs: this.#poolNow(pool),
      kind: 'delta',
      runId,
    } as const;
    pool.points.set(jobId, [point, ...points].slice(0, 3));
  }

  #report(
    { job, runId }: RunRequest,
    vm: { uuid: string; name: string },
    outcome: VmOutcome,
    startedAtMs: number,
    endedAtMs: number,
  ): RunReport {
    const disk = {
      device: '0',
      copyKind: 'delta',
      changedBytes: 4096,
      readBytes: 2048,
      sentBytes: 1024,
      digest: '',
      method: 'export',
      methodBecause: '',
      verified: null,
    } as const;
    const durationMs = endedAtMs - startedAtMs;
    return {
      run: runId,
      job: { id: job.jobId, name: job.name },
      startedAtMs,
      durationMs,
      ok: outcome.kind === 'replicated',
      warnings: [],
      nice: null,
      vms: [{ vm, outcome, durationMs, attempts: 1, disks: [disk], warnings: [], notes: [] }],
    };
  }

  #pool(name: string): DrivenPool {
    const pool = this.pools.find((one) => one.name === name);
    if (pool === undefined) throw new Error(`no pool "${name}"`);
    return pool;
  }

  /** To the second, as pools tell it. */
  #poolNow({ aheadMs }: DrivenPool): number {
    return Math.floor((this.#clock.nowMs() + aheadMs) / 1000) * 1000;
  }
}

const lockedOut: VmOutcome = {
  kind: 'locked',
  error: { code: 'locked', message: 'another run is at it', hint: '', retry: 'later' },
};

export function vmOf(jobId: string): string {
  return `vm-of-${jobId}`;
}

export function failure(code: string, retry: 'later' | 'never'): VmOutcome {
  return {
    kind: retry === 'never' ? 'blocked' : 'failed',
    error: { code, message: `it failed: ${code}`, hint: 'look', retry },
  };
}

function replicated(takenAtMs: number): VmOutcome {
  const id = { ref: 'ref', uuid: 'uuid', name: 'name' };
  return { kind: 'replicated', copyKind: 'delta', replica: id, point: id, sourceSnapshot: id, takenAtMs };
}

function eventsOf(run: string, job: JobDefinition, vm: { uuid: string; name: string }): readonly RunEvent[] {
  return [
    { kind: 'run-started', run, jobId: job.jobId, jobName: job.name, vms: 1 },
    { kind: 'vm-started', vm },
    { kind: 'disk-progress', vm, device: '0', bytesRead: 1, bytesSent: 1, bytesExpected: 2 },
  ];
}

function highestLock({ otherConfig }: DrivenPool, jobId: string): number {
  const stem = `xenrepl:lock:${jobId}:${vmOf(jobId)}:`;
  const numbers = Object.keys(otherConfig).flatMap((key) =>
    key.startsWith(stem) ? [Number(key.slice(stem.length).split(':')[0])] : [],
  );
  const highest = Math.max(0, ...numbers);
  for (const key of Object.keys(otherConfig)) {
    // As the engine does: what is superseded goes.
    if (key.startsWith(stem)) Reflect.deleteProperty(otherConfig, key);
  }
  return highest;
}
