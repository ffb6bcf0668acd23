/** One thing that is wrong in a pools file, and where. */
export interface PoolsFileProblem {
  /** First line is 1; null where the whole file is meant. */
  readonly line: number | null;
  /** Never holds a value from the file: it could be a password that stands in the wrong place. */
  readonly text: string;
}

/** The pools file, or a file it names, cannot be used. The message names file, line and what to do. */
export class PoolsFileError extends Error {
  override readonly name = 'PoolsFileError';

  constructor(
    readonly path: string,
    readonly problems: readonly PoolsFileProblem[],
  ) {
    super(problems.map(({ line, text }) => `${path}${line === null ? '' : `:${line}`}: ${text}`).join('\n'));
  }
}
