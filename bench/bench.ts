/** What every part of the measurement is given. */
import type { Figure } from './measure';
import type { RunFigures } from './engine-run';
import type { Processes } from './processes';

export interface Bench {
  readonly processes: Processes;
  /** Smaller disks and fewer rounds. */
  readonly quick: boolean;
  /** How often each timed thing is done at most: its median counts. */
  readonly rounds: number;
}

export interface Part {
  readonly name: string;
  /** @throws Error where something could not be measured, or a copy was not equal */
  readonly measure: (bench: Bench) => Promise<readonly Figure[]>;
}

export function sentBytes({ report }: RunFigures): number {
  return report.vms.flatMap(({ disks }) => disks).reduce((sum, disk) => sum + disk.sentBytes, 0);
}

export function callsOf({ calls }: RunFigures): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}
