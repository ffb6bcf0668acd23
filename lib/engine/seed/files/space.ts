import { statfs } from 'node:fs/promises';
import { seedFileError } from '../errors';

/** Refuses before the first byte what would run out of room in the middle of the night. */
export async function assertRoom(folder: string, needBytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (needBytes <= freeBytes) return;
  throw seedFileError(
    `Cannot write ${what} to ${folder}: it needs up to ${gib(needBytes)}, ${gib(freeBytes)} are free`,
    'free space there, or name a folder on a larger disk',
  );
}

export function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
}
