/** Calls the program inside the test process, with streams and signals that the test holds in its hands. */
import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import type { Io, StopSignal, TextStream } from '../../lib/cli/io';
import type { Doors } from '../../lib/cli/doors';
import { runProgram } from '../../lib/cli/program';

/** A stream that keeps what is written; a terminal where it has columns. */
export class Screen extends Writable {
  readonly isTTY: boolean;
  readonly columns: number;
  text = '';
  readonly #watchers = new Set<() => void>();

  constructor(columns: number | null = null) {
    super({ decodeStrings: false });
    this.isTTY = columns !== null;
    this.columns = columns ?? 0;
  }

  override _write(chunk: string | Buffer, _: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    for (const watcher of this.#watchers) watcher();
    done();
  }

  get lines(): readonly string[] {
    return this.text.split('\n').slice(0, -1);
  }

  /** Resolves as soon as the text holds this. */
  shows(wanted: string | RegExp): Promise<void> {
    const holds = (): boolean =>
      typeof wanted === 'string' ? this.text.includes(wanted) : wanted.test(this.text);
    return new Promise((resolve) => {
      const watcher = (): void => {
        if (!holds()) return;
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
      watcher();
    });
  }
}

export interface Surroundings {
  readonly stdout?: TextStream;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly programFolder?: string;
  readonly home?: string;
  readonly system?: string;
  readonly nowMs?: () => number;
  readonly newId?: () => string;
  readonly doors?: Doors;
}

export interface Called {
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly code: Promise<number>;
  /** Codes that the program wanted to leave with at once. */
  readonly exits: readonly number[];
  send(signal: StopSignal): void;
  /** Handlers of signals that are still there. */
  listeners(): number;
}

const ownDoors: Doors = { agent: async () => (await import('../../lib/agent/main.js')).runAgent };

/** Starts a call; `code` resolves at its end. */
export function call(argv: readonly string[], surroundings: Surroundings = {}): Called {
  const stdout = new Screen();
  const stderr = new Screen();
  const signals = new EventEmitter();
  const exits: number[] = [];
  const io: Io = {
    stdout,
    stderr,
    env: {},
    cwd: '/',
    home: '/nowhere',
    programFolder: '/nowhere',
    system: 'linux',
    architecture: 'x64',
    who: 'the test',
    nowMs: () => 1_700_000_000_000,
    newId: () => '99999999-9999-4999-8999-999999999999',
    onSignal: (handler) => {
      signals.on('signal', handler);
      return () => signals.off('signal', handler);
    },
    exit: (code) => exits.push(code),
    ...surroundings,
  };
  return {
    stdout: io.stdout instanceof Screen ? io.stdout : stdout,
    stderr,
    code: runProgram(argv, io, surroundings.doors ?? ownDoors),
    exits,
    send: (signal) => void signals.emit('signal', signal),
    listeners: () => signals.listenerCount('signal'),
  };
}

/** Calls and waits: what most tests want. */
export async function called(
  argv: readonly string[],
  surroundings: Surroundings = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { stdout, stderr, code } = call(argv, surroundings);
  return { code: await code, stdout: stdout.text, stderr: stderr.text };
}
