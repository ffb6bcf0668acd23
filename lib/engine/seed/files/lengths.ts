import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { seedFileError } from '../errors';

/** A file of a seed as its description names it; null where it is a part of another. */
export interface NamedFile {
  readonly file: string | null;
  readonly fileBytes: number | null;
}

/** What is wrong with a file, from its length alone; null where nothing is. */
export async function wrongLength(folder: string, { file, fileBytes }: NamedFile): Promise<string | null> {
  if (file === null) return null;
  const path = join(folder, file);
  const found = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  });
  if (found === null) return `${path} is missing`;
  if (found.size === fileBytes) return null;
  return `${path} has ${String(found.size)} bytes, the seed was written with ${String(fileBytes)}`;
}

/** @throws ReplicationError `seed-file` where a file is missing or of another length than it was written with */
export async function assertLengths(
  folder: string,
  files: readonly NamedFile[],
  hint: string,
): Promise<void> {
  for (const file of files) {
    const wrong = await wrongLength(folder, file);
    if (wrong !== null) throw seedFileError(wrong, hint);
  }
}
