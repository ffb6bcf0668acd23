import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PoolsFileError } from '../../lib/pools';

/** A folder of its own for each test. */
export class TestFolder {
  readonly path = realpathSync(mkdtempSync(join(tmpdir(), 'xenrepl-pools-')));

  /** Writes a file with mode 0600, unless another is given, and returns its path. */
  write(name: string, text: string, mode = 0o600): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode); // the mode given to writeFileSync would pass the umask
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

/** Runs something that must fail with a PoolsFileError, and returns its message with the folder left out. */
export function messageOf(folder: TestFolder, work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof PoolsFileError) {
      return error.message.replaceAll(`${folder.path}/`, '');
    }
    throw error;
  }
  throw new Error('Expected a PoolsFileError, but nothing was thrown');
}
