/** Where simulated pools keep their disks while nobody gave them a folder: gone with the process that made it. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Not yet removed. One listener serves them all, and only while there are any. */
const standing = new Set<string>();

/** Whoever presses Ctrl-C twice, or meets an error that nobody caught, ends the process without closing anything. */
function removeAll(): void {
  for (const path of standing) rmSync(path, { recursive: true, force: true });
}

/** Made anew; it is removed when the process exits, unless it is killed, or by `removeTemporaryFolder` before. */
export async function makeTemporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'xenrepl-simulator-'));
  if (standing.size === 0) process.on('exit', removeAll);
  standing.add(path);
  return path;
}

export async function removeTemporaryFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  standing.delete(path);
  if (standing.size === 0) process.off('exit', removeAll);
}
