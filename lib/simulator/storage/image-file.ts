import { closeSync, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename } from 'node:path';

import { BrokenImageError } from './errors';
import {
  BITMAP_BYTES,
  BLOCK_BYTES,
  FOOTER_BYTES,
  HEADER_BYTES,
  NO_BLOCK,
  SECTOR_BYTES,
  SECTORS_PER_BLOCK,
  STORED_BLOCK_BYTES,
  TABLE_OFFSET,
  tableBytes,
} from './layout';
import type { OpenFiles } from './open-files';
import { normalised, withRun, type SectorRun } from './sector-bitmap';
import {
  decodeFooter,
  decodeHeader,
  encodeFooter,
  encodeHeader,
  vhdTime,
  type VhdFooter,
  type VhdHeader,
} from './vhd-metadata';

export interface ParentFile {
  /** File name of the parent, in the same folder. */
  readonly name: string;
  readonly uniqueId: Buffer;
  readonly modifiedMs: number;
}

export interface NewImageFile {
  readonly sizeBytes: number;
  readonly uniqueId: Buffer;
  readonly createdMs: number;
  readonly parent: ParentFile | null;
  readonly inflated: boolean;
}

const BITMAPS_KEPT = 2048;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
/** `caml`-written streams carry version 1; files of the storage manager's own tools say 1.3. */
const CREATOR = { creator: 'tap\0', creatorVersion: 0x00010003 };

/**
 * One VHD file: footer copy, header, parent locator, block table, blocks, footer. After every write it is a whole VHD again: a
 * new block goes out together with the footer behind it, and only then into the table.
 */
export class ImageFile {
  #table: Uint32Array | null = null;
  readonly #bitmaps = new Map<number, Buffer>();

  private constructor(
    private readonly files: OpenFiles,
    private pathNow: string,
    private footerNow: VhdFooter,
    private headerNow: VhdHeader,
    private end: number,
    readonly modifiedMs: number,
  ) {}

  static create(files: OpenFiles, path: string, image: NewImageFile): ImageFile {
    const entries = image.sizeBytes / BLOCK_BYTES;
    const footer: VhdFooter = {
      ...CREATOR,
      sizeBytes: image.sizeBytes,
      kind: image.parent === null ? 'dynamic' : 'differencing',
      uniqueId: image.uniqueId,
      timeStamp: vhdTime(image.createdMs),
      dataOffset: FOOTER_BYTES,
      hidden: false,
      inflated: image.inflated,
    };
    const end = TABLE_OFFSET + tableBytes(entries);
    const file = new ImageFile(files, path, footer, headerFor(entries, image.parent), end, image.createdMs);
    const empty = Buffer.alloc(end + FOOTER_BYTES, 0xff);
    empty.fill(0, 0, TABLE_OFFSET);
    encodeFooter(footer).copy(empty, 0);
    encodeHeader(file.headerNow).copy(empty, FOOTER_BYTES);
    locatorText(image.parent).copy(empty, FOOTER_BYTES + HEADER_BYTES);
    encodeFooter(footer).copy(empty, end);
    file.#onDisk((fd) => writeSync(fd, empty, 0, empty.length, 0), 'wx');
    return file;
  }

  static open(files: OpenFiles, path: string): ImageFile {
    const fd = openSync(path, 'r');
    try {
      const head = Buffer.alloc(FOOTER_BYTES + HEADER_BYTES);
      readSync(fd, head, 0, head.length, 0);
      const footer = decodeFooter(head.subarray(0, FOOTER_BYTES));
      const header = decodeHeader(head.subarray(FOOTER_BYTES));
      if (header?.blockBytes !== BLOCK_BYTES || footer === null) {
        throw new BrokenImageError(`${path} is not a VHD with blocks of 2 MiB: restore it or remove it`);
      }
      const status = fstatSync(fd);
      return new ImageFile(files, path, footer, header, status.size - FOOTER_BYTES, status.mtimeMs);
    } finally {
      closeSync(fd);
    }
  }

