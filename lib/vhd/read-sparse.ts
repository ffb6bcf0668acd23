import { type Footer, footerBytes, parseFooter } from './footer';
import { sectorBytes } from './geometry';
import { type Header, headerBytes, parseHeader } from './header';
import type { Reading } from './reading';
import { refuseOtherFooter, refuseTableLength } from './refusals';
import { Collected, Sectors } from './stretches';
import { bitmapBytesOf, PhysicalBlocks } from './table';
import type { Walk } from './walk';

/** Reads a dynamic or differencing image from behind its first footer: header, table, blocks, last footer. */
export class SparseReader {
  readonly #walk: Walk;
  readonly #reading: Reading;
  readonly #footer: Footer;

  constructor(walk: Walk, reading: Reading, footer: Footer) {
    this.#walk = walk;
    this.#reading = reading;
    this.#footer = footer;
  }

  start(headerOffsetBytes: number): void {
    this.#reading.settleSize(this.#footer.sizeBytes, 0);
    this.#walk.skipTo(headerOffsetBytes, 'header', () => {
      this.#walk.enter('header', new Collected(headerBytes), ({ bytes }) => {
        this.#enterTable(bytes, headerOffsetBytes);
      });
    });
  }

  #enterTable(bytesOfHeader: Uint8Array, headerOffsetBytes: number): void {
    const header = parseHeader(bytesOfHeader, headerOffsetBytes);
    const { sizeBytes, tableEntriesMax } = this.#reading;
    refuseTableLength(header, sizeBytes, tableEntriesMax, headerOffsetBytes);
    this.#walk.skipTo(header.tableOffsetBytes, 'block table', () => {
      this.#walk.enter('block table', new Collected(4 * header.tableEntries), ({ bytes }) => {
        this.#enterBlocks(bytes, header);
      });
    });
  }

  #enterBlocks(table: Uint8Array, header: Header): void {
    const { tableOffsetBytes, blockSizeBytes } = header;
    const { sizeBytes } = this.#reading;
    const blocks = new PhysicalBlocks(table, { tableOffsetBytes, blockSizeBytes, sizeBytes });
    const lengthBytes = this.#reading.settleLength(endOfBlocks(blocks, header) + footerBytes);
    const { diskType, uniqueId } = this.#footer;
    this.#reading.emitHeader({
      diskType,
      blockSizeBytes,
      blocksPresent: blocks.count,
      lengthBytes,
      uniqueId,
      parentUniqueId: diskType === 'differencing' ? header.parentUniqueId : null,
    });
    this.#enterBlock(0, blocks, blockSizeBytes, lengthBytes);
  }

  #enterBlock(nth: number, blocks: PhysicalBlocks, blockSizeBytes: number, lengthBytes: number): void {
    if (nth === blocks.count) {
      this.#enterLastFooter(lengthBytes - footerBytes);
      return;
    }
    const index = blocks.indexOf(nth);
    const bitmap = new Collected(bitmapBytesOf(blockSizeBytes));
    this.#walk.skipTo(blocks.offsetBytesOf(nth), `bitmap of block ${index}`, () => {
      this.#walk.enter(`bitmap of block ${index}`, bitmap, ({ bytes }) => {
        const data = new Sectors(blockSizeBytes, index * blockSizeBytes, bytes, this.#reading.emitData);
        this.#walk.enter(`data of block ${index}`, data, () => {
          this.#reading.emitBlock(index);
          this.#enterBlock(nth + 1, blocks, blockSizeBytes, lengthBytes);
        });
      });
    });
  }

  #enterLastFooter(offsetBytes: number): void {
    this.#walk.skipTo(offsetBytes, 'last footer', () => {
      this.#walk.enter('last footer', new Collected(footerBytes), ({ bytes }) => {
        refuseOtherFooter(parseFooter(bytes, offsetBytes), this.#footer, offsetBytes);
        this.#reading.complete(this.#walk);
      });
    });
  }
}

function endOfBlocks(
  blocks: PhysicalBlocks,
  { tableOffsetBytes, tableEntries, blockSizeBytes }: Header,
): number {
  return blocks.count > 0
    ? blocks.offsetBytesOf(blocks.count - 1) + bitmapBytesOf(blockSizeBytes) + blockSizeBytes
    : Math.ceil((tableOffsetBytes + 4 * tableEntries) / sectorBytes) * sectorBytes;
}
