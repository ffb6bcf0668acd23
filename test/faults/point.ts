/** The table's rows. */
import type { Stage } from './stage';
import type { Random } from './random';

/**
 * What a point starts from. `empty`: pools on which nothing was replicated yet, and that are thrown away afterwards;
 * `replica`: two recovery points stand, left as they are by the points before; `own`: like `replica`, but thrown away.
 */
export type Start = 'empty' | 'replica' | 'own';

/** A text: passed only in so far as nobody could know better; it says what is weak and what would show it. */
export type Verdict = { readonly weakness: string } | undefined;

export interface FaultPoint {
  readonly name: string;
  readonly from: Start;
  /** Throws where anything is otherwise than the group states. */
  readonly play: (stage: Stage, random: Random) => Promise<Verdict>;
}

export interface Group {
  readonly title: string;
  /** What is expected of every point of it. */
  readonly outcome: string;
  readonly points: readonly FaultPoint[];
}
