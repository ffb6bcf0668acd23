/** Who may begin to copy, where what is copied at once is bounded in several places: in each pool, and on each SR. */

export interface SlotNeed {
  readonly place: string;
  /** How many of the run that asks may work there at once. */
  readonly most: number;
}

export interface SlotWaiter {
  /** Those of one run keep to one limit; others may have another. */
  readonly run: string;
  /** Each place once. */
  readonly needs: readonly SlotNeed[];
  /** Where it found all slots taken so far. */
  readonly short: ReadonlySet<string>;
}

/** A place where somebody is at work, or waits. */
export interface PlaceUse {
  /** How many are at work, by run. */
  readonly atWork: ReadonlyMap<string, number>;
  /** The largest limit of all who worked or waited there since nobody did: as many slots has the place. */
  readonly largest: number;
}

export interface SlotTurn {
  readonly begins: boolean;
  /** Where all slots were taken, now or before. */
  readonly short: ReadonlySet<string>;
}

/**
 * Goes through those who wait, in the order in which they came. Each takes a slot in every place that it needs or in none:
 * who held one and waited for another could wait for somebody who does the same the other way round.
 *
 * A run has no more at work in a place than its own limit allows, and all together no more than the largest of theirs. So who
 * allows few neither waits until nobody else is at work, which may never be, nor has others wait for that.
 *
 * Who does not fit is passed by by others. A place in which it found no slot keeps the next one for it against other runs:
 * given away while another place is waited for, it could be short for ever. One for each run and place, no more, or a run
 * that waits for one SR would have the whole pool wait; and none while its own run is at its limit.
 *
 * @param uses by place; absent where nobody is at work
 * @returns one for each that waits
 */
export function slotTurns(
  waiting: readonly SlotWaiter[],
  uses: ReadonlyMap<string, PlaceUse>,
): readonly SlotTurn[] {
  const places = placesOf(waiting, uses);
  return waiting.map(({ run, needs, short }) => {
    const used = needs.map((need) => ({ ...need, at: placeIn(places, need.place) }));
    if (used.some(({ most, at }) => (at.atWork.get(run) ?? 0) >= most)) return { begins: false, short };
    const now = used.filter(({ at }) => isFull(at, run)).map(({ place }) => place);
    if (now.length === 0) {
      for (const { at } of used) at.atWork.set(run, (at.atWork.get(run) ?? 0) + 1);
      return { begins: true, short };
    }
    const all = new Set([...short, ...now]);
    for (const place of all) placeIn(places, place).keptFor.add(run);
    return { begins: false, short: all };
  });
}

interface Place {
  readonly atWork: Map<string, number>;
  readonly keptFor: Set<string>;
  slots: number;
}

function placesOf(waiting: readonly SlotWaiter[], uses: ReadonlyMap<string, PlaceUse>): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [place, { atWork, largest }] of uses)
    places.set(place, { atWork: new Map(atWork), keptFor: new Set(), slots: largest });
  for (const { place, most } of waiting.flatMap(({ needs }) => needs)) {
    const at = placeIn(places, place);
    at.slots = Math.max(at.slots, most);
  }
  return places;
}

function placeIn(places: Map<string, Place>, place: string): Place {
  const at = places.get(place) ?? { atWork: new Map<string, number>(), keptFor: new Set<string>(), slots: 0 };
  places.set(place, at);
  return at;
}

function isFull({ atWork, keptFor, slots }: Place, run: string): boolean {
  const taken = [...atWork.values()].reduce((total, count) => total + count, 0);
  return taken + keptFor.size - (keptFor.has(run) ? 1 : 0) >= slots;
}
