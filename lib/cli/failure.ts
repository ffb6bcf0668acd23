/** Everything that can go wrong, as one shape: for people on stderr, for programs as JSON on stdout. */
import { exitCodes } from './exit-codes';
import { printable } from './output/text';

export interface Failure {
  readonly code: string;
  /** What failed, on which object. */
  readonly message: string;
  /** What to do next; empty where nothing is known. */
  readonly hint: string;
  readonly exitCode: number;
}

/** A failure of the command itself; what pools, engine and pools file report stays theirs. */
export class CliError extends Error implements Failure {
  readonly code: string;
  readonly hint: string;
  readonly exitCode: number;

  constructor(code: string, message: string, hint: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.name = 'CliError';
    this.code = code;
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

/** Reads whatever was thrown. Layers below put `code`, `hint` and the like on their errors; a defect has none. */
export function failureOf(error: unknown): Failure {
  const details: Readonly<Record<string, unknown>> =
    typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
  const text = (name: string): string | undefined => {
    const value = details[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const message = messageOf(error);
  const hint = text('hint') ?? '';
  const code = text('code') ?? text('kind') ?? (text('name') === 'PoolsFileError' ? 'pools-file' : 'unknown');
  return {
    code,
    message: withoutHint(message, hint),
    hint,
    exitCode: error instanceof CliError ? error.exitCode : exitCodeOf(code),
  };
}

/** The two lines that people get. */
export function failureLines({ message, hint }: Pick<Failure, 'message' | 'hint'>): readonly string[] {
  return [...titled('error', message), ...(hint === '' ? [] : titled('hint', hint))];
}

/** Further lines are set in, so that none of them, whatever is in it, can pass for one of ours. */
export function titled(title: string, text: string): readonly string[] {
  return `${title}: ${text}`.split('\n').map((line, index) => (index === 0 ? '' : '  ') + printable(line));
}

export function messageOf(error: unknown): string {
  return typeof error === 'object' &&
    error !== null &&
    'message' in error &&
    typeof error.message === 'string'
    ? error.message
    : String(error);
}

/** With causes: for `--debug` only, since it says nothing to whoever did not write the program. */
export function stackLines(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const own = error.stack ?? error.message;
  return [...own.split('\n').map(printable), ...causeLines(error.cause)];
}

function causeLines(cause: unknown): readonly string[] {
  const [first, ...rest] = stackLines(cause);
  return first === undefined ? [] : [`caused by ${first}`, ...rest];
}

function exitCodeOf(code: string): number {
  if (code === 'blocked' || code === 'seed-refused' || code === 'seed-differs') return exitCodes.blocked;
  return code === 'locked' ? exitCodes.locked : exitCodes.failed;
}

/** Messages of pools carry their hint already; it gets a line of its own. */
export function withoutHint(message: string, hint: string): string {
  return hint !== '' && message.endsWith(`: ${hint}`) ? message.slice(0, -(hint.length + 2)) : message;
}
