import { FOOTER_BYTES, HEADER_BYTES, NO_BLOCK, SECTOR_BYTES, tableBytes } from '../storage/layout';
import { runsOf } from '../storage/sector-bitmap';
import { decodeFooter, decodeHeader, type VhdHeader } from '../storage/vhd-metadata';
import { CopierError, readOrFail, type BlockDevice, type ByteSource, type Progress } from './copier';

const SKIP_BYTES = 4096;
/** No header that a client of ours sends goes beyond these; what does must not make us allocate gigabytes. */
const MOST_ENTRIES = 2 ** 21;
const LARGEST_BLOCK_BYTES = 2 ** 26;

interface StoredBlock {
  readonly index: number;
  readonly sector: number;
}

/**
 * VHD upload, read forwards only: footer copy, header, table, blocks in the order of their place in the file, last footer. Only
 * sectors whose bit is set are written; nothing is zeroed; type, ids, names and sizes are not compared with anything. The last
 * footer is looked for at the last whole sector of `streamBytes`, which is why Content-Length must be exact.
 */
export async function copyVhd(
  source: ByteSource,
  device: BlockDevice,
  streamBytes: number,
  progress: Progress,
): Promise<void> {
  const input = new ForwardInput(source);
  const footer = decodeFooter(await input.take(FOOTER_BYTES));
  if (footer === null) throw new CopierError('the stream does not begin with the footer of a VHD');
  await input.skipTo(footer.dataOffset);
  const header = decodeHeader(await input.take(HEADER_BYTES));
  if (header === null) throw new CopierError('the header of the VHD is wrong');
  if (header.maxEntries > MOST_ENTRIES || header.blockBytes > LARGEST_BLOCK_BYTES) {
    throw new CopierError(`a VHD of ${header.maxEntries} blocks of ${header.blockBytes} bytes is too large`);
  }
  await input.skipTo(header.tableOffset);
  const blocks = storedBlocks(await input.take(tableBytes(header.maxEntries)), header.maxEntries);
  const bitmap = Buffer.alloc(header.blockBytes / SECTOR_BYTES / 8);
  const data = Buffer.alloc(header.blockBytes);
  for (const [seen, block] of blocks.entries()) {
    await input.skipTo(block.sector * SECTOR_BYTES);
    await input.fill(bitmap);
    await copyBlock(input, device, header, block.index, bitmap, data);
    progress((seen + 1) / blocks.length);
  }
  await input.skipTo(Math.floor((streamBytes - 1) / FOOTER_BYTES) * FOOTER_BYTES);
  if (decodeFooter(await input.take(FOOTER_BYTES)) === null) {
    throw new CopierError('there is no footer at the end of the stream');
  }
}

/** One buffer serves all blocks: sectors that a cut stream did not bring are written with what was there before. */
async function copyBlock(
  input: ForwardInput,
  device: BlockDevice,
  header: VhdHeader,
  index: number,
  bitmap: Buffer,
  data: Buffer,
): Promise<void> {
  const sectors = header.blockBytes / SECTOR_BYTES;
  for (const run of runsOf(bitmap, { first: 0, count: sectors })) {
    const part = data.subarray(0, run.count * SECTOR_BYTES);
    await input.fill(part);
    if (run.set) await device.write(index * header.blockBytes + run.first * SECTOR_BYTES, part);
  }
}

/** Blocks of the table by their place in the file; of two entries with one place the later counts. */
function storedBlocks(table: Buffer, entries: number): StoredBlock[] {
  const bySector = new Map<number, number>();
  for (let index = 0; index < entries; index++) {
    const sector = table.readUInt32BE(index * 4);
    if (sector !== NO_BLOCK) bySector.set(sector, index);
  }
  return [...bySector].sort(([a], [b]) => a - b).map(([sector, index]) => ({ sector, index }));
}

/** A stream that cannot go back. */
class ForwardInput {
  #position = 0;
  readonly #skipped = Buffer.alloc(SKIP_BYTES);

  constructor(private readonly source: ByteSource) {}

  async fill(target: Uint8Array): Promise<void> {
    await readOrFail(this.source, target);
    this.#position += target.byteLength;
  }

  async take(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    await this.fill(bytes);
    return bytes;
  }

  async skipTo(position: number): Promise<void> {
    if (position < this.#position) throw new CopierError(`the stream is past ${position} already`);
    while (this.#position < position) {
      await this.fill(this.#skipped.subarray(0, Math.min(SKIP_BYTES, position - this.#position)));
    }
  }
}
