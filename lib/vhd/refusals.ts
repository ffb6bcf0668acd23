import { VhdError } from './errors';
import { type Footer, refuseSize } from './footer';
import { sectorBytes } from './geometry';
import { blockSizeBytesDefault, type Header } from './header';
import { blockCountOf, tableEntriesMaxLimit } from './table';

/** Refuses settings of a decoder that no stream could satisfy. */
export function refuseSettings(expectSizeBytes: number | undefined, tableEntriesMax: number): void {
  if (expectSizeBytes !== undefined) {
    refuseSize(expectSizeBytes, 0);
  }
  if (!(tableEntriesMax > 0 && tableEntriesMax <= tableEntriesMaxLimit)) {
    throw new VhdError(
      'bad-input',
      0,
      `Cannot decode with maxTableEntries = ${tableEntriesMax}: expected 1 to ${tableEntriesMaxLimit}`,
    );
  }
}

/** Refuses an image of another disk's size, unless it is the expected one rounded up to 2 MiB. */
export function refuseOtherSize(sizeBytes: number, expectSizeBytes: number, offsetBytes: number): void {
  const rounded = Math.ceil(expectSizeBytes / blockSizeBytesDefault) * blockSizeBytesDefault;
  if (sizeBytes !== expectSizeBytes && sizeBytes !== rounded) {
    throw new VhdError(
      'size-mismatch',
      offsetBytes,
      `The VHD holds a disk of ${sizeBytes} bytes, expected one of ${expectSizeBytes} bytes`,
    );
  }
}

/** Refuses a block table that is too short for its disk, or too long for the memory it may take. */
export function refuseTableLength(
  { tableEntries, blockSizeBytes }: Header,
  sizeBytes: number,
  tableEntriesMax: number,
  offsetBytes: number,
): void {
  const entriesMin = blockCountOf(sizeBytes, blockSizeBytes);
  if (tableEntries < entriesMin || tableEntries > tableEntriesMax) {
    throw new VhdError(
      'bad-table',
      offsetBytes,
      `Cannot read a VHD block table of ${tableEntries} entries: a disk of ${sizeBytes} bytes needs ${entriesMin}, and the limit set here is ${tableEntriesMax}`,
    );
  }
}

/** Refuses a given stream length that cannot hold what the image says it holds. */
export function refuseLength(lengthBytes: number, neededBytes: number): void {
  if (lengthBytes % sectorBytes === sectorBytes - 1 && lengthBytes >= neededBytes - 1) {
    throw oldFooter(lengthBytes - sectorBytes + 1);
  }
  if (lengthBytes < neededBytes || lengthBytes % sectorBytes !== 0) {
    throw new VhdError(
      'truncated',
      lengthBytes,
      `The VHD is cut short: it is ${lengthBytes} bytes long, expected at least ${neededBytes} and a multiple of 512`,
    );
  }
}

/** Refuses a last footer that is good but belongs to another image: two files were joined. */
export function refuseOtherFooter(last: Footer, first: Footer, offsetBytes: number): void {
  for (const field of ['diskType', 'sizeBytes', 'uniqueId', 'headerOffsetBytes'] as const) {
    if (last[field] !== first[field]) {
      throw new VhdError(
        'footer-mismatch',
        offsetBytes,
        `The last footer of the VHD says ${field} ${String(last[field])}, the first one ${String(first[field])}`,
      );
    }
  }
}

/** Refuses the only footer of a fixed disk where it does not describe the bytes before it. */
export function refuseOtherBody(footer: Footer, offsetBytes: number): void {
  if (footer.diskType !== 'fixed') {
    throw new VhdError(
      'footer-mismatch',
      offsetBytes,
      `Cannot read the VHD: its last footer says that it is ${footer.diskType}, but it does not start with a footer`,
    );
  }
  if (footer.sizeBytes !== offsetBytes) {
    throw new VhdError(
      'size-mismatch',
      offsetBytes,
      `Cannot read the fixed VHD: its footer says ${footer.sizeBytes} bytes, but ${offsetBytes} come before it`,
    );
  }
}

export function oldFooter(offsetBytes: number): VhdError {
  return new VhdError(
    'old-footer',
    offsetBytes,
    'Cannot read a VHD that ends with a footer of 511 bytes: it was made by Virtual PC before 2004, or its last byte is missing',
  );
}
