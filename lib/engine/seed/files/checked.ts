/** What is read from a file must be what was exported: each block is compared with its digest before it is sent on. */
import type { DiskReader, Extent } from '../../data/extent';
import { blocksOf, digestOf, isZeroBlock, seedBlockBytes } from '../blocks';
import type { BlockDigests } from '../compare';
import { seedFileError } from '../errors';

export function checked(reader: DiskReader, digests: BlockDigests, name: string): DiskReader {
  let complete = false;
  async function* extents(): AsyncGenerator<Extent> {
    let next = 0;
    for await (const { index, data } of blocksOf(reader.extents(), reader.sizeBytes)) {
      for (; next < index; next += 1) assertZero(digests, next, name);
      const found = isZeroBlock(data) ? null : digestOf(data);
      if (found !== (digests[index] ?? null)) throw changed(index, name);
      next = index + 1;
      yield { offsetBytes: index * seedBlockBytes, data };
    }
    for (; next < digests.length; next += 1) assertZero(digests, next, name);
    complete = true;
  }
  return {
    sizeBytes: reader.sizeBytes,
    changedBytes: reader.changedBytes,
    get bytesRead() {
      return reader.bytesRead;
    },
    extents,
    finish: async () => {
      if (!complete) throw seedFileError(`${name} was not read to its end`, 'try again');
      await reader.finish();
    },
    abort: () => reader.abort(),
  };
}

function assertZero(digests: BlockDigests, index: number, name: string): void {
  if ((digests[index] ?? null) !== null) throw changed(index, name);
}

function changed(index: number, name: string): Error {
  return seedFileError(
    `${name} is not what was exported: the 2 MiB at ${String(index * seedBlockBytes)} differ from their digest`,
    'the file was damaged or changed on its way: copy it again',
  );
}
