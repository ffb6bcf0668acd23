/** The world as it is: pools of the pools file, runs of the engine. */
import { listReplicas, Neighbours, ReplicationError, runJob } from '../engine';
import type { Clock, RunReport } from '../engine';
import type { JobDefinition } from '../planner/job';
import type { ReplicaPoints } from '../planner/job-activity';
import { findSource } from '../pools';
import type { PoolsFile } from '../pools';
import type { Pool } from '../xapi';
import { breaksConnection, Sessions } from './sessions';
import type { Lease, OnWarning } from './sessions';
import type { PoolLook, RunRequest, Source, World } from './world';

export interface PoolsWorldParts {
  readonly file: PoolsFile;
  readonly clock: Clock;
  /** For the holder of locks: door, host and process. */
  readonly who: string;
  readonly onWarning: OnWarning;
  /** Where runs keep what later deltas may leave out; nothing is kept where absent. */
  readonly cacheDir?: string;
}

class ConnectedSource implements Source {
  readonly name: string;
  readonly pool: Pool;
  readonly leases: readonly Lease[];

  constructor(pool: Pool, leases: readonly Lease[]) {
    this.name = pool.name;
    this.pool = pool;
    this.leases = leases;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.leases.map((lease) => lease[Symbol.asyncDispose]()));
  }
}

export class PoolsWorld implements World {
  readonly #sessions: Sessions;
  readonly #parts: PoolsWorldParts;
  /** Runs of several jobs at once share the space of an SR and the room for transfers. */
  readonly #neighbours = new Neighbours();

  constructor(parts: PoolsWorldParts) {
    this.#parts = parts;
    this.#sessions = new Sessions(parts.file, parts.onWarning);
  }

  get poolNames(): readonly string[] {
    return [...this.#sessions.file.pools.keys()];
  }

  /** Takes another pools file in place of the present one. */
  use(file: PoolsFile): void {
    this.#sessions.use(file);
  }

  look(poolName: string, signal: AbortSignal): Promise<PoolLook> {
    return this.#with(poolName, signal, async (pool) => {
      const otherConfig = await pool.call('pool.get_other_config', [pool.ref], { signal });
      return { poolUuid: pool.uuid, otherConfig, nowMs: await pool.serverTime({ signal }) };
    });
  }

  replicas(poolName: string, signal: AbortSignal): Promise<ReadonlyMap<string, readonly ReplicaPoints[]>> {
    return this.#with(poolName, signal, async (pool) => {
      const byJob = new Map<string, ReplicaPoints[]>();
      for (const { jobId, ...replica } of await listReplicas(pool, null, { signal })) {
        const { sourceVmUuid, name, points, verification } = replica;
        const others = byJob.get(jobId) ?? [];
        const kept = { sourceVmUuid, name, points: points.slice(0, pointsKept), verification };
        byJob.set(jobId, [...others, kept]);
      }
      return byJob;
    });
  }

  async source(job: JobDefinition, signal: AbortSignal): Promise<ConnectedSource> {
    const leases: Lease[] = [];
    try {
      const found = await findSource(job.source, {
        names: this.poolNames,
        signal,
        connect: async (name) => {
          const lease = await this.#sessions.lease(name, signal);
          leases.push(lease);
          return lease.pool;
        },
      });
      if (found.kind === 'not-found') throw sourceMissing(job, this.#sessions.file.path);
      return new ConnectedSource(found.pool, leases);
    } catch (error) {
      await Promise.all(leases.map((lease) => lease[Symbol.asyncDispose]()));
      throw error;
    }
  }

  async run(source: ConnectedSource, request: RunRequest): Promise<RunReport> {
    const { job, targetPool, runId, onlyVms, emit, signal } = request;
    await using target = await this.#sessions.lease(targetPool, signal);
    const { clock, who, cacheDir } = this.#parts;
    try {
      const report = await runJob({
        job,
        source: source.pool,
        target: target.pool,
        context: { runId, who, clock, signal, emit },
        // Another run at it is looked for again later: waiting here would take a place from others.
        lockWaitMs: 0,
        neighbours: this.#neighbours,
        ...(onlyVms === null ? {} : { onlyVms }),
        ...(cacheDir === undefined ? {} : { cacheDir }),
      });
      if (report.vms.some(({ outcome }) => outcome.kind === 'failed')) renew([target, ...source.leases]);
      return report;
    } catch (error) {
      if (breaksConnection(error)) renew([target, ...source.leases]);
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  async #with<T>(poolName: string, signal: AbortSignal, work: (pool: Pool) => Promise<T>): Promise<T> {
    await using lease = await this.#sessions.lease(poolName, signal);
    try {
      return await work(lease.pool);
    } catch (error) {
      if (breaksConnection(error)) lease.markBroken();
      throw error;
    }
  }
}

/** Enough for the age of the newest and for how long runs take. */
const pointsKept = 6;

/** Which of the connections a failure came from is not told, and a new one costs little. */
function renew(leases: readonly Lease[]): void {
  for (const lease of leases) lease.markBroken();
}

function sourceMissing({ name, source }: JobDefinition, path: string): ReplicationError {
  return new ReplicationError(
    'job-missing',
    `Cannot find the source pool of job "${name}": no pool of ${path} that answers has the uuid ${source.poolUuid ?? ''} ` +
      `of "${source.poolName}"`,
    { retry: 'later', hint: `correct or add the entry "${source.poolName}" in the pools file` },
  );
}
