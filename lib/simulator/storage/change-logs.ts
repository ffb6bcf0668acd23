import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { CbtError } from './errors';

/** Changed block tracking counts in grains of 64 KiB. */
const GRAIN_BYTES = 64 * 1024;
const SUFFIX = '.cbtlog';

interface ChangeLog {
  sizeBytes: number;
  /** One bit per grain, most significant bit first: what was written since the parent's log was closed. */
  bitmap: Buffer;
  parent: string | null;
  child: string | null;
  /** False while writes are only in memory: such a log cannot be trusted after a crash. */
  settled: boolean;
}

/**
 * The logs of changed block tracking in one store, a chain for each disk: snapshot → snapshot → live disk. A snapshot takes over
 * the log that the disk had, with all writes up to it; the disk goes on with an empty one.
 */
export class ChangeLogs {
  readonly #logs = new Map<string, ChangeLog>();

  /** Reads the logs of a folder. Those with writes that were never settled belong to a crash: they are dropped. */
  static load(folder: string): ChangeLogs {
    const logs = new ChangeLogs(folder);
    for (const file of readdirSync(folder).filter((name) => name.endsWith(SUFFIX))) {
      const { log, bitmap } = decode(readFileSync(join(folder, file)));
      logs.#logs.set(file.slice(0, -SUFFIX.length), { ...log, bitmap });
    }
    for (const [id, log] of logs.#logs) if (!log.settled) logs.disable(id);
    return logs;
  }

  private constructor(private readonly folder: string) {}

  has(id: string): boolean {
    return this.#logs.has(id);
  }

  ids(): string[] {
    return [...this.#logs.keys()];
  }

  sizeBytes(id: string): number {
    return this.#log(id).sizeBytes;
  }

  enable(id: string, sizeBytes: number): void {
    if (!this.#logs.has(id)) this.#put(id, emptyLog(sizeBytes, null));
  }

  /** Cuts the chain at this log: bitmaps before and after it can never be joined again. */
  disable(id: string): void {
    const log = this.#logs.get(id);
    if (log === undefined) return;
    const parent = log.parent === null ? undefined : this.#logs.get(log.parent);
    const child = log.child === null ? undefined : this.#logs.get(log.child);
    if (parent !== undefined && log.parent !== null) this.#put(log.parent, { ...parent, child: null });
    if (child !== undefined && log.child !== null) this.#put(log.child, { ...child, parent: null });
    this.#drop(id);
  }

  /** The snapshot inherits the log; the live disk starts a new one behind it. */
  snapshot(id: string, snapshotId: string): void {
    const log = this.#logs.get(id);
    if (log === undefined) return;
    this.#rename(id, snapshotId, log);
    this.#put(snapshotId, { ...log, child: id });
    this.#put(id, emptyLog(log.sizeBytes, snapshotId));
  }

  /** The disk is destroyed: what its log holds is counted to the next one in the chain. */
  remove(id: string): void {
    const log = this.#logs.get(id);
    if (log === undefined) return;
    const child = log.child === null ? undefined : this.#logs.get(log.child);
    if (child !== undefined && log.child !== null) {
      const merged = orInto(Buffer.from(child.bitmap), log.bitmap);
      this.#put(log.child, { ...child, bitmap: merged, parent: log.parent });
    }
    const parent = log.parent === null ? undefined : this.#logs.get(log.parent);
    if (parent !== undefined && log.parent !== null) this.#put(log.parent, { ...parent, child: log.child });
    this.#drop(id);
  }

  /** A write happened; costs nothing for disks without a log. */
  mark(id: string, offset: number, length: number): void {
    const log = this.#logs.get(id);
    if (log === undefined || length === 0) return;
    const last = Math.floor((offset + length - 1) / GRAIN_BYTES);
    for (let grain = Math.floor(offset / GRAIN_BYTES); grain <= last; grain++) {
      log.bitmap[grain >> 3] = (log.bitmap[grain >> 3] ?? 0) | (0x80 >> (grain & 7));
    }
    if (log.settled) this.#put(id, { ...log, settled: false });
  }

  /** The disk was detached in order: its log survives a crash from now on. */
  settle(id: string): void {
    const log = this.#logs.get(id);
    if (log !== undefined && !log.settled) this.#put(id, { ...log, settled: true });
  }

  /** The grown part does not count as changed. */
  resize(id: string, sizeBytes: number): void {
    const log = this.#logs.get(id);
    if (log === undefined) return;
    const bitmap = Buffer.alloc(bitmapBytes(sizeBytes));
    log.bitmap.copy(bitmap);
    this.#put(id, { ...log, sizeBytes, bitmap });
  }

  /** Bitmap of what was written after `fromId` was taken, up to and including the log of `toId`; as long as `toId` needs. */
  changed(fromId: string, toId: string): Buffer {
    if (fromId === toId) throw new CbtError('same');
    const target = this.#log(toId);
    const result = Buffer.alloc(bitmapBytes(target.sizeBytes));
    for (let id = this.#log(fromId).child; id !== null; id = this.#log(id).child) {
      orInto(result, this.#log(id).bitmap);
      if (id === toId) return result;
    }
    throw new CbtError('unrelated');
  }

  close(): void {
    for (const id of this.#logs.keys()) this.settle(id);
  }

  #log(id: string): ChangeLog {
    const log = this.#logs.get(id);
    if (log === undefined) throw new CbtError('no-log');
    return log;
  }

  #rename(from: string, to: string, log: ChangeLog): void {
    this.#logs.delete(from);
    this.#logs.set(to, log);
    renameSync(this.#path(from), this.#path(to));
    const parent = log.parent === null ? undefined : this.#logs.get(log.parent);
    if (parent !== undefined && log.parent !== null) this.#put(log.parent, { ...parent, child: to });
  }

  #put(id: string, log: ChangeLog): void {
    this.#logs.set(id, log);
    writeFileSync(this.#path(id), encode(log));
  }

  #drop(id: string): void {
    this.#logs.delete(id);
    if (existsSync(this.#path(id))) rmSync(this.#path(id));
  }

  #path(id: string): string {
    return join(this.folder, id + SUFFIX);
  }
}

function emptyLog(sizeBytes: number, parent: string | null): ChangeLog {
  return { sizeBytes, bitmap: Buffer.alloc(bitmapBytes(sizeBytes)), parent, child: null, settled: true };
}

function bitmapBytes(sizeBytes: number): number {
  return Math.ceil(Math.ceil(sizeBytes / GRAIN_BYTES) / 8);
}

function orInto(target: Buffer, bits: Buffer): Buffer {
  const length = Math.min(target.length, bits.length);
  for (let index = 0; index < length; index++) target[index] = (target[index] ?? 0) | (bits[index] ?? 0);
  return target;
}

/** One line of JSON, then the bitmap. */
function encode(log: ChangeLog): Buffer {
  const { bitmap, ...rest } = log;
  return Buffer.concat([Buffer.from(JSON.stringify(rest) + '\n'), bitmap]);
}

function decode(file: Buffer): { log: Omit<ChangeLog, 'bitmap'>; bitmap: Buffer } {
  const end = file.indexOf('\n');
  return {
    log: JSON.parse(file.toString('utf8', 0, end)) as Omit<ChangeLog, 'bitmap'>,
    bitmap: Buffer.from(file.subarray(end + 1)),
  };
}
