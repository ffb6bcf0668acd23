import type { DiskReader, Extent } from './extent';

type Extents = AsyncIterable<Extent>;

/** The same reader, whose extents pass through something on their way. */
export function through(reader: DiskReader, pass: (extents: Extents) => Extents): DiskReader {
  return new ForwardingReader(reader, pass);
}

class ForwardingReader implements DiskReader {
  readonly #reader: DiskReader;
  readonly #pass: (extents: Extents) => Extents;

  constructor(reader: DiskReader, pass: (extents: Extents) => Extents) {
    this.#reader = reader;
    this.#pass = pass;
  }

  get sizeBytes(): number {
    return this.#reader.sizeBytes;
  }

  get changedBytes(): number {
    return this.#reader.changedBytes;
  }

  get bytesRead(): number {
    return this.#reader.bytesRead;
  }

  extents(): Extents {
    return this.#pass(this.#reader.extents());
  }

  finish(): Promise<void> {
    return this.#reader.finish();
  }

  abort(): Promise<void> {
    return this.#reader.abort();
  }
}
