/** A piece of a disk. Both ends are multiples of 512 bytes. */
export interface Extent {
  readonly offsetBytes: number;
  readonly data: Uint8Array;
  /** How many bytes before `data`, in the same memory, nobody needs any more. */
  readonly roomBytes?: number;
}

/** Where the changed content of a disk comes from. */
export interface DiskReader {
  readonly sizeBytes: number;
  /** Upper bound of what `extents` yields: known from the stream's table before the first byte of data. */
  readonly changedBytes: number;
  /** Bytes that came over the wire so far. */
  readonly bytesRead: number;
  /**
   * Ascending, not overlapping. To be iterated once; stopping early closes the transfer. The bytes of one are only there
   * until the next is asked for.
   */
  extents(): AsyncIterable<Extent>;
  /** After the last extent: the other side's own verdict. Without it nothing that was read counts. */
  finish(): Promise<void>;
  /** Ends the transfer at once; idempotent, never throws. */
  abort(): Promise<void>;
}
