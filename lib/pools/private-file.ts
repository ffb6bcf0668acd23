import { closeSync, constants, fstatSync, openSync, readFileSync, statSync, type Stats } from 'node:fs';
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
  if ((mode & othersMayNot(path, stats)) !== 0 && process.platform !== 'win32') {
    const octal = mode.toString(8).padStart(4, '0');
    refuse(
      `it holds credentials, but group or others may access it (mode ${octal}); run: chmod 600 ${shellWord(path)}`,
    );
  }
}

/**
 * What of a file's mode gives others access. systemd makes a credential with mode 0400 and lets its service read it by an
 * access list, whose mask shows as a right of the group (`write_credential` in systemd's `exec-credential.c`); the folder gets
 * one, too. Where that is not what is found, the usual rule holds.
 */
function othersMayNot(path: string, file: Stats): number {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  if (folder === undefined || !isAbsolute(folder) || dirname(path) !== folder) return everybody;
  const around = statSync(folder, { throwIfNoEntry: false });
  const closed = around !== undefined && isOfRootOrUs(around) && (around.mode & writtenByGroupOrOpen) === 0;
  const asMade = isOfRootOrUs(file) && (file.mode & 0o777) === credentialMode;
  return closed && asMade ? everybody & ~credentialMode : everybody;
}

const everybody = 0o077;
const credentialMode = 0o440;
const writtenByGroupOrOpen = 0o027;

function isOfRootOrUs({ uid }: Stats): boolean {
  return uid === 0 || uid === process.getuid?.();
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
