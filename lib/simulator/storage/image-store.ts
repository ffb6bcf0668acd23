import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

import { ChangeLogs } from './change-logs';
import { coalesceAll, type Merge } from './coalesce';
import { ImageMissingError, OutOfRangeError } from './errors';
import { Gate } from './gate';
import { ImageFile } from './image-file';
import { blocksOf, differingBlocks, Image, readThrough } from './image';
import { BLOCK_BYTES, roundUp, SECTOR_BYTES } from './layout';
import { OpenFiles } from './open-files';
import { Space, type Allocation } from './space';

export interface ImageStoreOptions {
  readonly capacityBytes: number;
  readonly allocation: Allocation;
  /** 16 bytes for the footer of each new VHD; injected so that a run can be repeated. */
  readonly newId: () => Buffer;
  /** Milliseconds since 1970, for the time stamps in the files. */
  readonly now: () => number;
}

export interface DiskImage {
  readonly id: string;
  readonly sizeBytes: number;
  readonly parent: DiskImage | null;
  /** A base copy: no disk of its own, only a parent of others. */
  readonly hidden: boolean;
}

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const SUFFIX = '.vhd';

/**
 * The disks of one storage repository: a folder of VHD files, named by the image's id. Everything that a client can do to a disk
 * goes through here, so a snapshot taken in the middle of an upload splits it between two writes, never inside one.
 */
export class ImageStore {
  readonly #images = new Map<string, Image>();
  readonly #gate = new Gate();
  readonly #space: Space;
  readonly #logs: ChangeLogs;

  private constructor(
    readonly folder: string,
    private readonly options: ImageStoreOptions,
    private readonly files: OpenFiles,
  ) {
    this.#logs = ChangeLogs.load(folder);
    this.#space = new Space(options.capacityBytes, options.allocation, () => this.#images.values());
  }

  /** Opens a folder with whatever an earlier store left in it; makes it when it is not there. */
  static open(folder: string, options: ImageStoreOptions): Promise<ImageStore> {
    mkdirSync(folder, { recursive: true });
    const store = new ImageStore(folder, options, new OpenFiles());
    store.#load();
    return Promise.resolve(store);
  }

  get capacityBytes(): number {
    return this.options.capacityBytes;
  }

