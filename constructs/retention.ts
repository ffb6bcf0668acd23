import { checkedInteger } from './checked';

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
  readonly sourceLatest?: number;
}

/** How many recovery points a replica keeps. The newest point that a delta can build on is never destroyed. */
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

  /** As the provider reads it. */
  toAttributes(): RetentionAttributes {
    return this.#attributes;
  }
}
