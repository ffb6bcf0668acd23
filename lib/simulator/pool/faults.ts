/** What happens to a call or a transfer that a rule matches. */
export type FaultEffect =
  | { readonly kind: 'error'; readonly code: string; readonly params?: readonly string[] }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'stall'; readonly afterBytes: number }
  | { readonly kind: 'corrupt'; readonly atByte: number }
  | { readonly kind: 'lie' }
  | { readonly kind: 'late-failure' }
  | { readonly kind: 'error-page'; readonly afterBytes: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'linger'; readonly ms: number }
  | { readonly kind: 'after'; readonly effect: FaultEffect };

/** A rule as data: which calls or transfers, how many of them to let pass, how many to hit, and with what. */
export interface FaultRule {
  readonly match: {
    /** `VM.snapshot`; a leading `Async.` in the call is not looked at. */
    readonly method?: string;
    readonly transfer?: 'export' | 'import' | 'nbd';
    /** Ref, uuid or name of an object that the call names. */
    readonly object?: string;
    /** Name, uuid, ref or address of the host that got it. */
    readonly host?: string;
  };
  /** Matching calls that pass before the first hit. Default 0. */
  readonly skip?: number;
  /** Hits. Default 1. */
  readonly max?: number;
  readonly effect: FaultEffect;
}

/** What a rule has seen and done so far. */
export interface FaultCounter {
  readonly id: string;
  readonly rule: FaultRule;
  readonly seen: number;
  readonly hits: number;
}

/** A call or transfer as the rules see it. */
export interface FaultSite {
  readonly method?: string;
  readonly transfer?: 'export' | 'import' | 'nbd';
  readonly objects: readonly string[];
  readonly host: readonly string[];
}

interface Entry {
  readonly id: string;
  readonly rule: FaultRule;
  seen: number;
  hits: number;
}

/** The fault rules of a pool. */
export class Faults {
  readonly #entries: Entry[] = [];
  #lifted = new AbortController();
  #next = 1;

  /** Adds a rule; gives the id to remove it by. @throws Error when the rule says neither method nor transfer. */
  add(rule: FaultRule): string {
    if (rule.match.method === undefined && rule.match.transfer === undefined)
      throw new Error('a fault rule must match a method (match.method) or a transfer (match.transfer)');
    const id = `fault-${this.#next++}`;
    this.#entries.push({ id, rule, seen: 0, hits: 0 });
    return id;
  }

  /** @throws Error when there is no such rule. */
  remove(id: string): void {
    const at = this.#entries.findIndex((entry) => entry.id === id);
    if (at < 0) throw new Error(`there is no fault rule "${id}"; known: ${this.#ids()}`);
    this.#entries.splice(at, 1);
  }

  /** Ends what lasts, too: a transfer that hangs loses its connection, as when somebody restarts its host's services. */
  clear(): void {
    this.#entries.length = 0;
    this.#lifted.abort();
    this.#lifted = new AbortController();
  }

  /** Aborted at the next clearing. */
  get lifted(): AbortSignal {
    return this.#lifted.signal;
  }

  counters(): FaultCounter[] {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  /** The effect for what happens now, or null; uses up one count of its rule. */
  take(site: FaultSite): FaultEffect | null {
    for (const entry of this.#entries) {
      if (!matches(entry.rule, site)) continue;
      entry.seen++;
      if (entry.seen <= (entry.rule.skip ?? 0) || entry.hits >= (entry.rule.max ?? 1)) continue;
      entry.hits++;
      return entry.rule.effect;
    }
    return null;
  }

  #ids(): string {
    return this.#entries.map((entry) => entry.id).join(', ') || 'none';
  }
}

function matches({ match }: FaultRule, site: FaultSite): boolean {
  return (
    match.method === site.method &&
    match.transfer === site.transfer &&
    (match.object === undefined || site.objects.includes(match.object)) &&
    (match.host === undefined || site.host.includes(match.host))
  );
}
