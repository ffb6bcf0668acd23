/** One target pool, looked at over and over: its jobs, their locks, their recovery points, its clock. */
import { codeOf, liveJobs, retryOf } from '../engine';
import type { Clock } from '../engine';
import { decodeJobs } from '../planner/job-keys';
import type { JobDefinition } from '../planner/job';
import type { ReplicaPoints } from '../planner/job-activity';
import { locksTaken } from '../planner/lock-keys';
import type { Failure, Report } from './events';
import type { AgentSettings } from './settings';
import { Wake } from './waiting';
import type { World } from './world';

export interface SeenPool {
  readonly poolUuid: string;
  /** To be added to our clock to get the pool's. */
  readonly offsetMs: number;
  readonly otherConfig: Readonly<Record<string, string>>;
  readonly jobs: readonly JobDefinition[];
  /** By job id. */
  readonly replicas: ReadonlyMap<string, readonly ReplicaPoints[]>;
}

export interface WatchParts {
  readonly world: World;
  readonly clock: Clock;
  readonly settings: AgentSettings;
  readonly report: Report;
  /** Something was seen. */
  readonly onLook: () => void;
}

const downMaxMs = 60_000;

export class TargetWatch {
  readonly poolName: string;
  readonly #parts: WatchParts;
  readonly #stop = new AbortController();
  readonly #wake = new Wake();
  #seen: SeenPool | null = null;
  #failures = 0;
  #looking: Promise<SeenPool> | null = null;
  #replicasSeen: { readonly atMs: number; readonly locks: string } | null = null;
  #unreadable = '';
  #looked = false;

  constructor(poolName: string, parts: WatchParts) {
    this.poolName = poolName;
    this.#parts = parts;
  }

  /** As it was at the last look; null before the first. Stays what it was while the pool does not answer. */
  get seen(): SeenPool | null {
    return this.#seen;
  }

  get isUp(): boolean {
    return this.#seen !== null && this.#failures === 0;
  }

  /** False until the first look has ended, one way or the other. */
  get hasLooked(): boolean {
    return this.#looked;
  }

  /** Until `stop`; a pool that does not answer is asked again after a pause that grows to a minute. */
  async keepLooking(): Promise<void> {
    const { clock, settings } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.look().catch(() => undefined); // Told by `look`.
      this.#looked = true;
      this.#parts.onLook();
      const pauseMs = this.#failures === 0 ? settings.pollMs : this.#pauseMs();
      await this.#wake.sleep(clock, pauseMs, signal);
    }
  }

  stop(): void {
    this.#stop.abort(new Error('the agent stops looking at this pool'));
    this.#wake.ring();
  }

  /** Looks now; who asks while somebody looks gets what a look after this question sees. */
  async look(): Promise<SeenPool> {
    const before = this.#looking;
    if (before !== null) await before.catch(() => undefined);
    const looking = (this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
    }));
    return looking;
  }

  async #lookOnce(): Promise<SeenPool> {
    const { report } = this.#parts;
    try {
      const seen = await this.#ask();
      const wasUp = this.isUp;
      this.#seen = seen;
      this.#failures = 0;
      if (!wasUp) report({ kind: 'pool-up', pool: this.poolName, jobs: seen.jobs.length });
      return seen;
    } catch (error) {
      if (!this.#stop.signal.aborted) {
        this.#failures += 1;
        report({ kind: 'pool-down', pool: this.poolName, retryInMs: this.#pauseMs(), ...failureOf(error) });
      }
      throw error;
    }
  }

  async #ask(): Promise<SeenPool> {
    const { world, clock } = this.#parts;
    const { poolUuid, nowMs, otherConfig } = await world.look(this.poolName, this.#stop.signal);
    const offsetMs = nowMs - clock.nowMs();
    const live = liveJobs(otherConfig).map(({ definition }) => definition);
    const jobs = live.filter(({ target }) => target.poolUuid.toLowerCase() === poolUuid.toLowerCase());
    this.#tellUnreadable(otherConfig, live, poolUuid);
    return { poolUuid, offsetMs, otherConfig, jobs, replicas: await this.#replicas(jobs, otherConfig) };
  }

  /** Reading all VMs is dear: done when a lock changed hands, for new jobs, and now and then. */
  async #replicas(
    jobs: readonly JobDefinition[],
    otherConfig: SeenPool['otherConfig'],
  ): Promise<SeenPool['replicas']> {
    const { world, clock, settings } = this.#parts;
    if (jobs.length === 0) return new Map();
    const locks = [...jobs.map(({ jobId }) => jobId).sort(), locksTaken(otherConfig)].join('\n');
    const last = this.#replicasSeen;
    const fresh = last?.locks === locks && clock.nowMs() - last.atMs < settings.replicasEveryMs;
    if (fresh && this.#seen !== null) return this.#seen.replicas;
    const replicas = await world.replicas(this.poolName, this.#stop.signal);
    this.#replicasSeen = { atMs: clock.nowMs(), locks };
    return replicas;
  }

  /** Once for each state of affairs: a job that is not run must not go unnoticed, nor fill the log. */
  #tellUnreadable(
    otherConfig: SeenPool['otherConfig'],
    live: readonly JobDefinition[],
    poolUuid: string,
  ): void {
    const foreign = live
      .filter(({ target }) => target.poolUuid.toLowerCase() !== poolUuid.toLowerCase())
      .map(({ name, jobId, target }) => ({
        what: `job "${name}" (${jobId})`,
        reason: `it was written for target pool "${target.poolName}" (${target.poolUuid}) and was copied here: delete it here`,
      }));
    const unreadable = decodeJobs(otherConfig).unreadable.map(({ key, reason }) => ({
      what: `${key} of pool.other_config`,
      reason,
    }));
    const all = [...foreign, ...unreadable];
    const now = JSON.stringify(all);
    if (now === this.#unreadable) return;
    this.#unreadable = now;
    for (const one of all) this.#parts.report({ kind: 'job-unreadable', pool: this.poolName, ...one });
  }

  #pauseMs(): number {
    return Math.min(1_000 * 2 ** Math.min(this.#failures, 10), downMaxMs);
  }
}

/** What is told of anything thrown. Messages of lower layers hold no secrets. */
export function failureOf(error: unknown): Failure {
  const kind =
    typeof error === 'object' && error !== null && 'kind' in error ? String(error.kind) : 'unknown';
  return {
    code: codeOf(error) ?? kind,
    message: error instanceof Error ? error.message : String(error),
    hint: retryOf(error).hint,
  };
}
