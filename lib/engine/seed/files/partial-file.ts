/** A file that is there whole or not at all: written beside its place, made durable, then put in place. */
import { open, rename, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { seedFileError } from '../errors';

/** Pieces of a socket are small; written one by one they cost more than they hold. */
const gatherBytes = 1024 * 1024;

export class PartialFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #gathered = Buffer.allocUnsafeSlow(gatherBytes);
  #gatheredBytes = 0;
  writtenBytes = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** Begins anew: what an interrupted try left under the same name is dropped. */
  static async create(path: string): Promise<PartialFile> {
    return new PartialFile(path, await writing(path, () => open(partialPath(path), 'w', 0o600)));
  }

  /** Resolves once there is room for more, which is what slows the sender down; the piece is the caller's again then. */
  async write(piece: Uint8Array): Promise<void> {
    for (let rest = piece; rest.length > 0;) {
      const part = rest.subarray(0, gatherBytes - this.#gatheredBytes);
      this.#gathered.set(part, this.#gatheredBytes);
      this.#gatheredBytes += part.length;
      rest = rest.subarray(part.length);
      if (this.#gatheredBytes === gatherBytes) await writing(this.path, () => this.#flush());
    }
    this.writtenBytes += piece.length;
  }

  /** Puts the file in place; a crash before that leaves the partial one, a crash after it the whole. */
  async commit(): Promise<void> {
    await writing(this.path, async () => {
      await this.#flush();
      // What does not fit shows here at the latest on file systems that allocate late.
      await this.#handle.sync();
      await this.#handle.close();
      await rename(partialPath(this.path), this.path);
      await syncFolder(dirname(this.path));
    });
  }

  /** Closes and removes what was written; never throws. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(partialPath(this.path), { force: true }).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const gathered = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gatheredBytes = 0;
    const { bytesWritten } = await this.#handle.write(gathered);
    // Written in part only where a signal or a full disk came in between.
    if (bytesWritten < gathered.length) await this.#handle.writeFile(gathered.subarray(bytesWritten));
  }
}

/** A small file, durable and whole. */
export async function writeWhole(path: string, content: string): Promise<void> {
  await writing(path, async () => {
    const partial = partialPath(path);
    const handle = await open(partial, 'w', 0o600);
    try {
      await writeFile(handle, content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
    await syncFolder(dirname(path));
  });
}

const reasons: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOSPC: ['the disk is full', 'free space there, then begin again with the same arguments: it goes on'],
  EDQUOT: ['the quota is used up', 'free space there, then begin again with the same arguments: it goes on'],
  EFBIG: [
    'the file system takes no file of this size (FAT32 takes 4 GiB)',
    'name a folder on another file system, such as ext4, XFS, exFAT or NTFS',
  ],
  EROFS: ['the file system is read-only', 'mount it for writing, or name another folder'],
  EACCES: ['this user may not write there', 'name a folder that may be written to'],
  EIO: ['the disk failed', 'take another disk'],
};

async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const [what, hint] = reasons[code] ?? [];
    if (what === undefined || hint === undefined) throw error;
    throw seedFileError(`Cannot write ${path}: ${what} (${code})`, hint, error);
  }
}

function partialPath(path: string): string {
  return `${path}.partial`;
}

/** The name of a file is durable only once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
