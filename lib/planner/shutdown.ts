/** What becomes of a VM that was told to shut down for its snapshot, judged by what its pool says of it. */

/** A guest that was told may go on going down though its task is gone: one that is still up by then did not listen. */
export const quietEnoughMs = 60_000;
export const shutdownWatchMaxMs = 5 * 60_000;

export interface PowerSeen {
  readonly powerState: string;
  /** Those under way now. */
  readonly operations: readonly string[];
}

export interface Watched {
  /** For how long it has been seen up, without a break. */
  readonly upMs: number;
  /** How long that has to be. */
  readonly quietMs: number;
  readonly watchedMs: number;
}

/** `stays-up`: it runs, and nothing says that it is going down. */
export type AfterShutdown = 'start' | 'stays-up' | 'look-again' | 'unclear';

const changing: ReadonlySet<string> = new Set([
  'clean_shutdown',
  'hard_shutdown',
  'shutdown',
  'start',
  'start_on',
]);

/** @param seen null where the pool did not answer */
export function afterShutdown(seen: PowerSeen | null, { upMs, quietMs, watchedMs }: Watched): AfterShutdown {
  if (seen !== null && !seen.operations.some((one) => changing.has(one))) {
    if (seen.powerState === 'Halted') return 'start';
    if (upMs >= quietMs) return 'stays-up';
  }
  return watchedMs < shutdownWatchMaxMs ? 'look-again' : 'unclear';
}
