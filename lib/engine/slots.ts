/** Lets work begin where there is room in every place that it needs: all of them at once, or none. */
import { slotTurns } from '../planner/slots';
import type { PlaceUse, SlotNeed, SlotWaiter } from '../planner/slots';

interface Waiting extends SlotWaiter {
  readonly begin: () => void;
}

/** Shared by runs, each of which says how many of its own may work in a place at once. */
export class Slots {
  readonly #uses = new Map<string, Use>();
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
      this.#count(own, -1);
      this.#admit();
    }
  }

  /** Whether work of that run that needs these places has to wait now. */
  areFull(run: string, needs: readonly SlotNeed[]): boolean {
    return slotTurns([...this.#waiting, waiterOf(run, needs)], this.#uses).at(-1)?.begins === false;
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
      for (const { place, most } of own.needs) {
        const use = this.#use(place);
        use.largest = Math.max(use.largest, most);
      }
      this.#admit();
    });
  }

  #admit(): void {
    const turns = slotTurns(this.#waiting, this.#uses);
    const all = this.#waiting.map((one, index) => ({ one, turn: turns[index] }));
    this.#waiting = all.flatMap(({ one, turn }) =>
      turn?.begins === true ? [] : [{ ...one, short: turn?.short ?? one.short }],
    );
    for (const { one, turn } of all) {
      if (turn?.begins !== true) continue;
      this.#count(one, 1);
      one.begin();
    }
    this.#forgetEmpty();
  }

  #count({ run, needs }: SlotWaiter, by: number): void {
    for (const { place } of needs) {
      const { atWork } = this.#use(place);
      const count = (atWork.get(run) ?? 0) + by;
      if (count === 0) atWork.delete(run);
      else atWork.set(run, count);
    }
  }

  #use(place: string): Use {
    const use = this.#uses.get(place) ?? { atWork: new Map<string, number>(), largest: 0 };
    this.#uses.set(place, use);
    return use;
  }

  /** Where nobody is at work or waits, the limits of those who were there say nothing any more. */
  #forgetEmpty(): void {
    const waitedFor = new Set(this.#waiting.flatMap(({ needs }) => needs.map(({ place }) => place)));
    for (const [place, { atWork }] of this.#uses)
      if (atWork.size === 0 && !waitedFor.has(place)) this.#uses.delete(place);
  }
}

interface Use extends PlaceUse {
  readonly atWork: Map<string, number>;
  largest: number;
}

function waiterOf(run: string, needs: readonly SlotNeed[]): SlotWaiter {
  const byPlace = new Map(needs.map(({ place, most }) => [place, Math.max(1, most)]));
  return { run, needs: [...byPlace].map(([place, most]) => ({ place, most })), short: new Set() };
}
