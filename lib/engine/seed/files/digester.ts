import type { Extent } from '../../data/extent';
import { blockCount, blocksOf, digestOf, isZeroBlock } from '../blocks';
import type { BlockDigests } from '../compare';

export interface Digested {
  readonly digests: BlockDigests;
  /** Bytes in blocks that are not all zeros. */
  readonly dataBytes: number;
}

/** Reads a disk to its end and gives the digest of each block; null for one that is all zeros or was left out. */
export async function digestDisk(
  extents: AsyncIterable<Extent>,
  sizeBytes: number,
  onBlock: (index: number) => void,
): Promise<Digested> {
  const digests: (string | null)[] = Array.from({ length: blockCount(sizeBytes) }, () => null);
  let dataBytes = 0;
  for await (const { index, data } of blocksOf(extents, sizeBytes)) {
    if (!isZeroBlock(data)) {
      digests[index] = digestOf(data);
      dataBytes += data.length;
    }
    onBlock(index);
  }
  return { digests, dataBytes };
}
