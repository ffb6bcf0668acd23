/** What the agent needs of the world outside: pools to look at, runs to start. Tests drive another one. */
import type { RunEvent, RunReport } from '../engine';
import type { JobDefinition } from '../planner/job';
import type { ReplicaPoints } from '../planner/job-activity';

/** A target pool as it was a moment ago. */
export interface PoolLook {
  readonly poolUuid: string;
  /** By the pool's clock. */
  readonly nowMs: number;
  readonly otherConfig: Readonly<Record<string, string>>;
}

export interface RunRequest {
  readonly job: JobDefinition;
  /** Name of the target pool in the pools file. */
  readonly targetPool: string;
  readonly runId: string;
  readonly onlyVms: readonly string[] | null;
  readonly emit: (event: RunEvent) => void;
  readonly signal: AbortSignal;
}

/** A source pool that is connected; let go when nothing more is wanted of it. */
export interface Source extends AsyncDisposable {
  /** Name in the pools file. */
  readonly name: string;
}

export interface World {
  readonly poolNames: readonly string[];
  /** Connects first where that is needed. Throws where the pool does not answer; it is connected anew the next time. */
  look(poolName: string, signal: AbortSignal): Promise<PoolLook>;
  /** What stands on the pool for its jobs, which takes a look at every VM of it. */
  replicas(poolName: string, signal: AbortSignal): Promise<ReadonlyMap<string, readonly ReplicaPoints[]>>;
  /** Connects to the source pool of a job. */
  source(job: JobDefinition, signal: AbortSignal): Promise<Source>;
  run(source: Source, request: RunRequest): Promise<RunReport>;
  close(): Promise<void>;
}
