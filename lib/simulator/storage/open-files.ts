import { closeSync, openSync, read, write, writev } from 'node:fs';

interface OpenFile {
  readonly fd: number;
  users: number;
}

/**
 * Files of a store, opened when used. A pool may hold thousands of disks, a process about a thousand descriptors: the ones not
 * used for longest are closed.
 */
export class OpenFiles {
  readonly #open = new Map<string, OpenFile>();
  #closed = false;

  constructor(private readonly limit = 64) {}

  async read(path: string, target: Uint8Array, position: number): Promise<void> {
    await this.#use(path, (fd) => readAll(fd, target, position));
  }

  async write(path: string, parts: readonly Uint8Array[], position: number): Promise<void> {
    await this.#use(path, (fd) => writeAll(fd, parts, position));
  }

  /** Call before a file is renamed or deleted; nobody may be using it. */
  forget(path: string): void {
    const file = this.#open.get(path);
    if (file === undefined) return;
    if (file.users > 0) throw new Error(`${path} is in use and cannot be closed`);
    this.#open.delete(path);
    closeSync(file.fd);
  }

  /** Nothing can be read or written afterwards: a straggler must not open a file that nobody closes. */
  close(): void {
    this.#closed = true;
    for (const path of [...this.#open.keys()]) this.forget(path);
  }

  async #use<T>(path: string, work: (fd: number) => Promise<T>): Promise<T> {
    if (this.#closed) throw new Error(`${path} cannot be used: its store is closed`);
    const file = this.#open.get(path) ?? { fd: openSync(path, 'r+'), users: 0 };
    this.#open.delete(path);
    this.#open.set(path, file);
    file.users++;
    try {
      return await work(file.fd);
    } finally {
      file.users--;
      this.#trim();
    }
  }

  #trim(): void {
    if (this.#open.size <= this.limit) return;
    for (const [path, file] of this.#open) {
      if (file.users > 0) continue;
      this.#open.delete(path);
      closeSync(file.fd);
      if (this.#open.size <= this.limit) return;
    }
  }
}

/** Bytes behind the end of the file read as zeros: a block whose tail was never written is a hole. */
function readAll(fd: number, target: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (done: number): void => {
      read(fd, target, done, target.byteLength - done, position + done, (error, count) => {
        if (error !== null) reject(error);
        else if (done + count === target.byteLength) resolve();
        else if (count === 0) {
          target.fill(0, done);
          resolve();
        } else step(done + count);
      });
    };
    step(0);
  });
}

function writeAll(fd: number, parts: readonly Uint8Array[], position: number): Promise<void> {
  const first = parts[0];
  if (parts.length === 1 && first !== undefined) return writeOne(fd, first, position);
  const wanted = parts.reduce((sum, part) => sum + part.byteLength, 0);
  return new Promise((resolve, reject) => {
    writev(fd, parts, position, (error, count) => {
      if (error !== null) reject(error);
      else if (count === wanted) resolve();
      else writeOne(fd, Buffer.concat(parts).subarray(count), position + count).then(resolve, reject);
    });
  });
}

function writeOne(fd: number, data: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (done: number): void => {
      write(fd, data, done, data.byteLength - done, position + done, (error, count) => {
        if (error !== null) reject(error);
        else if (done + count === data.byteLength) resolve();
        else step(done + count);
      });
    };
    step(0);
  });
}
