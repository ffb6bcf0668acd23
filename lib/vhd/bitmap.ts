/** Sectors of one kind in a row: all present, or all absent. */
export interface SectorRun {
  readonly isPresent: boolean;
  /** First sector after the run, counted from the block's start. */
  readonly endSector: number;
}

/** Which sectors of a block the file holds; the first sector is the highest bit of the first byte. */
export class SectorBitmap {
  readonly #bytes: Uint8Array;
  readonly #isFull: boolean;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#isFull = bytes.every((byte) => byte === 0xff);
  }

  /** The run that starts at a sector and ends at the latest before `endSector`. */
  runAt(sector: number, endSector: number): SectorRun {
    if (this.#isFull) {
      return { isPresent: true, endSector };
    }
    const isPresent = this.#has(sector);
    let end = sector + 1;
    while (end < endSector && this.#has(end) === isPresent) {
      end += 1;
    }
    return { isPresent, endSector: end };
  }

  #has(sector: number): boolean {
    return ((this.#bytes[sector >> 3] ?? 0) & (0x80 >> (sector & 7))) !== 0;
  }
}

/** A bitmap in which the first sectors, as many as given, are present and the others are not. */
export function leadingSectors(sectorCount: number, bitmapBytes: number): Uint8Array {
  const bytes = new Uint8Array(bitmapBytes);
  bytes.fill(0xff, 0, sectorCount >> 3);
  if ((sectorCount & 7) !== 0) {
    bytes[sectorCount >> 3] = 0xff & (0xff00 >> (sectorCount & 7));
  }
  return bytes;
}
