/** What is written for programs, and for whoever compares two machines. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { dirname } from 'node:path';
import { gib, isMet, roundsOf, valueOf } from './measure';
import type { Figure } from './measure';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly node: string;
  /** Processes that wanted a core in the last minute before the start: much above 0 means that others were at work. */
  readonly loadBefore: number;
}

export interface Failure {
  readonly part: string;
  readonly reason: string;
}

export interface Result {
  readonly startedAt: string;
  readonly seconds: number;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly figures: readonly Figure[];
  readonly failures: readonly Failure[];
}

export function thisMachine(): Machine {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round((totalmem() / gib) * 10) / 10,
    system: `${type()} ${release()}`,
    node: process.versions.node,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** Node cannot tell how far a folder is from a commit, so git is asked; null where there is no checkout. */
function commit(): string | null {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], {
      cwd: __dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

export function writeResult(path: string, result: Result): void {
  const figures = result.figures.map((figure) => ({
    ...figure,
    rounds: roundsOf(figure),
    value: valueOf(figure),
    met: isMet(figure),
  }));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ ...result, commit: commit(), figures }, null, 2)}\n`);
}
