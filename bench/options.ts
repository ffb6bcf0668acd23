import { parseArgs } from 'node:util';

export interface Options {
  readonly quick: boolean;
  /** Only the parts whose names contain this. */
  readonly only: string | null;
  readonly json: string;
  readonly markdown: boolean;
  readonly help: boolean;
}

/** What the caller asked for cannot be understood: exit code 2. */
export class UsageError extends Error {}

export function help(parts: readonly string[]): string {
  return `Measures xenrepl against its peers, on simulated pools over TLS, on this machine.

  npm run build && npm run bench -- [options]

  --quick        smaller disks, fewer VMs, one round each: less than 90 seconds, and rough
  --only TEXT    only parts whose name contains TEXT
  --json FILE    where every single measurement goes (default: bench-results.json)
  --markdown     the table for a page of documentation
  --help         this text

Parts: ${parts.join(', ')}

Exit code 0 when everything could be measured, also where a target was missed; 1 when something could not be
measured or a copy was not equal to its source; 2 when an option was wrong; 130 when it was stopped.
`;
}

/** @throws UsageError that says what is wrong and what is allowed */
export function readOptions(args: readonly string[], parts: readonly string[]): Options {
  const { quick, only, json, markdown, help: asked } = parsed(args);
  if (only !== undefined && !parts.some((name) => matches(name, only)))
    throw new UsageError(`no part's name contains "${only}"; parts: ${parts.join(', ')}`);
  if (json === '') throw new UsageError('--json needs the name of a file');
  return { quick, only: only ?? null, json, markdown, help: asked };
}

export function matches(part: string, only: string | null): boolean {
  return only === null || part.toLowerCase().includes(only.toLowerCase());
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        json: { type: 'string', default: 'bench-results.json' },
        markdown: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
