import { checkedInteger, checkedTimeZone } from './checked';

/** How many snapshots stay on the source. */
export interface RetentionOptions {
  /**
   * Snapshots kept on the source besides the newest base of each target: 1 to 100. One is what the next delta needs;
   * every more costs space on the source as long as it stands.
   * @default 1
   */
  readonly sourceLatest?: number;
}

/** What a retention says to Terraform. */
export interface RetentionAttributes {
  readonly latest: number;
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly timeZone?: string;
  readonly sourceLatest?: number;
}

/**
 * Which recovery points a replica keeps: the newest ones, and of each of the last hours, days, weeks and months the
 * newest one. The newest point that a delta can build on is never destroyed.
 *
 *     Retention.latest(4).hourly(6).daily(7).weekly(4).inTimeZone('Europe/Berlin')
 */
export class Retention {
  /**
   * Keeps the newest recovery points.
   *
   *     Retention.latest(7)
   *
   * @param count recovery points per replica, 1 to 100
   */
  static latest(count: number, { sourceLatest }: RetentionOptions = {}): Retention {
    const latest = checkedInteger('Retention.latest', count, {
      min: 1,
      max: 100,
      because: 'one point must stay to recover from, and each point adds a layer to the chain of every disk',
    });
    if (sourceLatest === undefined) return new Retention({ latest });
    checkedInteger('sourceLatest of Retention.latest', sourceLatest, {
      min: 1,
      max: 100,
      because: 'the next delta needs the newest snapshot, and each more holds space on the source',
    });
    return new Retention({ latest, sourceLatest });
  }

  readonly #attributes: RetentionAttributes;

  private constructor(attributes: RetentionAttributes) {
    this.#attributes = attributes;
  }

  /** Keeps besides the newest point of each of the last hours in which there is one. @param count 0 to 100 */
  hourly(count: number): Retention {
    return this.#with('hourly', count);
  }

  /** Keeps besides the newest point of each of the last days in which there is one. @param count 0 to 100 */
  daily(count: number): Retention {
    return this.#with('daily', count);
  }

  /** Keeps besides the newest point of each of the last weeks, from Monday, in which there is one. @param count 0 to 100 */
  weekly(count: number): Retention {
    return this.#with('weekly', count);
  }

  /** Keeps besides the newest point of each of the last months in which there is one. @param count 0 to 100 */
  monthly(count: number): Retention {
    return this.#with('monthly', count);
  }

  /** Where days, weeks and months begin; UTC unless told. @param timeZone an IANA name such as `Europe/Berlin` */
  inTimeZone(timeZone: string): Retention {
    checkedTimeZone('timeZone of Retention', timeZone);
    return new Retention({ ...this.#attributes, timeZone });
  }

  /** As the provider reads it. */
  toAttributes(): RetentionAttributes {
    return this.#attributes;
  }

  #with(tier: 'hourly' | 'daily' | 'weekly' | 'monthly', count: number): Retention {
    checkedInteger(`Retention.${tier}`, count, {
      min: 0,
      max: 100,
      because: 'each point adds a layer to the chain of every disk',
    });
    return new Retention({ ...this.#attributes, [tier]: count });
  }
}
