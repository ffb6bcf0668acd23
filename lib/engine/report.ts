/** The report of a run, reduced from its events and from nothing else. */
import type { CopyKind } from '../planner/keys';
import type { JobDefinition } from '../planner/job';
import type { TransferMethod } from '../planner/plan';
import type { VerifyMode } from '../planner/verify';
import type { NiceReport, RunEvent, VmOutcome } from './events';

export interface DiskReport {
  readonly device: string;
  readonly copyKind: CopyKind;
  /** How the source was read, and why so. */
  readonly method: TransferMethod;
  readonly methodBecause: string;
  /** Bytes in blocks that changed (or exist, in a full), as the source says. */
  readonly changedBytes: number;
  /** Bytes that came from the source over the wire. */
  readonly readBytes: number;
  /** Bytes that went to the target over the wire. */
  readonly sentBytes: number;
  readonly digest: string;
  /** What was read back before the replica got it, and found equal; null where the job does not ask for it. */
  readonly verified: { readonly mode: VerifyMode; readonly comparedBytes: number } | null;
}

export interface VmReport {
  readonly vm: { readonly uuid: string; readonly name: string };
  readonly outcome: VmOutcome;
  readonly durationMs: number;
  readonly attempts: number;
  readonly disks: readonly DiskReport[];
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

export interface RunReport {
  readonly run: string;
  readonly job: { readonly id: string; readonly name: string };
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly ok: boolean;
  /** About the run as a whole; a run that selects no VM is no failure, and is said here. */
  readonly warnings: readonly string[];
  /** Null where the job does not ask for it, or the run was over before hosts were looked at. */
  readonly nice: NiceReport | null;
  readonly vms: readonly VmReport[];
}

interface Growing {
  readonly vm: VmReport['vm'];
  readonly startedMs: number;
  attempts: number;
  disks: Map<string, DiskReport>;
  warnings: string[];
  notes: readonly string[];
  /** What was said of a chain that this run took over, before the plan that copies. */
  adopted: readonly string[];
}

const unheardOf: VmOutcome = {
  kind: 'failed',
  error: {
    code: 'unknown',
    message: 'the run ended before this VM did',
    hint: 'run the job again; this looks like a defect: please report it with the events of the run',
    retry: 'later',
  },
};

export class ReportBuilder {
  readonly #run: string;
  readonly #job: JobDefinition;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  readonly #growing = new Map<string, Growing>();
  readonly #done: VmReport[] = [];
  readonly #warnings: string[] = [];
  #nice: NiceReport | null = null;
  #expected = 0;

  constructor(run: string, job: JobDefinition, nowMs: () => number) {
    this.#run = run;
    this.#job = job;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  add(event: RunEvent): void {
    if (event.kind === 'run-started') this.#expected = event.vms;
    if (event.kind === 'selection-warning' || event.kind === 'nice-blind') this.#warnings.push(event.text);
    if (event.kind === 'nice-summary') {
      const { looks, highestLoadPerVcpu, heldBackMs, lowestBytesPerSecond } = event;
      this.#nice = { looks, highestLoadPerVcpu, heldBackMs, lowestBytesPerSecond };
    }
    if (!('vm' in event)) return;
    const growing = this.#of(event.vm);
    switch (event.kind) {
      case 'planned':
        growing.attempts = event.attempt;
        growing.disks = new Map();
        if (event.plan.kind === 'adopt') growing.adopted = [event.plan.because, ...event.plan.notes];
        growing.notes = event.plan.kind === 'replicate' ? [...growing.adopted, ...event.plan.notes] : [];
        break;
      case 'disk-copied': {
        const { device, copyKind, method, methodBecause, changedBytes, digest } = event;
        const wire = { readBytes: event.bytesRead, sentBytes: event.bytesSent };
        const copied = { device, copyKind, method, methodBecause, changedBytes, ...wire, digest };
        growing.disks.set(device, { ...copied, verified: null });
        break;
      }
      case 'disk-verified': {
        const { device, mode, comparedBytes } = event;
        const disk = growing.disks.get(device);
        if (disk !== undefined) growing.disks.set(device, { ...disk, verified: { mode, comparedBytes } });
        break;
      }
      case 'warning':
        growing.warnings.push(event.text);
        break;
      case 'vm-finished':
        this.#finish(growing, event.outcome);
        break;
      default:
        break;
    }
  }

  /** A VM of which no end was heard is not replicated, whatever the reason: silence is no success. */
  finish(): RunReport {
    for (const growing of this.#growing.values()) {
      if (!this.#done.some(({ vm }) => vm.uuid === growing.vm.uuid)) this.#finish(growing, unheardOf);
    }
    return {
      run: this.#run,
      job: { id: this.#job.jobId, name: this.#job.name },
      startedAtMs: Math.round(this.#startedMs),
      durationMs: Math.round(this.#nowMs() - this.#startedMs),
      ok:
        this.#done.length >= this.#expected &&
        this.#done.every(({ outcome }) => outcome.kind === 'replicated'),
      warnings: this.#warnings,
      nice: this.#nice,
      vms: this.#done,
    };
  }

  #of(vm: { readonly uuid: string; readonly name: string }): Growing {
    const known = this.#growing.get(vm.uuid);
    if (known !== undefined) return known;
    const fresh: Growing = {
      vm: { uuid: vm.uuid, name: vm.name },
      startedMs: this.#nowMs(),
      attempts: 0,
      disks: new Map(),
      warnings: [],
      notes: [],
      adopted: [],
    };
    this.#growing.set(vm.uuid, fresh);
    return fresh;
  }

  #finish(growing: Growing, outcome: VmOutcome): void {
    this.#done.push({
      vm: growing.vm,
      outcome,
      durationMs: Math.round(this.#nowMs() - growing.startedMs),
      attempts: growing.attempts,
      disks: [...growing.disks.values()].sort((a, b) => Number(a.device) - Number(b.device)),
      warnings: growing.warnings,
      notes: growing.notes,
    });
  }
}
