/** Where the bytes of transfers lie, for faults that strike at a byte. */
import { mib } from './stage';
import type { Stage } from './stage';

const headerBytes = 12;
const blockBytes = 2 * mib;
const frameBytes = headerBytes + blockBytes;

/**
 * Fills three whole blocks from the start of the first disk and nothing on the other: what travels is known to the
 * byte. The first header is the dangerous one: cut short it reads as zeros, which end an upload.
 */
export async function writeThreeBlocks(stage: Stage): Promise<void> {
  const value = 1 + ((stage.blocksWritten += 1) % 250);
  await stage.fill(0, 0, 3 * blockBytes, value);
}

export interface Place {
  readonly name: string;
  readonly afterBytes: number;
  /** Uploads of the disk to let pass: each is a segment. */
  readonly skip?: number;
}

/** An upload: two frames and the terminator in the first segment, one frame in the second. */
export const uploadPlaces: readonly Place[] = [
  { name: 'before its first byte', afterBytes: 0 },
  ...[1, 4, 8, 9, 11].map((bytes) => ({
    name: `after ${String(bytes)} bytes of a header`,
    afterBytes: bytes,
  })),
  { name: 'after the first header', afterBytes: headerBytes },
  { name: 'after 1 byte of data', afterBytes: headerBytes + 1 },
  { name: 'after a sector of data', afterBytes: headerBytes + 512 },
  { name: 'in the middle of a frame', afterBytes: mib },
  { name: 'before the last byte of a frame', afterBytes: frameBytes - 1 },
  { name: 'between two frames', afterBytes: frameBytes },
  ...[1, 4, 8, 9].map((bytes) => ({
    name: `after ${String(bytes)} bytes of the second header`,
    afterBytes: frameBytes + bytes,
  })),
  { name: 'before the last byte of data', afterBytes: 2 * frameBytes - 1 },
  { name: 'without a terminator', afterBytes: 2 * frameBytes },
  ...[1, 8, 11].map((bytes) => ({
    name: `after ${String(bytes)} bytes of the terminator`,
    afterBytes: 2 * frameBytes + bytes,
  })),
  { name: 'after 9 bytes of the second segment', afterBytes: 9, skip: 1 },
  { name: 'in the middle of the second segment', afterBytes: mib, skip: 1 },
];

const sector = 512;
const tableEnd = 5 * sector;
const storedBlock = sector + blockBytes;

/** A download: footer, header, table of blocks, three blocks with a bitmap each, the footer again. */
export const downloadPlaces: readonly Place[] = [
  { name: 'before its first byte', afterBytes: 0 },
  { name: 'after 1 byte', afterBytes: 1 },
  { name: 'in the first footer', afterBytes: 511 },
  { name: 'in the header', afterBytes: sector + 9 },
  { name: 'in the table of blocks', afterBytes: tableEnd - 500 },
  { name: 'after the table of blocks', afterBytes: tableEnd },
  { name: 'in a bitmap', afterBytes: tableEnd + 100 },
  { name: 'in the middle of a block', afterBytes: tableEnd + mib },
  { name: 'between two blocks', afterBytes: tableEnd + storedBlock },
  { name: 'before the last byte of data', afterBytes: tableEnd + 3 * storedBlock - 1 },
  { name: 'before the last footer', afterBytes: tableEnd + 3 * storedBlock },
  { name: 'before its last byte', afterBytes: tableEnd + 3 * storedBlock + sector - 1 },
];

/** Both ends' name of the disk that {@link writeThreeBlocks} writes to. */
export const diskName = 'root';
