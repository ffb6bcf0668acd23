/** Lets work begin where there is room in every place that it needs: all of them at once, or none. */
import { slotTurns } from '../planner/slots';
import type { SlotNeed, SlotWaiter } from '../planner/slots';

interface Waiting extends SlotWaiter {
  readonly begin: () => void;
}

/** Shared by runs, each of which says how many may work in a place when one of its own begins there. */
export class Slots {
  readonly #taken = new Map<string, number>();
  #waiting: readonly Waiting[] = [];

  /**
   * Runs `work` once each place has a slot for it. Rejects with the signal's reason where that is aborted before.
   *
   * @param needs below 1 counts as 1, or nothing there would ever begin
   */
  async run<T>(
    run: string,
    needs: readonly SlotNeed[],
    work: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const own = waiterOf(run, needs);
    await this.#turnOf(own, signal);
    try {
      return await work();
    } finally {
      for (const { place } of own.needs) this.#add(place, -1);
      this.#admit();
    }
  }

  /** Whether work of that run that needs these places has to wait now. */
  areFull(run: string, needs: readonly SlotNeed[]): boolean {
    return slotTurns([...this.#waiting, waiterOf(run, needs)], this.#taken).at(-1)?.begins === false;
  }

  /** Who is told to stop leaves the line at once: those behind, of other runs too, must not wait for it. */
  async #turnOf(own: SlotWaiter, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting = this.#waiting.filter((one) => one.begin !== begin);
        reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
        this.#admit();
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting = [...this.#waiting, { ...own, begin }];
      this.#admit();
    });
  }

  #admit(): void {
    const turns = slotTurns(this.#waiting, this.#taken);
    const all = this.#waiting.map((one, index) => ({ one, turn: turns[index] }));
    this.#waiting = all.flatMap(({ one, turn }) =>
      turn?.begins === true ? [] : [{ ...one, short: turn?.short ?? one.short }],
    );
    for (const { one, turn } of all) {
      if (turn?.begins !== true) continue;
      for (const { place } of one.needs) this.#add(place, 1);
      one.begin();
    }
  }

  #add(place: string, count: number): void {
    const inUse = (this.#taken.get(place) ?? 0) + count;
    if (inUse === 0) this.#taken.delete(place);
    else this.#taken.set(place, inUse);
  }
}

function waiterOf(run: string, needs: readonly SlotNeed[]): SlotWaiter {
  const byPlace = new Map(needs.map(({ place, most }) => [place, Math.max(1, most)]));
  return { run, needs: [...byPlace].map(([place, most]) => ({ place, most })), short: new Set() };
}
