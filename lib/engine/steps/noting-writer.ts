/** Knows what it sent, for whoever reads it back. */
import type { ImportRequest, Pool } from '../../xapi';
import type { Extent } from '../data/extent';
import { SegmentWriter } from '../data/write-segments';
import type { SegmentWriterOptions } from '../data/write-segments';
import { blockCount, BlockSet, seedBlockBytes } from '../seed/blocks';

export class NotingWriter extends SegmentWriter {
  /** Blocks of 2 MiB of which anything was sent. */
  readonly sent: BlockSet;

  constructor(sizeBytes: number, pool: Pool, request: ImportRequest, options: SegmentWriterOptions) {
    super(pool, request, options);
    this.sent = new BlockSet(blockCount(sizeBytes));
  }

  override async write(extent: Extent): Promise<void> {
    const last = Math.floor((extent.offsetBytes + extent.data.length - 1) / seedBlockBytes);
    for (let index = Math.floor(extent.offsetBytes / seedBlockBytes); index <= last; index += 1)
      this.sent.add(index);
    await super.write(extent);
  }
}
