/** When an agent starts a job next, for those who ask without being one. */
import { decideStart } from '../planner/agent-schedule';
import type { StartDecision } from '../planner/agent-schedule';
import { jobActivity, runDurationsMs } from '../planner/job-activity';
import type { ReplicaPoints } from '../planner/job-activity';
import type { JobDefinition } from '../planner/job';
import type { RememberedJob } from './history';
import { occurrencesOf } from './occurrences';

/** A target pool as it is, by its own clock. */
export interface SeenPast {
  readonly otherConfig: Readonly<Record<string, string>>;
  readonly nowMs: number;
  readonly replicas: readonly ReplicaPoints[];
}

/**
 * As an agent with that memory decides; without one, as an agent that starts now.
 */
export function nextStart(
  job: JobDefinition,
  { otherConfig, nowMs, replicas }: SeenPast,
  remembered: RememberedJob | undefined,
): StartDecision {
  const known = remembered?.durationsMs ?? [];
  const selectedVms = remembered?.vms == null ? null : new Set(remembered.vms.map(([uuid]) => uuid));
  const past = { jobId: job.jobId, namedVms: job.selection.uuids, selectedVms, replicas, otherConfig };
  try {
    return decideStart({
      job,
      nowMs,
      vms: jobActivity(past, nowMs),
      nextOccurrence: occurrencesOf(job),
      knownSinceMs: remembered?.knownSinceMs ?? nowMs,
      lastStartMs: remembered?.lastRun?.startedAtMs ?? null,
      lastEndMs: remembered?.lastRun?.endedAtMs ?? null,
      failure: remembered?.failure ?? null,
      expectedRunMs: Math.max(0, ...(known.length > 0 ? known : runDurationsMs(replicas))),
      sourceDown: null,
    });
  } catch {
    // What is wrong with it is told by the agent, which does not run it.
    return { kind: 'none', why: 'unreadable' };
  }
}
