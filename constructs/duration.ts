import { Token } from 'cdktf';
import { checkedInteger } from './checked';

const secondsPer = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;
const longest = { s: 31_536_000, m: 525_600, h: 8_760, d: 365 } as const;

type Unit = keyof typeof secondsPer;

/** A length of time with its unit: no number whose unit has to be guessed. */
export class Duration {
  /** @param amount whole seconds, 1 to 31536000 (a year) */
  static seconds(amount: number): Duration {
    return new Duration(amount, 's', 'Duration.seconds');
  }

  /** @param amount whole minutes, 1 to 525600 (a year) */
  static minutes(amount: number): Duration {
    return new Duration(amount, 'm', 'Duration.minutes');
  }

  /** @param amount whole hours, 1 to 8760 (a year) */
  static hours(amount: number): Duration {
    return new Duration(amount, 'h', 'Duration.hours');
  }

  /** @param amount whole days, 1 to 365 */
  static days(amount: number): Duration {
    return new Duration(amount, 'd', 'Duration.days');
  }

  readonly #amount: number;
  readonly #unit: Unit;

  private constructor(amount: number, unit: Unit, property: string) {
    this.#amount = checkedInteger(property, amount, {
      min: 1,
      max: longest[unit],
      because: 'no time at all is said by leaving it out, and a year is the longest an agent waits',
    });
    this.#unit = unit;
  }

  /** False where the amount is a token, known to Terraform only. */
  get isKnown(): boolean {
    return !Token.isUnresolved(this.#amount);
  }

  /** @throws where the amount is a token, known to Terraform only */
  toSeconds(): number {
    if (!this.isKnown) {
      throw new Error('A Duration made from a Terraform expression has no length before Terraform runs');
    }
    return this.#amount * secondsPer[this.#unit];
  }

  /** As the provider reads it: `30s`, `15m`, `2h`, `1d`. */
  toString(): string {
    const amount = this.isKnown ? String(this.#amount) : Token.asString(this.#amount);
    return `${amount}${this.#unit}`;
  }
}
