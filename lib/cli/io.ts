/** What a command is given from outside: streams, place, time and signals. Nothing else in lib/cli asks `process`. */
import { randomUUID } from 'node:crypto';
import { homedir, hostname, userInfo } from 'node:os';
import type { Writable } from 'node:stream';

export type TextStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof stopSignals)[number];

export interface Io {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: NodeJS.ProcessEnv;
  /** Where the search for a pools file begins, and where relative paths start. */
  readonly cwd: string;
  readonly home: string;
  /** The folder this program lies in; `provider.cjs` is looked for here. */
  readonly programFolder: string;
  readonly system: string;
  readonly architecture: string;
  /** Who we are, for the holder of a lock. */
  readonly who: string;
  /** For rates and for telling one press of Ctrl-C from two; never for decisions about replicas. */
  readonly nowMs: () => number;
  readonly newId: () => string;
  /** Calls `handler` on every such signal until the returned function is called. */
  readonly onSignal: (handler: (signal: StopSignal) => void) => () => void;
  /** Ends the process where it stands. */
  readonly exit: (code: number) => void;
}

export function processIo(programFolder: string): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    programFolder,
    system: process.platform,
    architecture: process.arch,
    who: `xenrepl of ${userName()} on ${hostname()}, process ${String(process.pid)}`,
    nowMs: () => performance.timeOrigin + performance.now(),
    newId: () => randomUUID(),
    onSignal: (handler) => {
      for (const signal of stopSignals) process.on(signal, handler);
      return () => {
        for (const signal of stopSignals) process.off(signal, handler);
      };
    },
    exit: (code) => process.exit(code),
  };
}

/** A container may run us as a user id that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${String(process.getuid?.() ?? '?')}`;
  }
}
