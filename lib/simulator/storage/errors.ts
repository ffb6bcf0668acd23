/** The store cannot hold `neededBytes` more. */
export class NoSpaceError extends Error {
  override readonly name = 'NoSpaceError';
  constructor(
    readonly neededBytes: number,
    readonly freeBytes: number,
  ) {
    super(`no space: ${neededBytes} bytes needed, ${freeBytes} free`);
  }
}

/** No image of that name is in the store, or its data was destroyed. */
export class ImageMissingError extends Error {
  override readonly name = 'ImageMissingError';
  constructor(readonly id: string) {
    super(`no image ${id} in this store`);
  }
}

/** A read or write behind the end of the disk. */
export class OutOfRangeError extends Error {
  override readonly name = 'OutOfRangeError';
  constructor(id: string, offset: number, length: number, sizeBytes: number) {
    super(`image ${id}: bytes ${offset} to ${offset + length} are beyond its size of ${sizeBytes}`);
  }
}

/** `same` and `unrelated`: the pair has no difference to list; `no-log`: tracking is or was off for one of them. */
export class CbtError extends Error {
  override readonly name = 'CbtError';
  constructor(readonly reason: 'same' | 'unrelated' | 'no-log') {
    super(`changed blocks cannot be listed: ${reason}`);
  }
}

/** A file in the store is not a VHD that this store can have written. */
export class BrokenImageError extends Error {
  override readonly name = 'BrokenImageError';
}
