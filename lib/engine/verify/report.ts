/** What a verification found, for people, `--json` and metrics. */
import type { VerifyMode } from '../../planner/verify';
import type { ErrorSummary, NiceEvent, RateEvent } from '../events';

export interface VerifiedDiskReport {
  readonly device: string;
  readonly against: 'source' | 'digest' | 'nothing';
  readonly sizeBytes: number;
  /** `beginning`: every byte before `comparedBytes` was compared; `random`: so many bytes from all over the disk. */
  readonly sample: 'whole' | 'beginning' | 'random';
  readonly comparedBytes: number;
  /** With what probability one wrong block anywhere on the disk would have been found. */
  readonly chanceOfFinding: number;
  readonly differingBlocks: number;
  readonly firstDifferenceBytes: number | null;
  /** Why nothing was compared, or a beginning in the place of a random sample; else empty. */
  readonly reason: string;
}

export type PointOutcome =
  /** All that was compared is equal, and something of each disk was. */
  | { readonly kind: 'equal' }
  | { readonly kind: 'differs' }
  /** What was compared now is equal, but an earlier comparison found a difference, and this one did not read all. */
  | { readonly kind: 'differed-before' }
  /** Nothing to compare at least one disk with: neither good nor bad. */
  | { readonly kind: 'not-verifiable' }
  /** A run destroyed the recovery point meanwhile: it was superseded. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'failed'; readonly error: ErrorSummary };

export interface PointVerification {
  readonly vm: { readonly uuid: string; readonly name: string };
  readonly point: { readonly uuid: string; readonly name: string; readonly takenAtMs: number };
  readonly mode: VerifyMode;
  readonly outcome: PointOutcome;
  readonly disks: readonly VerifiedDiskReport[];
  readonly durationMs: number;
}

export interface VerifyReport {
  readonly job: { readonly id: string; readonly name: string };
  /** True where every recovery point was found equal; false also where there was none to look at. */
  readonly ok: boolean;
  readonly points: readonly PointVerification[];
}

/** Progress of a verification. */
export type VerifyEvent =
  | RateEvent
  | NiceEvent
  | {
      readonly kind: 'verify-point-started';
      readonly vm: PointVerification['vm'];
      readonly point: PointVerification['point'];
    }
  | {
      readonly kind: 'verify-progress';
      readonly vm: PointVerification['vm'];
      readonly device: string;
      readonly bytesDone: number;
      readonly bytesExpected: number;
    }
  | { readonly kind: 'verify-point-finished'; readonly result: PointVerification };

export function outcomeOfDisks(disks: readonly VerifiedDiskReport[]): PointOutcome {
  if (disks.some(({ differingBlocks }) => differingBlocks > 0)) return { kind: 'differs' };
  if (disks.length === 0 || disks.some(({ against }) => against === 'nothing'))
    return { kind: 'not-verifiable' };
  return { kind: 'equal' };
}
