/**
 * What an agent remembers of its jobs: a cache in a local file. Without it an agent derives what it needs from the pools;
 * what is lost is history.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FailureStreak } from '../planner/agent-schedule';

export interface RememberedSkip {
  readonly atMs: number;
  readonly reason: string;
  readonly text: string;
}

export interface RememberedRun {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: string;
}

/** All times by the clock of the job's target pool. */
export interface RememberedJob {
  readonly name: string;
  readonly knownSinceMs: number;
  /** When the agent last saw the job. */
  readonly seenAtMs: number;
  /** Newest first; runs with deltas only. */
  readonly durationsMs: readonly number[];
  /** Uuid in lower case and name of the VMs that the last run found; null before there was one. */
  readonly vms: readonly (readonly [string, string])[] | null;
  readonly failure: FailureStreak | null;
  readonly lastRun: RememberedRun | null;
  readonly lastSkip: RememberedSkip | null;
  readonly nextStart: { readonly atMs: number; readonly cause: string } | null;
}

/** By `<target pool uuid>/<job id>`. */
export type Remembered = ReadonlyMap<string, RememberedJob>;

export const durationsKept = 5;
const version = 1;
const forgottenAfterMs = 90 * 86_400_000;

export function jobKeyOf(targetPoolUuid: string, jobId: string): string {
  return `${targetPoolUuid.toLowerCase()}/${jobId}`;
}

/** `$STATE_DIRECTORY` (as systemd sets it), else `$XDG_STATE_HOME/xenrepl`, else `~/.local/state/xenrepl`. */
export function stateFolder(env: NodeJS.ProcessEnv, home: string): string {
  // systemd lists several with colons between.
  const [ofService] = (env['STATE_DIRECTORY'] ?? '').split(':');
  if (ofService !== undefined && ofService !== '') return ofService;
  const states = env['XDG_STATE_HOME'];
  return join(states === undefined || states === '' ? join(home, '.local', 'state') : states, 'xenrepl');
}

/** Nothing where there is no such file, or where it says what this version does not understand: it is only a cache. */
export function readHistory(folder: string): Remembered {
  try {
    const parsed = JSON.parse(readFileSync(fileIn(folder), 'utf8')) as {
      readonly version?: unknown;
      readonly jobs?: Readonly<Record<string, unknown>>;
    };
    if (parsed.version !== version) return new Map();
    return new Map(
      Object.entries(parsed.jobs ?? {}).filter((entry): entry is [string, RememberedJob] =>
        isRemembered(entry[1]),
      ),
    );
  } catch {
    return new Map();
  }
}

/**
 * Replaces the file as a whole, so that nobody reads half of one. Jobs that were not seen for 90 days are left out.
 * @throws where the folder cannot be written to
 */
export function writeHistory(folder: string, jobs: Remembered): void {
  const newestMs = Math.max(...[...jobs.values()].map(({ seenAtMs }) => seenAtMs));
  const kept = [...jobs].filter(([, { seenAtMs }]) => newestMs - seenAtMs < forgottenAfterMs);
  const file = fileIn(folder);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${String(process.pid)}`;
  writeFileSync(next, JSON.stringify({ version, jobs: Object.fromEntries(kept) }), { mode: 0o600 });
  renameSync(next, file);
}

function fileIn(folder: string): string {
  return join(folder, 'agent.json');
}

function isRemembered(value: unknown): value is RememberedJob {
  if (typeof value !== 'object' || value === null) return false;
  const { knownSinceMs, seenAtMs, durationsMs, vms } = value as Partial<Record<keyof RememberedJob, unknown>>;
  const durations = Array.isArray(durationsMs) && durationsMs.every((one) => typeof one === 'number');
  return (
    typeof knownSinceMs === 'number' &&
    typeof seenAtMs === 'number' &&
    durations &&
    (vms === null || Array.isArray(vms))
  );
}
