/** A real ext4 filesystem in a file, changed as a guest would change it; made without root. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const blockBytes = 4096;

export interface Change {
  readonly offsetBytes: number;
  readonly data: Buffer;
}

/** Makes the image, with files of known content in it. */
export function makeFilesystem(folder: string, sizeBytes: number): string {
  const content = join(folder, 'content');
  mkdirSync(join(content, 'etc'), { recursive: true });
  mkdirSync(join(content, 'srv'), { recursive: true });
  writeFileSync(join(content, 'etc', 'hostname'), 'db1\n');
  for (let index = 0; index < 24; index += 1) {
    writeFileSync(join(content, 'srv', `table-${String(index)}.bin`), pseudoRandom(index, 2 * 1024 * 1024));
  }
  const image = join(folder, 'root.img');
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  tool('mkfs.ext4', ['-q', '-F', '-d', content, image]);
  return image;
}

/**
 * Changes files inside the image by the filesystem's own tools and returns the blocks that differ afterwards:
 * exactly what a guest's kernel would have written to the disk.
 */
export function changeFiles(image: string, folder: string): readonly Change[] {
  const before = readBlocks(image);
  const note = join(folder, 'note.txt');
  const table = join(folder, 'table.bin');
  writeFileSync(note, `changed by the guest\n`.repeat(64));
  writeFileSync(table, pseudoRandom(1000, 3 * 1024 * 1024));
  tool('debugfs', ['-w', '-R', `write ${note} srv/note.txt`, image]);
  tool('debugfs', ['-w', '-R', 'rm srv/table-3.bin', image]);
  tool('debugfs', ['-w', '-R', `write ${table} srv/table-new.bin`, image]);
  return differences(image, before);
}

/** Reads a file out of the filesystem, to show that it is one. */
export function readFile(image: string, path: string): string {
  return tool('debugfs', ['-R', `cat ${path}`, image]);
}

/** A filesystem that was copied in a running state is repaired from its journal, as at a boot; then it is clean. */
export function checkFilesystem(image: string): void {
  tool('e2fsck', ['-f', '-n', image]);
}

function tool(command: string, args: readonly string[]): string {
  const ran = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (ran.error !== undefined) {
    throw new Error(`Cannot run ${command}: ${ran.error.message} (Debian package e2fsprogs has it)`);
  }
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${ran.stderr}${ran.stdout}`);
  return ran.stdout;
}

/** Content that does not compress and is the same in every run. */
function pseudoRandom(seed: number, lengthBytes: number): Buffer {
  const words = new Uint32Array(lengthBytes / 4);
  let state = (seed + 1) * 2654435761;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer);
}

function readBlocks(image: string): Buffer[] {
  const blocks: Buffer[] = [];
  // Copied one by one: the iterator hands out the same buffer every time.
  for (const block of eachBlock(image)) blocks.push(Buffer.from(block));
  return blocks;
}

function differences(image: string, before: readonly Buffer[]): readonly Change[] {
  const changes: Change[] = [];
  let index = 0;
  for (const block of eachBlock(image)) {
    if (before[index]?.equals(block) !== true) {
      changes.push({ offsetBytes: index * blockBytes, data: Buffer.from(block) });
    }
    index += 1;
  }
  return changes;
}

function* eachBlock(image: string): Iterable<Buffer> {
  const file = openSync(image, 'r');
  try {
    const block = Buffer.alloc(blockBytes);
    while (readSync(file, block) === blockBytes) yield block;
  } finally {
    closeSync(file);
  }
}
