/** A reader of a run's events that shows them while they happen. */
import type { RunEvent } from '../../engine';
import type { Command } from '../command';
import { BarProgress } from './bars';
import { JsonProgress } from './json';
import { LineProgress } from './lines';

export interface Progress {
  readonly show: (event: RunEvent) => void;
  /** Leaves the cursor where the report can be printed. */
  readonly end: () => void;
}

export function progressFor({ io, out, err, json }: Command): Progress {
  if (json) return new JsonProgress(out, io.nowMs);
  const bars = io.stdout.isTTY === true && io.env['TERM'] !== 'dumb';
  if (!bars) return new LineProgress(out, io.nowMs);
  return new BarProgress(out, io.stderr.isTTY === true ? err : null, io.nowMs);
}
