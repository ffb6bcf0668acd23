/** What people are told, and when: once when something breaks, once when it is whole again. Pure but for what it counts. */
import type { AgentEvent, Failure, OfJob } from '../events';
import type { NoticeKind } from '../config';

export interface Notice {
  readonly kind: NoticeKind;
  readonly atMs: number;
  readonly pool: string;
  readonly job: { readonly id: string; readonly name: string };
  readonly vm: { readonly uuid: string; readonly name: string | null } | null;
  /** One line. */
  readonly subject: string;
  readonly text: string;
}

export class Notices {
  readonly #failing = new Set<string>();

  /** The notice that an event is worth, or null. */
  of(event: AgentEvent, nowMs: number): Notice | null {
    switch (event.kind) {
      case 'violation-began':
      case 'violation-ended':
        return ofViolation(event, nowMs);
      case 'run-failed':
        return this.#failed(event, nowMs, lines(event));
      case 'run-ended':
        return this.#ended(event, nowMs);
      case 'job-gone':
        this.#failing.delete(keyOf(event));
        return null;
      default:
        return null;
    }
  }

  #ended(event: Extract<AgentEvent, { kind: 'run-ended' }>, nowMs: number): Notice | null {
    if (event.outcome === 'replicated') return this.#recovered(event, nowMs);
    if (['cancelled', 'locked', 'deferred'].includes(event.outcome)) return null;
    const text = event.report.vms
      .flatMap(({ vm, outcome }) =>
        outcome.kind === 'replicated' ? [] : [`VM "${vm.name}" (${vm.uuid}): ${lines(outcome.error)}`],
      )
      .join('\n');
    return this.#failed(event, nowMs, text);
  }

  #failed(event: OfJob, atMs: number, text: string): Notice | null {
    if (this.#failing.has(keyOf(event))) return null;
    this.#failing.add(keyOf(event));
    const subject = `Replication job "${event.job.name}" failed`;
    return { kind: 'failure', atMs, pool: event.pool, job: event.job, vm: null, subject, text };
  }

  #recovered(event: OfJob, atMs: number): Notice | null {
    if (!this.#failing.delete(keyOf(event))) return null;
    const subject = `Replication job "${event.job.name}" works again`;
    const text = 'Its last run gave every VM a new recovery point.';
    return { kind: 'recovery', atMs, pool: event.pool, job: event.job, vm: null, subject, text };
  }
}

function ofViolation(
  event: Extract<AgentEvent, { kind: 'violation-began' | 'violation-ended' }>,
  atMs: number,
): Notice {
  const { pool, job, vm, rpoMs, ageMs } = event;
  const began = event.kind === 'violation-began';
  const name = vm.name ?? vm.uuid;
  const age =
    ageMs === null ? 'it has no recovery point' : `its newest recovery point is ${seconds(ageMs)} old`;
  return {
    kind: began ? 'violation' : 'recovery',
    atMs,
    pool,
    job,
    vm,
    subject: began ? `RPO of VM "${name}" is violated` : `RPO of VM "${name}" is kept again`,
    text: `Job "${job.name}" on pool "${pool}" promises ${seconds(rpoMs)}; ${age}.`,
  };
}

function lines({ message, hint }: Pick<Failure, 'message' | 'hint'>): string {
  return hint === '' || message.endsWith(hint) ? message : `${message}\n  ${hint}`;
}

function seconds(ms: number): string {
  return `${String(Math.round(ms / 1000))} s`;
}

function keyOf({ pool, job }: OfJob): string {
  return `${pool}/${job.id}`;
}
