/**
 * A disk from a VHD file. Unlike a stream a file can be read anywhere, so blocks come in the order of the disk, however
 * the program that wrote it has laid them out.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import {
  bitmapBytesOf,
  footerBytes,
  headerBytes,
  parseFooter,
  parseHeader,
  PhysicalBlocks,
  refuseOtherBody,
  refuseOtherFooter,
  sectorBytes,
} from '../../../vhd';
import type { Footer, Header } from '../../../vhd';
import type { DiskReader, Extent } from '../../data/extent';
import { seedFileError } from '../errors';

const absentBlock = 0xffff_ffff;
/** 2 TiB in blocks of 2 MiB; of smaller blocks there are more. */
const tableEntriesMax = 2 ** 21;
const pieceBytes = 2 * 1024 * 1024;

interface Layout {
  readonly footer: Footer;
  readonly fileBytes: number;
  /** Null for a fixed disk: its data begin at the start of the file. */
  readonly sparse: { readonly header: Header; readonly table: Buffer } | null;
}

export interface VhdFileFacts {
  readonly sizeBytes: number;
  readonly uniqueId: string;
  /** Upper bound of what is read: whole blocks. */
  readonly dataBytes: number;
}

/** @throws ReplicationError `seed-file` where it is no VHD that can be read by itself */
export async function vhdFacts(path: string): Promise<VhdFileFacts> {
  const handle = await openFile(path);
  try {
    return factsOf(await readLayout(path, handle));
  } finally {
    await handle.close();
  }
}

