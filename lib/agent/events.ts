/** Everything that happens in the agent is one of these; log, metrics, notifications and memory are readers of them. */
import type { RunEvent, RunReport, VmOutcome } from '../engine';
import type { PutOff, StartCause } from '../planner/agent-schedule';
import type { RpoState } from '../planner/rpo';

export interface OfPool {
  readonly pool: string;
}

export interface OfJob extends OfPool {
  readonly job: { readonly id: string; readonly name: string };
}

export interface OfVm extends OfJob {
  readonly vm: { readonly uuid: string; readonly name: string | null };
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export type AgentEvent =
  | { readonly kind: 'started'; readonly pools: readonly string[] }
  | { readonly kind: 'reloaded'; readonly pools: readonly string[] }
  | { readonly kind: 'reload-failed'; readonly message: string }
  | ({ readonly kind: 'pool-up'; readonly jobs: number } & OfPool)
  | ({ readonly kind: 'pool-down'; readonly retryInMs: number } & OfPool & Failure)
  | ({ readonly kind: 'job-found' | 'job-changed' | 'job-gone' } & OfJob)
  /** A definition, or its schedule, that cannot be understood: the job is not run. */
  | ({ readonly kind: 'job-unreadable'; readonly what: string; readonly reason: string } & OfPool)
  | ({ readonly kind: 'skipped' } & OfJob & Omit<PutOff, 'reason'> & { readonly reason: string })
  | ({
      readonly kind: 'run-starting';
      readonly run: string;
      readonly cause: StartCause;
      readonly lateMs: number;
    } & OfJob)
  | ({ readonly kind: 'run-event'; readonly event: RunEvent } & OfJob)
  | ({ readonly kind: 'run-ended'; readonly report: RunReport; readonly outcome: RunOutcome } & OfJob)
  /** It did not come to a report: a pool could not be reached, for example. */
  | ({ readonly kind: 'run-failed'; readonly run: string; readonly durationMs: number } & OfJob & Failure)
  | ({ readonly kind: 'violation-began' | 'violation-ended'; readonly rpoMs: number } & OfVm & RpoState)
  | { readonly kind: 'notification-failed'; readonly channel: string; readonly message: string }
  | { readonly kind: 'memory-lost'; readonly message: string }
  | { readonly kind: 'stopping'; readonly runs: number }
  | { readonly kind: 'stopped'; readonly clean: boolean };

/** `locked`: another run was faster; `deferred`: storage has no room for another layer yet. Neither is a failure. */
export type RunOutcome = VmOutcome['kind'] | 'partly';

export type Report = (event: AgentEvent) => void;

/** One word for a run: the worst that happened to a VM, where some have a point and some have not `partly`. */
export function outcomeOf({ vms }: Pick<RunReport, 'vms'>): RunOutcome {
  const kinds = new Set(vms.map(({ outcome }) => outcome.kind));
  if (kinds.size === 0 || (kinds.size === 1 && kinds.has('replicated'))) return 'replicated';
  for (const kind of ['cancelled', 'failed', 'blocked', 'deferred', 'locked'] as const) {
    if (!kinds.has(kind)) continue;
    return kinds.has('replicated') && kind !== 'locked' && kind !== 'cancelled' ? 'partly' : kind;
  }
  return 'failed';
}
