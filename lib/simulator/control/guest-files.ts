import { execFile } from 'node:child_process';
import { mkdtemp, open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BLOCK_BYTES, type ImageStore } from '../storage';

const run = promisify(execFile);
/** Differences are written back in pages, as a file system writes them. */
const pageBytes = 4096;

/** A disk that holds an ext2, ext3 or ext4 file system from its first byte on. */
export interface GuestDisk {
  readonly store: ImageStore;
  readonly id: string;
  readonly write: (offsetBytes: number, data: Uint8Array) => Promise<void>;
}

/**
 * Writes a file into the file system of a disk, as a guest would: only the pages that change are written. Folders on the
 * way are made.
 * @throws Error when debugfs (e2fsprogs) is not installed or the disk holds no such file system.
 */
export async function writeGuestFile(disk: GuestDisk, path: string, content: Uint8Array): Promise<void> {
  await withCopy(disk, async (image, folder) => {
    const file = join(folder, 'content');
    await writeFile(file, content);
    const parents = path.split('/').slice(1, -1);
    const folders = parents.map((_name, index) => `mkdir "/${parents.slice(0, index + 1).join('/')}"`);
    await debugfs(image, [...folders, `rm "${path}"`, `write "${file}" "${path}"`], folder);
    await assertWritten(image, path, content.length);
    await writeDifferences(disk, image);
  });
}

/** Reads a file out of the file system of a disk. @throws Error when it is not there. */
export function readGuestFile(disk: GuestDisk, path: string): Promise<Uint8Array> {
  return withCopy(disk, async (image, folder) => {
    const file = join(folder, 'content');
    const said = await debugfs(image, [`dump "${path}" "${file}"`], folder);
    try {
      return await readFile(file);
    } catch {
      throw new Error(`the disk has no file ${path}: ${said.trim()}`);
    }
  });
}

async function withCopy<T>(disk: GuestDisk, work: (image: string, folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'xenrepl-guest-'));
  try {
    const image = join(folder, 'disk');
    const file = await open(image, 'w');
    try {
      await copyOut(disk, file);
    } finally {
      await file.close();
    }
    return await work(image, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyOut({ store, id }: GuestDisk, file: FileHandle): Promise<void> {
  const { sizeBytes } = store.image(id);
  await file.truncate(sizeBytes);
  for (const block of store.allocatedBlocks(id)) {
    const offset = block * BLOCK_BYTES;
    const data = await store.read(id, offset, Math.min(BLOCK_BYTES, sizeBytes - offset));
    await file.write(data, 0, data.length, offset);
  }
}

/** What debugfs says; it ends well whatever happened, so callers look at the outcome. */
async function debugfs(image: string, commands: readonly string[], folder: string): Promise<string> {
  const unsafe = commands.find((command) => /[\n\r]/.test(command));
  if (unsafe !== undefined)
    throw new Error(`a path in a guest cannot hold a line break: ${JSON.stringify(unsafe)}`);
  const script = join(folder, 'commands');
  await writeFile(script, commands.join('\n'));
  try {
    const { stderr } = await run('debugfs', ['-w', '-f', script, image]);
    return stderr;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Error('debugfs is needed for files in guests: install e2fsprogs');
    throw error;
  }
}

async function assertWritten(image: string, path: string, sizeBytes: number): Promise<void> {
  const { stdout, stderr } = await run('debugfs', ['-R', `stat "${path}"`, image]);
  if (new RegExp(`Size: ${sizeBytes}\\b`).test(stdout)) return;
  throw new Error(`${path} could not be written; does the disk hold an ext4 file system? ${stderr.trim()}`);
}

/** The disk itself still holds what was before. */
async function writeDifferences(disk: GuestDisk, image: string): Promise<void> {
  const { sizeBytes } = disk.store.image(disk.id);
  const file = await open(image, 'r');
  try {
    for (let start = 0; start < sizeBytes; start += BLOCK_BYTES) {
      const after = Buffer.alloc(Math.min(BLOCK_BYTES, sizeBytes - start));
      await file.read(after, 0, after.length, start);
      const before = await disk.store.read(disk.id, start, after.length);
      for (let at = 0; at < after.length; at += pageBytes) {
        const page = after.subarray(at, at + pageBytes);
        if (!page.equals(before.subarray(at, at + pageBytes))) await disk.write(start + at, page);
      }
    }
  } finally {
    await file.close();
  }
}
