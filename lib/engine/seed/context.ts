/** What the work on a seed is given from outside, and what it tells meanwhile. */
import type { RunContext } from '../context';
import type { NiceEvent, RateEvent } from '../events';

export type SeedAction = 'attach' | 'detach' | 'export' | 'import';
export type VerifyMode = 'none' | 'sampled' | 'full';

/** What was read of one disk on both sides, and what that showed. */
export interface DiskVerification {
  readonly device: string;
  readonly mode: VerifyMode;
  /** What was compared with: the source disk itself, or the digests that were written when it was exported. */
  readonly against: 'source' | 'manifest';
  /** Bytes of the disk, from its start, of which every one was compared. */
  readonly comparedBytes: number;
  readonly sizeBytes: number;
  /** Blocks of 2 MiB that differ. */
  readonly differingBlocks: number;
}

export type SeedEvent =
  | RateEvent
  | NiceEvent
  | {
      readonly kind: 'seed-started';
      readonly action: SeedAction;
      readonly vm: { readonly uuid: string; readonly name: string };
    }
  | { readonly kind: 'seed-lock-waiting'; readonly holder: string; readonly untilMs: number }
  | {
      readonly kind: 'seed-progress';
      readonly phase: 'compare' | 'repair' | 'export' | 'import';
      /** Null where all disks travel in one stream. */
      readonly device: string | null;
      readonly bytesDone: number;
      readonly bytesExpected: number;
    }
  | { readonly kind: 'seed-disk-compared'; readonly disk: DiskVerification }
  | {
      readonly kind: 'seed-disk-repaired';
      readonly device: string;
      readonly blocks: number;
      readonly bytesSent: number;
    }
  | {
      readonly kind: 'seed-disk-done';
      readonly device: string;
      readonly bytesDone: number;
      readonly skipped: boolean;
    }
  | { readonly kind: 'seed-note'; readonly text: string }
  | { readonly kind: 'seed-warning'; readonly text: string };

export interface SeedContext extends Omit<RunContext, 'emit'> {
  readonly emit: (event: SeedEvent) => void;
}

/** For the parts of the engine that speak of runs: what they tell is told by the seed in its own words. */
export function asRunContext(context: SeedContext): RunContext {
  return { ...context, emit: () => undefined };
}
