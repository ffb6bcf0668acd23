/** Which target network each card of the replica is put on: by the job's map alone, never by a guess. */
import type { JobDefinition } from './job';
import type { ObjectId, ObservedCard } from './observation';
import type { Conflict, PlannedCard } from './plan';

export interface CardPlan {
  readonly cards: readonly PlannedCard[];
  readonly conflicts: readonly Conflict[];
  readonly notes: readonly string[];
}

export function planCards(
  job: JobDefinition,
  cards: readonly ObservedCard[],
  networks: readonly ObjectId[],
): CardPlan {
  const planned: PlannedCard[] = [];
  const unmapped: ObjectId[] = [];
  const unknown: string[] = [];
  for (const card of cards) {
    const wanted = job.networkMap[card.network.uuid] ?? job.networkMap[card.network.name];
    const found = wanted === undefined ? sameNetwork(card, networks) : findNetwork(wanted, networks);
    if (found !== null) planned.push({ ...card, network: found });
    else if (wanted === undefined) unmapped.push(card.network);
    else unknown.push(wanted);
  }
  const omitted = job.onUnmappedNetwork === 'omit' ? unmapped : [];
  return {
    cards: planned,
    conflicts: [
      ...(unmapped.length > omitted.length
        ? [{ kind: 'network-unmapped', networks: unmapped } as const]
        : []),
      ...(unknown.length > 0 ? [{ kind: 'network-unknown', wanted: unknown } as const] : []),
    ],
    notes: omitted.map(
      ({ name, uuid }) => `network card on "${name}" (${uuid}) left out: the job maps it nowhere`,
    ),
  };
}

/** Within one pool a network is itself: no map is needed to say so. */
function sameNetwork(card: ObservedCard, networks: readonly ObjectId[]): ObjectId | null {
  return networks.find(({ uuid, ref }) => uuid === card.network.uuid && ref === card.network.ref) ?? null;
}

/** By uuid in any case, else by a name that only one network bears. */
function findNetwork(wanted: string, networks: readonly ObjectId[]): ObjectId | null {
  const byUuid = networks.find(({ uuid }) => uuid.toLowerCase() === wanted.toLowerCase());
  if (byUuid !== undefined) return byUuid;
  const byName = networks.filter(({ name }) => name === wanted);
  return byName.length === 1 ? (byName[0] ?? null) : null;
}
