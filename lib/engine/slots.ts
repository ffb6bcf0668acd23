/** Lets work begin where there is room in every place that it needs: all of them at once, or none. */
import { mayBegin } from '../planner/slots';
import type { SlotLimits } from '../planner/slots';

interface Waiting {
  readonly places: readonly string[];
  readonly begin: () => void;
}

export class Slots {
  readonly #limits: SlotLimits;
  readonly #taken = new Map<string, number>();
  #waiting: readonly Waiting[] = [];

  /** @param limits how many may work in a place at once; below 1 counts as 1, or nothing there would ever begin */
  constructor(limits: SlotLimits) {
    this.#limits = (place) => Math.max(1, limits(place));
  }

  /** Runs `work` once each place has a slot for it. Rejects with the signal's reason where that is aborted before. */
  async run<T>(places: readonly string[], work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const own = [...new Set(places)];
    await new Promise<void>((begin) => {
      this.#waiting = [...this.#waiting, { places: own, begin }];
      this.#admit();
    });
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      for (const place of own) this.#add(place, -1);
      this.#admit();
    }
  }

  /** Whether work that needs these places has to wait now. */
  areFull(places: readonly string[]): boolean {
    return mayBegin([places], this.#taken, this.#limits).length === 0;
  }

  #admit(): void {
    const chosen = new Set(
      mayBegin(
        this.#waiting.map(({ places }) => places),
        this.#taken,
        this.#limits,
      ),
    );
    const begun = this.#waiting.filter((_one, index) => chosen.has(index));
    this.#waiting = this.#waiting.filter((_one, index) => !chosen.has(index));
    for (const { places, begin } of begun) {
      for (const place of places) this.#add(place, 1);
      begin();
    }
  }

  #add(place: string, count: number): void {
    this.#taken.set(place, (this.#taken.get(place) ?? 0) + count);
  }
}
