import { leadingSectors } from './bitmap';
import { VhdError } from './errors';
import { fieldsOf, writeAscii } from './fields';
import { buildFooter, footerBytes } from './footer';
import { sectorBytes } from './geometry';
import { blockSizeBytesDefault, buildHeader, headerBytes, type HeaderParent } from './header';
import { bitmapBytesOf, blockCountOf } from './table';

/** What a differencing image is relative to. */
export interface VhdParent {
  /** Id in the footer of the parent's file: readers that follow chains compare it. */
  readonly uniqueId: string;
  /** File name of the parent; at most 256 characters. Default: none. */
  readonly name?: string;
  /** Seconds since 2000-01-01 UTC. Default 0. */
  readonly timeStampSeconds?: number;
}

/** An image in blocks of 2 MiB, described before its first byte is written. */
export interface VhdImage {
  /** A multiple of 512. */
  readonly sizeBytes: number;
  /** Null makes a dynamic image, a parent a differencing one. */
  readonly parent: VhdParent | null;
  /** Indices of the blocks that the image will hold, ascending. */
  readonly blocks: ArrayLike<number>;
  /** uuid notation; to be drawn anew for each image. */
  readonly uniqueId: string;
  /** Seconds since 2000-01-01 UTC. Default 0, as exports have it. */
  readonly timeStampSeconds?: number;
  /**
   * Four characters. Readers such as qemu believe the size of a few creators only and take that of others from the
   * geometry, which cuts the disk short: `win ` is one that they believe. Default `xrpl`.
   */
  readonly creator?: string;
}

/** One block: 2 MiB, or less where the disk ends within it; in one piece or several. */
export interface VhdBlock {
  readonly index: number;
  readonly data: Uint8Array | readonly Uint8Array[];
  /** One bit a sector, the first sector highest; absent: all sectors of the block are present. */
  readonly bitmap?: Uint8Array;
}

const blockBytes = blockSizeBytesDefault;
const bitmapBytes = bitmapBytesOf(blockBytes);
const tableAt = 2048;
const locatorAt = footerBytes + headerBytes;

/**
 * Writes a VHD piece by piece, in the layout of XAPI's exports: footer, header, one sector for the parent's
 * locator, table at 2048, blocks without gaps, footer. The length is known before the first byte is written:
 * servers take an image only together with its exact length.
 */
export class VhdEncoder {
  /** Exact length of the image. */
  readonly lengthBytes: number;
  readonly #image: VhdImage;
  readonly #firstBlockAt: number;
  #written = 0;

  /** @throws VhdError `bad-size` or `bad-input` where such an image is not possible */
  constructor(image: VhdImage) {
    refuseBlocks(image);
    const tableBytes = Math.ceil((4 * blockCountOf(image.sizeBytes, blockBytes)) / sectorBytes) * sectorBytes;
    this.#image = image;
    this.#firstBlockAt = tableAt + tableBytes;
    this.lengthBytes = this.#firstBlockAt + image.blocks.length * (bitmapBytes + blockBytes) + footerBytes;
  }

