import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { PoolsFileError } from './errors';

/** A pools file of a thousand pools takes less than half of it. */
const privateFileBytesMax = 2 ** 20;

/**
 * Reads a file that holds secrets. It is looked at through the open file: between looking at a path and reading
 * it, somebody could put another file there.
 *
 * @throws PoolsFileError where it cannot be read, is no ordinary file, or where group or others may touch it: who
 *   can read it has the pools, who can write it has the next password that is sent
 */
export function readPrivateFile(path: string): string {
  return withPrivateFile(path, (file) => readFileSync(file, 'utf8'));
}

/** Makes the checks of `readPrivateFile` for a file that is read later; one that is not there yet passes. */
export function checkPrivateFile(path: string): void {
  try {
    withPrivateFile(path, () => undefined);
  } catch (error) {
    if (!(error instanceof PoolsFileError && isMissing(error.cause))) {
      throw error;
    }
  }
}

function withPrivateFile<T>(path: string, use: (file: number) => T): T {
  const file = open(path);
  try {
    refuseUnlessPrivate(path, fstatSync(file));
    return use(file);
  } finally {
    closeSync(file);
  }
}

function open(path: string): number {
  try {
    // Without O_NONBLOCK, opening a pipe that nobody writes to would wait forever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const failure = new PoolsFileError(path, [
      {
        line: null,
        text: isMissing(error) ? 'there is no such file' : `it cannot be read (${systemCode(error)})`,
      },
    ]);
    failure.cause = error;
    throw failure;
  }
}

function refuseUnlessPrivate(path: string, stats: Stats): void {
  const refuse = (text: string): never => {
    throw new PoolsFileError(path, [{ line: null, text }]);
  };
  if (!stats.isFile()) {
    refuse('it holds credentials and has to be an ordinary file');
  }
  if (stats.size > privateFileBytesMax) {
    refuse(`it has ${stats.size} bytes, more than the ${privateFileBytesMax} that are read`);
  }
  const mode = stats.mode & 0o777;
  // Windows has no such modes: every file would look open to all.
  if ((mode & othersMayNot(path)) !== 0 && process.platform !== 'win32') {
    const octal = mode.toString(8).padStart(4, '0');
    refuse(
      `it holds credentials, but group or others may access it (mode ${octal}); run: chmod 600 ${shellWord(path)}`,
    );
  }
}

/**
 * systemd hands a credential to its service by an access list, whose mask shows as a right of the group; the folder is
 * closed to everybody else.
 */
function othersMayNot(path: string): number {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  return folder !== undefined && isAbsolute(folder) && dirname(path) === folder ? 0o037 : 0o077;
}

function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT';
}

/** The system's name for what happened to a file, such as EACCES. Node's messages would repeat the path. */
export function systemCode(error: unknown): string {
  const hasCode = typeof error === 'object' && error !== null && 'code' in error;
  return hasCode ? String(error.code) : String(error);
}

function shellWord(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