  get path(): string {
    return this.pathNow;
  }
  get name(): string {
    return basename(this.pathNow);
  }
  get sizeBytes(): number {
    return this.footerNow.sizeBytes;
  }
  get uniqueId(): Buffer {
    return this.footerNow.uniqueId;
  }
  get hidden(): boolean {
    return this.footerNow.hidden;
  }
  get inflated(): boolean {
    return this.footerNow.inflated;
  }
  /** File name of the parent as the header says, null without one. */
  get parentName(): string | null {
    return this.footerNow.kind === 'differencing' ? basename(this.headerNow.parentName) : null;
  }
  get parentId(): Buffer {
    return this.headerNow.parentId;
  }
  /** Length of the file; its holes count, as they would on a block device. */
  get fileBytes(): number {
    return this.end + FOOTER_BYTES;
  }

  has(block: number): boolean {
    return block < this.#blockTable().length && this.#blockTable()[block] !== NO_BLOCK;
  }

  blocks(): number[] {
    const found: number[] = [];
    this.#blockTable().forEach((sector, block) => {
      if (sector !== NO_BLOCK) found.push(block);
    });
    return found;
  }

  isEmpty(): boolean {
    return this.#blockTable().every((sector) => sector === NO_BLOCK);
  }

  async bitmap(block: number): Promise<Buffer> {
    const known = this.#bitmaps.get(block);
    if (known !== undefined) return known;
    const bytes = Buffer.alloc(BITMAP_BYTES);
    await this.files.read(this.pathNow, bytes, this.#position(block));
    return this.#remember(block, normalised(bytes));
  }

  /** Reads whole sectors of an allocated block, whatever its bitmap says. */
  async readSectors(block: number, firstSector: number, target: Uint8Array): Promise<void> {
    const position = this.#position(block) + BITMAP_BYTES + firstSector * SECTOR_BYTES;
    await this.files.read(this.pathNow, target, position);
  }

  /** Writes whole sectors into one block. Callers serialise writes to one file. The caller has made room for a new block. */
  async writeSectors(block: number, firstSector: number, data: Uint8Array): Promise<void> {
    const run = { first: firstSector, count: data.byteLength / SECTOR_BYTES };
    if (this.has(block)) await this.#overwrite(block, run, data);
    else await this.#allocate(block, run, data);
  }

  setHidden(hidden: boolean): void {
    this.#setFooter({ ...this.footerNow, hidden });
  }

  setInflated(inflated: boolean): void {
    if (this.footerNow.inflated !== inflated) this.#setFooter({ ...this.footerNow, inflated });
  }

  rename(path: string): void {
    this.files.forget(this.pathNow);
    renameSync(this.pathNow, path);
    this.pathNow = path;
  }

  /** Points the header to another parent, or to the same one under a new name. */
  setParent(parent: ParentFile | null): void {
    this.headerNow = headerFor(this.headerNow.maxEntries, parent);
    this.footerNow = { ...this.footerNow, kind: parent === null ? 'dynamic' : 'differencing' };
    const head = Buffer.alloc(TABLE_OFFSET - FOOTER_BYTES);
    encodeHeader(this.headerNow).copy(head);
    locatorText(parent).copy(head, HEADER_BYTES);
    this.#onDisk((fd) => writeSync(fd, head, 0, head.length, FOOTER_BYTES));
    this.#setFooter(this.footerNow);
  }

  /** Grows the disk: blocks that lie where the longer table must go are moved to the end of the file. */
  async grow(sizeBytes: number): Promise<void> {
    const entries = sizeBytes / BLOCK_BYTES;
    const old = this.#blockTable();
    const tableEnd = TABLE_OFFSET + tableBytes(entries);
    for (const block of this.blocks()) if (this.#position(block) < tableEnd) await this.#move(block);
    const table = new Uint32Array(entries).fill(NO_BLOCK);
    table.set(old);
    this.end = Math.max(this.end, tableEnd);
    this.headerNow = { ...this.headerNow, maxEntries: entries };
    this.#table = table;
    const bytes = Buffer.alloc(tableBytes(entries), 0xff);
    table.forEach((sector, index) => bytes.writeUInt32BE(sector, index * 4));
    const header = encodeHeader(this.headerNow);
    this.#onDisk((fd) => {
      writeSync(fd, bytes, 0, bytes.length, TABLE_OFFSET);
      writeSync(fd, header, 0, header.length, FOOTER_BYTES);
    });
    this.#setFooter({ ...this.footerNow, sizeBytes });
  }

  /** Closes the file; it may be replaced afterwards. */
  release(): void {
    this.files.forget(this.pathNow);
  }

  delete(): void {
    this.release();
    rmSync(this.pathNow);
  }

  async #overwrite(block: number, run: SectorRun, data: Uint8Array): Promise<void> {
    const before = await this.bitmap(block);
    const position = this.#position(block);
    await this.files.write(this.pathNow, [data], position + BITMAP_BYTES + run.first * SECTOR_BYTES);
    const after = withRun(before, run);
    if (after === before) return;
    await this.files.write(this.pathNow, [after], position);
    this.#remember(block, after);
  }

  async #allocate(block: number, run: SectorRun, data: Uint8Array): Promise<void> {
    const position = this.end;
    const bitmap = withRun(Buffer.alloc(BITMAP_BYTES), run);
    const footer = encodeFooter(this.footerNow);
    const whole = run.count === SECTORS_PER_BLOCK;
    if (whole && !ZERO_BLOCK.equals(data)) {
      await this.files.write(this.pathNow, [bitmap, data, footer], position);
    } else {
      await this.files.write(this.pathNow, [bitmap], position);
      if (!whole)
        await this.files.write(this.pathNow, [data], position + BITMAP_BYTES + run.first * SECTOR_BYTES);
      await this.files.write(this.pathNow, [footer], position + STORED_BLOCK_BYTES);
    }
    this.end = position + STORED_BLOCK_BYTES;
    this.#remember(block, bitmap);
    await this.#setEntry(block, position / SECTOR_BYTES);
  }

  async #move(block: number): Promise<void> {
    const stored = Buffer.alloc(STORED_BLOCK_BYTES);
    await this.files.read(this.pathNow, stored, this.#position(block));
    const position = this.end;
    await this.files.write(this.pathNow, [stored, encodeFooter(this.footerNow)], position);
    this.end = position + STORED_BLOCK_BYTES;
    await this.#setEntry(block, position / SECTOR_BYTES);
  }

  async #setEntry(block: number, sector: number): Promise<void> {
    this.#blockTable()[block] = sector;
    const entry = Buffer.alloc(4);
    entry.writeUInt32BE(sector);
    await this.files.write(this.pathNow, [entry], this.headerNow.tableOffset + block * 4);
  }

  #position(block: number): number {
    const sector = this.#blockTable()[block];
    if (sector === undefined || sector === NO_BLOCK)
      throw new BrokenImageError(`${this.pathNow} has no block ${block}`);
    return sector * SECTOR_BYTES;
  }

  #blockTable(): Uint32Array {
    if (this.#table !== null) return this.#table;
    const bytes = Buffer.alloc(this.headerNow.maxEntries * 4);
    this.#onDisk((fd) => readSync(fd, bytes, 0, bytes.length, this.headerNow.tableOffset));
    const table = new Uint32Array(this.headerNow.maxEntries);
    for (let index = 0; index < table.length; index++) table[index] = bytes.readUInt32BE(index * 4);
    this.#table = table;
    return table;
  }

  #setFooter(footer: VhdFooter): void {
    this.footerNow = footer;
    const bytes = encodeFooter(footer);
    this.#onDisk((fd) => {
      writeSync(fd, bytes, 0, bytes.length, 0);
      writeSync(fd, bytes, 0, bytes.length, this.end);
    });
  }

  #remember(block: number, bitmap: Buffer): Buffer {
    this.#bitmaps.delete(block);
    this.#bitmaps.set(block, bitmap);
    const oldest = this.#bitmaps.keys().next();
    if (this.#bitmaps.size > BITMAPS_KEPT && oldest.done !== true) this.#bitmaps.delete(oldest.value);
    return bitmap;
  }

  #onDisk(work: (fd: number) => void, flags = 'r+'): void {
    const fd = openSync(this.pathNow, flags);
    try {
      work(fd);
    } finally {
      closeSync(fd);
    }
  }
}

function headerFor(entries: number, parent: ParentFile | null): VhdHeader {
  return {
    tableOffset: TABLE_OFFSET,
    maxEntries: entries,
    blockBytes: BLOCK_BYTES,
    parentId: parent?.uniqueId ?? Buffer.alloc(16),
    parentTimeStamp: parent === null ? 0 : vhdTime(parent.modifiedMs),
    parentName: parent?.name ?? '',
    locator:
      parent === null
        ? null
        : { space: 1, lengthBytes: locatorText(parent).length, offset: FOOTER_BYTES + HEADER_BYTES },
  };
}

function locatorText(parent: ParentFile | null): Buffer {
  return Buffer.from(parent === null ? '' : `file://./${parent.name}`, 'utf8');
}