  /** Everything before the first block. */
  head(): Uint8Array {
    const bytes = new Uint8Array(this.#firstBlockAt);
    const parent = headerParent(this.#image.parent);
    bytes.set(this.#footer());
    bytes.set(
      buildHeader({
        tableOffsetBytes: tableAt,
        tableEntries: blockCountOf(this.#image.sizeBytes, blockBytes),
        blockSizeBytes: blockBytes,
        parent,
      }),
      footerBytes,
    );
    if (parent?.locator) {
      writeAscii(bytes, locatorAt, locatorUrl(parent.name));
    }
    this.#writeTable(bytes);
    return bytes;
  }

  /**
   * The pieces of the next block: its bitmap, and its data without a copy.
   *
   * @throws VhdError `bad-input` where the block is not the next one announced, or has not the right length
   */
  block(block: VhdBlock): Uint8Array[] {
    const announced = this.#image.blocks[this.#written];
    if (block.index !== announced) {
      const wanted = announced === undefined ? 'no further block' : `block ${announced}`;
      throw new VhdError(
        'bad-input',
        0,
        `Cannot write block ${block.index} of the VHD: announced was ${wanted}`,
      );
    }
    this.#written += 1;
    const pieces = block.data instanceof Uint8Array ? [block.data] : block.data;
    const givenBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const ownBytes = Math.min(blockBytes, this.#image.sizeBytes - block.index * blockBytes);
    if (givenBytes !== blockBytes && givenBytes !== ownBytes) {
      throw new VhdError(
        'bad-input',
        0,
        `Cannot write block ${block.index} of the VHD from ${givenBytes} bytes: expected ${ownBytes}`,
      );
    }
    const padding = givenBytes < blockBytes ? [new Uint8Array(blockBytes - givenBytes)] : [];
    return [bitmapFor(block, ownBytes), ...pieces, ...padding];
  }

  /** The last 512 bytes. Throws VhdError `bad-input` where announced blocks were not written. */
  end(): Uint8Array {
    const missing = this.#image.blocks[this.#written];
    if (missing !== undefined) {
      throw new VhdError(
        'bad-input',
        0,
        `Cannot end the VHD: block ${missing} was announced and not written`,
      );
    }
    return this.#footer();
  }

  #footer(): Uint8Array {
    const { sizeBytes, parent, uniqueId, timeStampSeconds, creator } = this.#image;
    return buildFooter({
      diskType: parent === null ? 'dynamic' : 'differencing',
      sizeBytes,
      uniqueId,
      headerOffsetBytes: footerBytes,
      ...(timeStampSeconds === undefined ? {} : { timeStampSeconds }),
      ...(creator === undefined ? {} : { creator }),
    });
  }

  #writeTable(bytes: Uint8Array): void {
    const table = bytes.subarray(tableAt).fill(0xff); // absent everywhere, padding included
    const fields = fieldsOf(table);
    const { blocks } = this.#image;
    for (let nth = 0; nth < blocks.length; nth += 1) {
      const offsetBytes = this.#firstBlockAt + nth * (bitmapBytes + blockBytes);
      fields.setUint32(4 * (blocks[nth] ?? 0), offsetBytes / sectorBytes);
    }
  }
}

/**
 * Writes a whole image from blocks as they come. The source is closed when the reader stops early.
 *
 * @throws VhdError `bad-input` where the blocks are not those that the image announces
 */
export async function* encodeVhd(
  image: VhdImage,
  blocks: Iterable<VhdBlock> | AsyncIterable<VhdBlock>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new VhdEncoder(image);
  yield encoder.head();
  for await (const block of blocks) {
    yield* encoder.block(block);
  }
  yield encoder.end();
}

/** A fixed image: the disk as it is, and a footer after it. Its length is the disk's size + 512. */
export interface VhdFixedImage {
  readonly sizeBytes: number;
  readonly uniqueId: string;
  readonly timeStampSeconds?: number;
  readonly creator?: string;
}

/** Writes a fixed image from the disk's content. Throws VhdError `bad-input` unless that is `sizeBytes` long. */
export async function* encodeFixedVhd(
  image: VhdFixedImage,
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const footer = buildFooter({ ...image, diskType: 'fixed', headerOffsetBytes: null });
  let givenBytes = 0;
  for await (const piece of content) {
    givenBytes += piece.length;
    if (givenBytes > image.sizeBytes) {
      break;
    }
    yield piece;
  }
  if (givenBytes !== image.sizeBytes) {
    const given = givenBytes > image.sizeBytes ? 'more' : `only ${givenBytes}`;
    throw new VhdError('bad-input', 0, `Cannot write a fixed VHD of ${image.sizeBytes} bytes: got ${given}`);
  }
  yield footer;
}

/** Sectors past the disk's end are never present: a receiver would try to write them and fail. */
function bitmapFor({ index, bitmap }: VhdBlock, ownBytes: number): Uint8Array {
  const own = leadingSectors(ownBytes / sectorBytes, bitmapBytes);
  if (bitmap === undefined) {
    return own;
  }
  if (bitmap.length !== bitmapBytes) {
    throw new VhdError(
      'bad-input',
      0,
      `Cannot write block ${index} of the VHD: its bitmap has ${bitmap.length} bytes, expected ${bitmapBytes}`,
    );
  }
  return own.map((byte, at) => byte & (bitmap[at] ?? 0));
}

function refuseBlocks({ sizeBytes, blocks }: VhdImage): void {
  const blockCount = blockCountOf(sizeBytes, blockBytes);
  let minIndex = 0;
  for (let nth = 0; nth < blocks.length; nth += 1) {
    const index = blocks[nth] ?? -1;
    if (!Number.isInteger(index) || index < minIndex || index >= blockCount) {
      throw new VhdError(
        'bad-input',
        0,
        `Cannot announce block ${index} of the VHD: expected ascending indices from ${minIndex} to ${blockCount - 1}`,
      );
    }
    minIndex = index + 1;
  }
}

/** The path is stored a second time as a URL: some readers look there only. Exports name the place but leave it empty. */
function headerParent(parent: VhdParent | null): HeaderParent | null {
  if (parent === null) {
    return null;
  }
  const name = parent.name ?? '';
  const lengthBytes = locatorUrl(name).length;
  const isStored = name !== '' && lengthBytes <= sectorBytes;
  return {
    uniqueId: parent.uniqueId,
    name,
    timeStampSeconds: parent.timeStampSeconds ?? 0,
    locator: isStored ? { offsetBytes: locatorAt, lengthBytes } : null,
  };
}

function locatorUrl(name: string): string {
  return `file://${encodeURI(name)}`;
}
