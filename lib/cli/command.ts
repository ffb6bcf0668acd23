/** What every command works with: where its output goes, and when it is to stop. */
import type { Doors } from './doors';
import type { Io } from './io';
import type { Output } from './output/output';

export interface Command {
  readonly io: Io;
  readonly out: Output;
  readonly err: Output;
  /** Every line on stdout is one JSON value. */
  readonly json: boolean;
  /** Given by `--pools-file`. */
  readonly poolsFile: string | undefined;
  readonly signal: AbortSignal;
  /** For what runs until it is stopped: being stopped is its normal end. */
  readonly stopIsExpected: () => void;
  /** On stderr in either mode: results on stdout stay results. */
  readonly warn: (text: string) => void;
  readonly note: (text: string) => void;
}

/** What a command that runs for long is given besides. */
export interface LongCommand extends Command {
  readonly doors: Doors;
  /** From then on a hang-up (SIGHUP) calls this and stops nothing: for what reads its files anew. */
  readonly onHangUp: (handler: () => void) => void;
}

/** Prints the answer of a command that answers at once: one JSON value on one line, or lines for people. */
export function answer(command: Command, document: unknown, lines: () => readonly string[]): void {
  if (command.json) command.out.line(JSON.stringify(document));
  else command.out.lines(lines());
}
