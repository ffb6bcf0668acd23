/** The table's rows. */
import type { SimulatorSpec } from '../../lib/simulator';
import type { Random } from './random';
import type { Stage } from './stage';

/**
 * What a point starts from. `empty`: pools on which nothing was replicated yet, and that are thrown away afterwards;
 * `replica`: two recovery points stand, left as they are by the points before; `own`: like `replica`, but thrown away.
 */
export type Start = 'empty' | 'replica' | 'own';

export interface FaultPoint {
  readonly name: string;
  readonly from: Start;
  /** Pools other than the usual ones; for points that start `empty`. */
  readonly spec?: SimulatorSpec;
  /** Where it takes much longer than others by its nature. */
  readonly maxMs?: number;
  /** Throws where anything is otherwise than the group states. */
  readonly play: (stage: Stage, random: Random) => Promise<void>;
}

export interface Group {
  readonly title: string;
  /** What is expected of every point of it. */
  readonly outcome: string;
  readonly points: readonly FaultPoint[];
}
