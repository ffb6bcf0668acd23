/** Who may begin to copy, where what is copied at once is bounded in several places: in each pool, and on each SR. */

export interface SlotNeed {
  readonly place: string;
  /** How many may work there at once by the limits of the run that asks; whose they are does not matter. */
  readonly most: number;
}

export interface SlotWaiter {
  /** Those of one run keep to one limit; others may have another. */
  readonly run: string;
  /** Each place once. */
  readonly needs: readonly SlotNeed[];
  /** Where it found no room so far. */
  readonly short: ReadonlySet<string>;
}

export interface SlotTurn {
  readonly begins: boolean;
  /** Where there was no room for it, now or before. */
  readonly short: ReadonlySet<string>;
}

/**
 * Goes through those who wait, in the order in which they came. Each takes a slot in every place that it needs or in none:
 * who held one and waited for another could wait for somebody who does the same the other way round.
 *
 * Who does not fit is passed by by others of its own run, whose work ends. Those of other runs do not begin in places where
 * it was short, or a run that allows fewer than the others would wait for as long as these have work; nor is it ever held up
 * by those that came after it.
 *
 * @param taken slots in use, by place, whoever uses them
 * @returns one for each that waits
 */
export function slotTurns(
  waiting: readonly SlotWaiter[],
  taken: ReadonlyMap<string, number>,
): readonly SlotTurn[] {
  const inUse = new Map(taken);
  const keptFor = new Map<string, Set<string>>();
  const isShort = (run: string, { place, most }: SlotNeed): boolean =>
    (inUse.get(place) ?? 0) >= most || [...(keptFor.get(place) ?? [])].some((other) => other !== run);
  return waiting.map(({ run, needs, short }) => {
    const now = needs.filter((need) => isShort(run, need)).map(({ place }) => place);
    if (now.length === 0) {
      for (const { place } of needs) inUse.set(place, (inUse.get(place) ?? 0) + 1);
      return { begins: true, short };
    }
    // A place stays kept once it was short: given away while another one is waited for, it could be short for ever.
    const all = new Set([...short, ...now]);
    for (const place of all) keptFor.set(place, (keptFor.get(place) ?? new Set()).add(run));
    return { begins: false, short: all };
  });
}
