import { Token } from 'cdktf';
import { checkedInteger } from './checked';

const minutesPer = { m: 1, h: 60, d: 24 * 60 } as const;
const longest = { m: 525_600, h: 8_760, d: 365 } as const;

type Unit = keyof typeof minutesPer;

/** A length of time with its unit: no number whose unit has to be guessed. */
export class Duration {
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
      because: 'the agent looks at its schedules once a minute, and a year is the longest it waits',
    });
    this.#unit = unit;
  }

  /** @throws where the amount is a token, known to Terraform only */
  toMinutes(): number {
    if (Token.isUnresolved(this.#amount)) {
      throw new Error('A Duration made from a Terraform expression has no length before Terraform runs');
    }
    return this.#amount * minutesPer[this.#unit];
  }

  /** As the provider reads it: `15m`, `2h`, `1d`. */
  toString(): string {
    const amount = Token.isUnresolved(this.#amount) ? Token.asString(this.#amount) : String(this.#amount);
    return `${amount}${this.#unit}`;
  }
}
