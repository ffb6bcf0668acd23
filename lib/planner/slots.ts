/** Who may begin to copy, where what is copied at once is bounded in several places: in a pool, and on each SR. */

/** Places where somebody works, each with how many may at once. */
export type SlotLimits = (place: string) => number;

/**
 * Of those who wait, in the order in which they came, the ones that may begin now. Each takes a slot in every place that it
 * needs or in none: who held one and waited for another could wait for somebody who does the same the other way round. Who
 * does not fit is passed by; it is not passed by for ever, since the work of a run ends.
 *
 * @param waiting the places that each needs; a place is counted once
 * @param taken slots in use, by place
 * @returns positions in `waiting`, ascending
 */
export function mayBegin(
  waiting: readonly (readonly string[])[],
  taken: ReadonlyMap<string, number>,
  limits: SlotLimits,
): readonly number[] {
  const inUse = new Map(taken);
  return waiting.flatMap((needed, index) => {
    const places = [...new Set(needed)];
    if (places.some((place) => (inUse.get(place) ?? 0) >= limits(place))) return [];
    for (const place of places) inUse.set(place, (inUse.get(place) ?? 0) + 1);
    return [index];
  });
}
