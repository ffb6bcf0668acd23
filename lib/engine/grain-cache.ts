/**
 * Indexes of grains, kept in a folder between runs. A cache: what is lost, damaged or of another recovery point is as if
 * it had never been, and costs bandwidth.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GrainIndex } from './data/grain-index';

/** Of one disk of one replica there is one index: that of its newest recovery point. */
export interface GrainKey {
  readonly job: string;
  readonly sr: string;
  readonly sourceVm: string;
  readonly device: string;
}

/** What an index speaks of; it counts only where all of it is the same. */
export interface GrainBinding {
  /** uuid of the recovery point's disk. */
  readonly pointVdi: string;
  /** uuid of the source snapshot's disk that it equals. */
  readonly sourceVdi: string;
  readonly sizeBytes: number;
}

const totalBytesMax = 1024 ** 3;
const checksumBytes = 32;
const bindingBytes = 256;

export class GrainCache {
  readonly #folder: string;

  /** @param cacheDir made where it is missing; only files in its folder `grains` are touched */
  constructor(cacheDir: string) {
    this.#folder = join(cacheDir, 'grains');
  }

  /** The index of exactly that disk, or null. Never throws: a cache that cannot be read is an empty one. */
  async load(key: GrainKey, binding: GrainBinding): Promise<GrainIndex | null> {
    try {
      const file = await readFile(this.#path(key));
      const rest = file.subarray(checksumBytes);
      const intact = checksum(rest).equals(file.subarray(0, checksumBytes));
      const bound = rest.subarray(0, bindingBytes).equals(encoded(binding));
      return intact && bound ? new GrainIndex(binding.sizeBytes, rest.subarray(bindingBytes)) : null;
    } catch {
      return null;
    }
  }

  /**
   * Replaces the index of that disk; other readers see the old or the new one. Drops the oldest ones beyond 1 GiB.
   *
   * @throws Error where the folder cannot be written
   */
  async save(key: GrainKey, binding: GrainBinding, index: GrainIndex): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = this.#path(key);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeFile(temporary, [checksum(encoded(binding), index.bytes), encoded(binding), index.bytes], {
        mode: 0o600,
      });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await this.#prune();
  }

  async #prune(): Promise<void> {
    const names = await readdir(this.#folder);
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name);
        const facts = await stat(path).catch(() => null);
        return { path, sizeBytes: facts?.size ?? 0, atMs: facts?.mtimeMs ?? 0 };
      }),
    );
    let total = 0;
    for (const { path, sizeBytes } of files.sort((a, b) => b.atMs - a.atMs)) {
      total += sizeBytes;
      if (total > totalBytesMax) await rm(path, { force: true });
    }
  }

  #path({ job, sr, sourceVm, device }: GrainKey): string {
    const name = createHash('sha256')
      .update(JSON.stringify([job, sr, sourceVm, device]))
      .digest('hex');
    return join(this.#folder, `${name.slice(0, 40)}.grains`);
  }
}

/**
 * `XENREPL_CACHE_DIR`, else what systemd made for a service (`CACHE_DIRECTORY`, of several the first), else `xenrepl` in the
 * user's folder for caches.
 */
export function defaultCacheDir(env: Readonly<Record<string, string | undefined>>, home: string): string {
  const named = (name: string): string | null =>
    env[name] === undefined || env[name] === '' ? null : env[name];
  const ofService = named('CACHE_DIRECTORY')?.split(':')[0] ?? null;
  return (
    named('XENREPL_CACHE_DIR') ??
    ofService ??
    join(named('XDG_CACHE_HOME') ?? join(home, '.cache'), 'xenrepl')
  );
}

function checksum(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function encoded({ pointVdi, sourceVdi, sizeBytes }: GrainBinding): Buffer {
  // The third form. In the first, sums of zeros stood for what is not known; in the second, the sums of an older
  // recovery point could stand for those of a disk that a resumed run had filled. Both would leave out what changed.
  const text = JSON.stringify(['grains 3', pointVdi, sourceVdi, sizeBytes]);
  const block = Buffer.alloc(bindingBytes);
  if (block.write(text) < Buffer.byteLength(text)) throw new RangeError('uuids of a disk are too long');
  return block;
}
