import { createHash } from 'node:crypto';

/**
 * Seeded source of randomness: the same spec with the same seed gives the same uuids and refs in the same order, so
 * that a failing run can be repeated.
 */
export class Random {
  readonly #seed: string;
  #counter = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** How many values were drawn; kept in saved state, so that a restored pool does not repeat itself. */
  get position(): number {
    return this.#counter;
  }

  restore(position: number): void {
    this.#counter = position;
  }

  /** A lower-case uuid v4. */
  uuid(): string {
    const hex = this.#next().toString('hex');
    const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) % 4);
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `4${hex.slice(13, 16)}`,
      `${variant}${hex.slice(17, 20)}`,
      hex.slice(20, 32),
    ].join('-');
  }

  ref(): string {
    return `OpaqueRef:${this.uuid()}`;
  }

  /** A signed 63-bit number as text, for `generation_id`. */
  bigNumber(): string {
    return (this.#next().readBigInt64BE(0) / 2n || 1_000_003n).toString();
  }

  #next(): Buffer {
    this.#counter++;
    return createHash('md5').update(`${this.#seed}/${this.#counter}`).digest();
  }
}
