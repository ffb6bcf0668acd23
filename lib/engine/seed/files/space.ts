import { statfs } from 'node:fs/promises';
import { seedFileError } from '../errors';

/** Refuses before the first byte what would run out of room in the middle of the night. */
export async function assertRoom(folder: string, needBytes: number, what: string): Promise<void> {
  const freeBytes = await freeBytesOf(folder);
  if (needBytes <= freeBytes) return;
  throw seedFileError(
    `Cannot write ${what} to ${folder}: it needs ${gib(needBytes)}, ${gib(freeBytes)} are free`,
    'free space there, or name a folder on a larger disk',
  );
}

/** What this user may still write there. */
export async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** For people: in GiB, less than one in MiB, always rounded up, so that what is short never looks like enough. */
export function gib(bytes: number): string {
  const [unit, name] = bytes >= 1024 ** 3 ? [1024 ** 3, 'GiB'] : [1024 ** 2, 'MiB'];
  return `${(Math.ceil((bytes / unit) * 100) / 100).toFixed(2)} ${name}`;
}
