import { Op, Token } from 'cdktf';

/** How fast bytes may travel, with its unit: megabits of a line and mebibytes of a disk are easily mistaken. */
export class DataRate {
  /** @param amount 1,048,576 bytes per second each; parts of one are allowed */
  static mebibytesPerSecond(amount: number): DataRate {
    return new DataRate(amount, 1_048_576, 'DataRate.mebibytesPerSecond');
  }

  /** As lines are sold. @param amount 125,000 bytes per second each; parts of one are allowed */
  static megabitsPerSecond(amount: number): DataRate {
    return new DataRate(amount, 125_000, 'DataRate.megabitsPerSecond');
  }

  /** @param amount whole bytes per second */
  static bytesPerSecond(amount: number): DataRate {
    return new DataRate(amount, 1, 'DataRate.bytesPerSecond');
  }

  readonly #bytesPerSecond: number;

  private constructor(amount: number, unitBytes: number, property: string) {
    if (Token.isUnresolved(amount)) {
      const bytes = unitBytes === 1 ? amount : Token.asNumber(Op.mul(amount, unitBytes));
      this.#bytesPerSecond = bytes;
      return;
    }
    const bytes = Math.round(amount * unitBytes);
    if (!(bytes >= 1 && bytes <= 2 ** 40)) {
      throw new Error(
        `${property} must give between one byte and 1 TiB per second, not ${amount}: ` +
          'leave the limit out for none; to stop a job, disable it',
      );
    }
    this.#bytesPerSecond = bytes;
  }

  /** As the provider reads it; a token where only Terraform knows it. */
  toBytesPerSecond(): number {
    return this.#bytesPerSecond;
  }
}