/** Opens the file for reading from end to end. */
export async function openVhdFile(path: string): Promise<DiskReader> {
  const handle = await openFile(path);
  try {
    return new VhdFileReader(path, handle, await readLayout(path, handle));
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class VhdFileReader implements DiskReader {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #layout: Layout;
  #ended = false;
  bytesRead = 0;

  constructor(path: string, handle: FileHandle, layout: Layout) {
    this.#path = path;
    this.#handle = handle;
    this.#layout = layout;
  }

  get sizeBytes(): number {
    return factsOf(this.#layout).sizeBytes;
  }

  get changedBytes(): number {
    return factsOf(this.#layout).dataBytes;
  }

  async *extents(): AsyncGenerator<Extent> {
    const { sparse } = this.#layout;
    if (sparse === null) yield* this.#flat(0, 0, this.sizeBytes);
    else {
      for (let index = 0; index < sparse.header.tableEntries; index += 1) {
        const sector = sparse.table.readUInt32BE(index * 4);
        if (sector !== absentBlock) yield* this.#block(sparse.header, index, sector * sectorBytes);
      }
    }
    this.#ended = true;
  }

  finish(): Promise<void> {
    if (this.#ended) return this.#handle.close();
    return Promise.reject(seedFileError(`${this.#path} was not read to its end`, 'try again'));
  }

  async abort(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
  }

  /** Only sectors whose bit is set are of this file; the others read as zeros. */
  async *#block(header: Header, index: number, atBytes: number): AsyncGenerator<Extent> {
    const { blockSizeBytes } = header;
    const bitmapBytes = bitmapBytesOf(blockSizeBytes);
    const start = index * blockSizeBytes;
    const end = Math.min(start + blockSizeBytes, this.sizeBytes);
    if (start >= end) return;
    const bitmap = await this.#read(atBytes, bitmapBytes);
    for (const run of runsOf(bitmap, (end - start) / sectorBytes)) {
      const fileOffset = atBytes + bitmapBytes + run.first * sectorBytes;
      yield* this.#flat(fileOffset, start + run.first * sectorBytes, run.count * sectorBytes);
    }
  }

  async *#flat(fileOffset: number, diskOffset: number, lengthBytes: number): AsyncGenerator<Extent> {
    for (let at = 0; at < lengthBytes; at += pieceBytes) {
      const data = await this.#read(fileOffset + at, Math.min(pieceBytes, lengthBytes - at));
      yield { offsetBytes: diskOffset + at, data };
    }
  }

  async #read(atBytes: number, lengthBytes: number): Promise<Buffer> {
    const data = await readAt(this.#path, this.#handle, atBytes, lengthBytes);
    this.bytesRead += data.length;
    return data;
  }
}

function* runsOf(
  bitmap: Buffer,
  sectors: number,
): Iterable<{ readonly first: number; readonly count: number }> {
  let first = -1;
  for (let sector = 0; sector <= sectors; sector += 1) {
    const present = sector < sectors && ((bitmap[sector >> 3] ?? 0) & (0x80 >> (sector & 7))) !== 0;
    if (present && first < 0) first = sector;
    if (!present && first >= 0) {
      yield { first, count: sector - first };
      first = -1;
    }
  }
}

function factsOf({ footer, sparse }: Layout): VhdFileFacts {
  const { sizeBytes, uniqueId } = footer;
  if (sparse === null) return { sizeBytes, uniqueId, dataBytes: sizeBytes };
  let blocks = 0;
  for (let index = 0; index < sparse.header.tableEntries; index += 1) {
    if (sparse.table.readUInt32BE(index * 4) !== absentBlock) blocks += 1;
  }
  return { sizeBytes, uniqueId, dataBytes: Math.min(blocks * sparse.header.blockSizeBytes, sizeBytes) };
}

async function readLayout(path: string, handle: FileHandle): Promise<Layout> {
  const { size: fileBytes } = await handle.stat();
  if (fileBytes < footerBytes) throw noVhd(path, `it has only ${String(fileBytes)} bytes`);
  const lastAt = fileBytes - footerBytes;
  try {
    const footer = parseFooter(await readAt(path, handle, lastAt, footerBytes), lastAt);
    if (footer.diskType === 'differencing') {
      throw noVhd(path, 'it holds only what differs from a parent: export the disk in full');
    }
    if (footer.diskType === 'fixed') {
      refuseOtherBody(footer, lastAt);
      return { footer, fileBytes, sparse: null };
    }
    // Two files joined, or one written over another, have two that do not go together.
    refuseOtherFooter(footer, parseFooter(await readAt(path, handle, 0, footerBytes)), lastAt);
    const headerAt = footer.headerOffsetBytes ?? footerBytes;
    const header = parseHeader(await readAt(path, handle, headerAt, headerBytes), headerAt);
    const blocks = Math.ceil(footer.sizeBytes / header.blockSizeBytes);
    if (header.tableEntries > tableEntriesMax || header.tableEntries < blocks) {
      throw noVhd(path, `its table has ${String(header.tableEntries)} entries`);
    }
    const { tableOffsetBytes } = header;
    const table = await readAt(path, handle, tableOffsetBytes, header.tableEntries * 4);
    assertTable(path, table, { ...header, sizeBytes: footer.sizeBytes, endBytes: lastAt });
    return { footer, fileBytes, sparse: { header: { ...header, tableEntries: blocks }, table } };
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'retry' in error) throw error;
    throw noVhd(path, error instanceof Error ? error.message : String(error));
  }
}

/** The table has no checksum: blocks over each other or behind the end would give the content of other places. */
function assertTable(
  path: string,
  table: Buffer,
  frame: Pick<Header, 'tableOffsetBytes' | 'blockSizeBytes'> & {
    readonly sizeBytes: number;
    readonly endBytes: number;
  },
): void {
  const blocks = new PhysicalBlocks(table, frame);
  if (blocks.count === 0) return;
  const lastEndsBytes = blocks.offsetBytesOf(blocks.count - 1) + blockBytesInFile(frame);
  if (lastEndsBytes <= frame.endBytes) return;
  const last = blocks.indexOf(blocks.count - 1);
  throw noVhd(
    path,
    `its block ${String(last)} ends at byte ${String(lastEndsBytes)}, behind the end of its data at ${String(frame.endBytes)}`,
  );
}

function blockBytesInFile({ blockSizeBytes }: Pick<Header, 'blockSizeBytes'>): number {
  return bitmapBytesOf(blockSizeBytes) + blockSizeBytes;
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw seedFileError(
      `Cannot open ${path}: ${code ?? String(error)}`,
      'name a file that is there and may be read',
      error,
    );
  }
}

async function readAt(
  path: string,
  handle: FileHandle,
  atBytes: number,
  lengthBytes: number,
): Promise<Buffer> {
  const data = Buffer.allocUnsafeSlow(lengthBytes);
  let filled = 0;
  while (filled < lengthBytes) {
    const { bytesRead } = await handle.read(data, filled, lengthBytes - filled, atBytes + filled);
    if (bytesRead === 0)
      throw noVhd(path, `it ends at byte ${String(atBytes + filled)}, in the middle of its data`);
    filled += bytesRead;
  }
  return data;
}

function noVhd(path: string, why: string): Error {
  return seedFileError(
    `${path} cannot be used as a disk: ${why}`,
    'it must be a VHD of a whole disk, as xenrepl seed export, xe vdi-export and qemu-img -O vpc write it',
  );
}
