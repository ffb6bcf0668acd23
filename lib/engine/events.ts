/** Everything that happens in a run is one of these; logs, progress, reports and metrics are readers of them. */
import type { CopyKind } from '../planner/keys';
import type { ObjectId } from '../planner/observation';
import type { Plan, StepKind, TransferMethod } from '../planner/plan';
import type { VerifyMode } from '../planner/verify';

export interface ErrorSummary {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly retry: 'now' | 'later' | 'never';
}

export type VmOutcome =
  | {
      readonly kind: 'replicated';
      readonly copyKind: CopyKind;
      readonly replica: ObjectId;
      readonly point: ObjectId;
      readonly sourceSnapshot: ObjectId;
      readonly takenAtMs: number;
    }
  /** `deferred`: nothing is wrong, and nothing was copied; a later run goes on. */
  | {
      readonly kind: 'blocked' | 'deferred' | 'failed' | 'cancelled' | 'locked';
      readonly error: ErrorSummary;
    };

/** What came of giving way to busy hosts. */
export interface NiceReport {
  /** How often hosts were looked at. */
  readonly looks: number;
  /** Load average of a control domain for each of its vCPUs; null where no host said. */
  readonly highestLoadPerVcpu: number | null;
  /** How long bytes moved slower than they otherwise might have. */
  readonly heldBackMs: number;
  /** Null: it never gave way. */
  readonly lowestBytesPerSecond: number | null;
}

interface OfVm {
  readonly vm: { readonly uuid: string; readonly name: string };
}

/** Disks are read no faster than that by somebody who is no run, where anything bounds it. */
export interface RateEvent {
  readonly kind: 'reading-rate';
  /** As of now; null: no limit at this time of day. */
  readonly bytesPerSecond: number | null;
  /** Windows follow the time of day. */
  readonly windows: boolean;
  readonly nice: boolean;
}

/** What is told of giving way to busy hosts. */
export type NiceEvent =
  /** Who is nice goes slower, or faster again: null where it does not give way any more. */
  | {
      readonly kind: 'nice-paced';
      /** The busiest one that was looked at; null where none says. */
      readonly host: string | null;
      readonly loadPerVcpu: number | null;
      readonly bytesPerSecond: number | null;
    }
  /** It cannot be told how busy a host is. */
  | { readonly kind: 'nice-blind'; readonly text: string }
  | ({ readonly kind: 'nice-summary' } & NiceReport);

/** `atMs` is stamped by whoever collects events, from the run's clock. */
export type RunEvent =
  | {
      readonly kind: 'run-started';
      readonly run: string;
      readonly jobId: string;
      readonly jobName: string;
      readonly vms: number;
    }
  /** Something about which VMs the job selects that somebody should know. */
  | { readonly kind: 'selection-warning'; readonly text: string }
  | NiceEvent
  | ({ readonly kind: 'vm-started' } & OfVm)
  | ({ readonly kind: 'lock-waiting'; readonly holder: string; readonly untilMs: number } & OfVm)
  | ({ readonly kind: 'lock-acquired'; readonly number: number } & OfVm)
  | ({ readonly kind: 'planned'; readonly attempt: number; readonly plan: Plan } & OfVm)
  | ({ readonly kind: 'step-started'; readonly step: StepKind; readonly device: string | null } & OfVm)
  | ({ readonly kind: 'step-finished'; readonly step: StepKind; readonly device: string | null } & OfVm)
  | ({
      readonly kind: 'disk-opened';
      readonly device: string;
      readonly copyKind: CopyKind;
      readonly changedBytes: number;
    } & OfVm)
  | ({
      readonly kind: 'disk-progress';
      readonly device: string;
      readonly bytesRead: number;
      readonly bytesSent: number;
      readonly bytesExpected: number;
    } & OfVm)
  | ({
      readonly kind: 'segment-confirmed';
      readonly device: string;
      readonly segment: number;
      readonly bytesSent: number;
    } & OfVm)
  | ({
      readonly kind: 'disk-copied';
      readonly device: string;
      readonly copyKind: CopyKind;
      /** How the source was read, and why so. */
      readonly method: TransferMethod;
      readonly methodBecause: string;
      readonly changedBytes: number;
      readonly bytesRead: number;
      readonly bytesSent: number;
      readonly digest: string;
    } & OfVm)
  | ({
      readonly kind: 'disk-verifying';
      readonly device: string;
      readonly bytesDone: number;
      readonly bytesExpected: number;
    } & OfVm)
  | ({
      readonly kind: 'disk-verified';
      readonly device: string;
      readonly mode: VerifyMode;
      readonly comparedBytes: number;
    } & OfVm)
  | ({ readonly kind: 'warning'; readonly text: string } & OfVm)
  | ({
      readonly kind: 'attempt-failed';
      readonly attempt: number;
      readonly error: ErrorSummary;
      readonly retryInMs: number | null;
    } & OfVm)
  | ({ readonly kind: 'vm-finished'; readonly outcome: VmOutcome } & OfVm)
  | { readonly kind: 'run-finished'; readonly run: string };

export type Emit = (event: RunEvent) => void;
