export const sectorBytes = 512;

/** Largest disk that the format can describe: 2040 GiB. */
export const sizeBytesMax = 2040 * 2 ** 30;

/** Cylinders, heads and sectors per track, as an old BIOS would see the disk. */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

const sectorsMax = 65535 * 16 * 255;

/**
 * The geometry that the VHD specification prescribes for a disk size. It describes at most the disk's size and
 * often a little less: readers that take the size from it cut the disk short.
 */
export function geometry(sizeBytes: number): Geometry {
  const sectors = Math.min(Math.floor(sizeBytes / sectorBytes), sectorsMax);
  const { heads, sectorsPerTrack } = tracks(sectors);
  return { cylinders: Math.floor(Math.floor(sectors / sectorsPerTrack) / heads), heads, sectorsPerTrack };
}

/** Tries tracks of growing length until the cylinders fit in their field, in the order of the specification. */
function tracks(sectors: number): { heads: number; sectorsPerTrack: number } {
  if (sectors >= 65535 * 16 * 63) {
    return { heads: 16, sectorsPerTrack: 255 };
  }
  const tracksOf17 = Math.floor(sectors / 17);
  const headsOf17 = Math.max(4, Math.ceil(tracksOf17 / 1024));
  if (headsOf17 <= 16 && tracksOf17 < headsOf17 * 1024) {
    return { heads: headsOf17, sectorsPerTrack: 17 };
  }
  if (Math.floor(sectors / 31) < 16 * 1024) {
    return { heads: 16, sectorsPerTrack: 31 };
  }
  return { heads: 16, sectorsPerTrack: 63 };
}