  /** A new disk of zeros. `sizeBytes` must be a multiple of 2 MiB ({@link roundSize}). NoSpaceError when it does not fit. */
  create(id: string, sizeBytes: number): Promise<void> {
    return this.#gate.exclusive(() => {
      this.#space.demandNew(sizeBytes, true);
      this.#addLeaf(id, sizeBytes, null, true);
    });
  }

  /**
   * Freezes the disk's file as a hidden parent under the name `baseCopyId` and gives disk and snapshot a differencing file on it.
   * A disk that was not written since its last snapshot shares that snapshot's parent: `baseCopy` is then null.
   */
  snapshot(id: string, snapshotId: string, baseCopyId: string): Promise<{ baseCopy: string | null }> {
    return this.#gate.exclusive(() => {
      const result = this.#split(id, snapshotId, baseCopyId, false);
      this.#logs.snapshot(id, snapshotId);
      return result;
    });
  }

  /** As snapshot, but the second leaf is a disk of its own: it reserves its full size on thick storage and is not tracked. */
  clone(id: string, cloneId: string, baseCopyId: string): Promise<{ baseCopy: string | null }> {
    return this.#gate.exclusive(() => this.#split(id, cloneId, baseCopyId, true));
  }

  /** Deletes the disk's file; parents stay until {@link coalesce}. Its change log is counted to the next in the chain. */
  destroy(id: string): Promise<void> {
    return this.#gate.exclusive(() => {
      const image = this.#images.get(id);
      if (image === undefined && !this.#logs.has(id)) throw new ImageMissingError(id);
      this.#logs.remove(id);
      if (image !== undefined) this.#removeLeaf(image);
    });
  }

  /** Destroys the data and keeps the change log: what a VDI of type cbt_metadata is. */
  dataDestroy(id: string): Promise<void> {
    return this.#gate.exclusive(() => {
      const image = this.#images.get(id);
      if (image !== undefined) this.#removeLeaf(image);
    });
  }

  /**
   * What the storage manager does in the background: parents without children go, parents with one child are merged with it.
   * A pair for which there is no room while both are there is left for a later time. Gives the merges in order: `removed` is the
   * base copy that is gone, `into` what holds its data now.
   */
  coalesce(): Promise<readonly Merge[]> {
    return this.#gate.exclusive(() => coalesceAll(this.#images, this.#space, (id) => this.#path(id)));
  }

  /** Grows a disk. The grown part reads as zeros and does not count as changed. */
  resize(id: string, sizeBytes: number): Promise<void> {
    return this.#gate.exclusive(async () => {
      const image = this.#image(id);
      this.#space.demandGrowth(image, sizeBytes);
      await image.file.grow(sizeBytes);
      this.#logs.resize(id, sizeBytes);
    });
  }

  async read(id: string, offset: number, length: number): Promise<Buffer> {
    const start = Math.floor(offset / SECTOR_BYTES) * SECTOR_BYTES;
    const whole = Buffer.allocUnsafe(roundUp(offset + length, SECTOR_BYTES) - start);
    await this.readInto(id, start, whole);
    return whole.subarray(offset - start, offset - start + length);
  }

  /** Fills `target` from whole sectors, through the chain of parents. OutOfRangeError behind the end. */
  readInto(id: string, offset: number, target: Uint8Array): Promise<void> {
    return this.#gate.shared(() => {
      const image = this.#image(id);
      checkRange(image, offset, target.byteLength);
      return readThrough(image, offset, target);
    });
  }

  /**
   * Writes at any offset. NoSpaceError when a block cannot be allocated: what was written before it stays, as on a real disk.
   * OutOfRangeError behind the end, with nothing written.
   */
  write(id: string, offset: number, data: Uint8Array): Promise<void> {
    return this.#gate.shared(async () => {
      const image = this.#image(id);
      checkRange(image, offset, data.byteLength);
      await image.oneAtATime(() => this.#writeAligned(image, offset, data));
    });
  }

  /** Writes zeros; they take up space like any data. */
  async zeroRange(id: string, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += BLOCK_BYTES) {
      const part = ZERO_BLOCK.subarray(0, Math.min(BLOCK_BYTES, length - done));
      await this.write(id, offset + done, part);
    }
  }

  /** Copies a raw file in from its beginning; blocks of zeros are not allocated. */
  async fillFrom(id: string, rawFile: string): Promise<void> {
    const file = await open(rawFile, 'r');
    try {
      const block = Buffer.alloc(BLOCK_BYTES);
      for (let offset = 0; ; offset += BLOCK_BYTES) {
        const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, offset);
        const data = block.subarray(0, bytesRead);
        if (!data.equals(ZERO_BLOCK.subarray(0, bytesRead))) await this.write(id, offset, data);
        if (bytesRead < BLOCK_BYTES) return;
      }
    } finally {
      await file.close();
    }
  }

  has(id: string): boolean {
    return this.#images.has(id);
  }

  image(id: string): DiskImage {
    return this.#image(id).describe();
  }

  images(): readonly DiskImage[] {
    return [...this.#images.values()].map((image) => image.describe());
  }

  /** Ids from the disk up to its oldest parent. */
  chain(id: string): readonly string[] {
    return this.#image(id)
      .chain()
      .map((image) => image.id);
  }

  depth(id: string): number {
    return this.#image(id).chain().length;
  }

  /** Footer id of the file behind the disk, which a delta export names as its parent. */
  uniqueId(id: string): Buffer {
    return this.#image(id).file.uniqueId;
  }

  modifiedMs(id: string): number {
    return this.#image(id).file.modifiedMs;
  }

  /** 2 MiB blocks present in any file of the chain, ascending. */
  allocatedBlocks(id: string): number[] {
    return blocksOf(this.#image(id).chain(), this.#image(id).sizeBytes);
  }

  /**
   * 2 MiB blocks present in any file that belongs to only one of the two chains: all that may differ, never less. Unrelated disks
   * give the blocks of both.
   */
  changedBlocks(id: string, baseId: string): number[] {
    return differingBlocks(this.#image(id), this.#image(baseId));
  }

  async digest(id: string): Promise<{ sha256: string; sizeBytes: number }> {
    const { sizeBytes } = this.#image(id);
    const present = new Set(this.allocatedBlocks(id));
    const hash = createHash('sha256');
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let index = 0; index < sizeBytes / BLOCK_BYTES; index++) {
      if (present.has(index)) await this.readInto(id, index * BLOCK_BYTES, block);
      hash.update(present.has(index) ? block : ZERO_BLOCK);
    }
    return { sha256: hash.digest('hex'), sizeBytes };
  }

  /**
   * Over the 2 MiB blocks that are not all zeros, each with its index: quick for a large disk that is nearly empty. Equal for
   * disks of one size that read the same, whatever is allocated; not the digest of the content as a file.
   */
  async digestData(id: string): Promise<string> {
    const hash = createHash('sha256');
    const block = Buffer.alloc(BLOCK_BYTES);
    for (const index of this.allocatedBlocks(id)) {
      await this.readInto(id, index * BLOCK_BYTES, block);
      if (!block.equals(ZERO_BLOCK)) hash.update(`block ${String(index)}`).update(block);
    }
    return hash.digest('hex');
  }

  /** What this image alone takes, without its parents. */
  physicalBytes(id: string): number {
    return this.#space.of(this.#image(id));
  }

  /** Sum of the virtual sizes of all visible disks. */
  virtualBytes(): number {
    return [...this.#images.values()].reduce(
      (sum, image) => sum + (image.file.hidden ? 0 : image.sizeBytes),
      0,
    );
  }

  usedBytes(): number {
    return this.#space.used();
  }

  freeBytes(): number {
    return this.#space.free();
  }

  cbtEnabled(id: string): boolean {
    return this.#logs.has(id);
  }

  enableCbt(id: string): Promise<void> {
    return this.#gate.exclusive(() => this.#logs.enable(id, this.#image(id).sizeBytes));
  }

  /** Cuts the chain of logs: no list across this moment can be made any more. */
  disableCbt(id: string): Promise<void> {
    return this.#gate.exclusive(() => this.#logs.disable(id));
  }

  /** Call when the last writer detached: from then on the log survives a crash. */
  settleCbt(id: string): void {
    this.#logs.settle(id);
  }

  /** One bit for each 64 KiB, most significant bit first, ceil(ceil(size/65536)/8) bytes. CbtError when the pair has none. */
  listChangedBlocks(fromId: string, toId: string): Promise<Buffer> {
    return this.#gate.exclusive(() => this.#logs.changed(fromId, toId));
  }

  close(): Promise<void> {
    return this.#gate.exclusive(() => {
      this.#logs.close();
      this.files.close();
    });
  }

  async #writeAligned(image: Image, offset: number, data: Uint8Array): Promise<void> {
    const start = Math.floor(offset / SECTOR_BYTES) * SECTOR_BYTES;
    const end = roundUp(offset + data.byteLength, SECTOR_BYTES);
    let whole = data;
    if (end - start !== data.byteLength) {
      whole = Buffer.alloc(end - start);
      await readThrough(image, start, whole);
      whole.set(data, offset - start);
    }
    for (let done = 0; done < whole.byteLength;) {
      const position = start + done;
      const inBlock = position % BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - inBlock, whole.byteLength - done);
      const block = (position - inBlock) / BLOCK_BYTES;
      if (!image.file.has(block)) this.#space.demandBlock(image);
      // Before the write: what a crash leaves half done must count as changed.
      this.#logs.mark(image.id, position, length);
      await image.file.writeSectors(block, inBlock / SECTOR_BYTES, whole.subarray(done, done + length));
      done += length;
    }
  }

  #split(id: string, otherId: string, baseCopyId: string, isDisk: boolean): { baseCopy: string | null } {
    const image = this.#image(id);
    if (image.file.isEmpty() && image.parent !== null) {
      this.#space.demandNew(image.sizeBytes, isDisk);
      this.#addLeaf(otherId, image.sizeBytes, image.parent, isDisk);
      return { baseCopy: null };
    }
    this.#space.demandSplit(image, isDisk);
    const inflated = image.file.inflated;
    const parent = image.becomeBaseCopy(baseCopyId, this.#path(baseCopyId));
    this.#images.delete(id);
    this.#images.set(baseCopyId, parent);
    this.#addLeaf(id, parent.sizeBytes, parent, inflated);
    this.#addLeaf(otherId, parent.sizeBytes, parent, isDisk);
    return { baseCopy: baseCopyId };
  }

  #addLeaf(id: string, sizeBytes: number, parent: Image | null, isDisk: boolean): void {
    const file = ImageFile.create(this.files, this.#path(id), {
      sizeBytes,
      uniqueId: this.options.newId(),
      createdMs: this.options.now(),
      parent: parent?.asParentFile() ?? null,
      inflated: isDisk && this.options.allocation === 'thick',
    });
    this.#images.set(id, new Image(id, file, parent));
  }

  #removeLeaf(image: Image): void {
    image.detach();
    image.file.delete();
    this.#images.delete(image.id);
  }

  #load(): void {
    const names = readdirSync(this.folder).filter((name) => name.endsWith(SUFFIX));
    const files = new Map(names.map((name) => [name, ImageFile.open(this.files, join(this.folder, name))]));
    const add = (file: ImageFile): Image => {
      const id = file.name.slice(0, -SUFFIX.length);
      const known = this.#images.get(id);
      if (known !== undefined) return known;
      const parentFile = file.parentName === null ? undefined : files.get(file.parentName);
      if (file.parentName !== null && parentFile === undefined) throw new ImageMissingError(file.parentName);
      const image = new Image(id, file, parentFile === undefined ? null : add(parentFile));
      this.#images.set(id, image);
      return image;
    };
    for (const file of files.values()) add(file);
  }

  #image(id: string): Image {
    const image = this.#images.get(id);
    if (image === undefined) throw new ImageMissingError(id);
    return image;
  }

  #path(id: string): string {
    return join(this.folder, id + SUFFIX);
  }
}

function checkRange(image: Image, offset: number, length: number): void {
  if (offset < 0 || offset + length > image.sizeBytes) {
    throw new OutOfRangeError(image.id, offset, length, image.sizeBytes);
  }
}
