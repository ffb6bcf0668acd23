/** Which target network each card of the replica is put on: by the job's map alone, never by a guess. */
import type { JobDefinition } from './job';
import { sameUuid } from './keys';
import type { ObjectId, ObservedCard } from './observation';
import type { Conflict, PlannedCard } from './plan';

export interface CardPlan {
  readonly cards: readonly PlannedCard[];
  readonly conflicts: readonly Conflict[];
  readonly notes: readonly string[];
}

/** What the map says of one source network. */
type Mapping =
  | { readonly kind: 'to'; readonly wanted: string }
  | { readonly kind: 'nowhere' }
  /** The map names it by a name that other source networks bear too: it may mean any of them. */
  | { readonly kind: 'ambiguous' };

export function planCards(
  job: JobDefinition,
  cards: readonly ObservedCard[],
  sourceNetworks: readonly ObjectId[],
  targetNetworks: readonly ObjectId[],
): CardPlan {
  const planned: PlannedCard[] = [];
  const unmapped: ObjectId[] = [];
  const ambiguous: ObjectId[] = [];
  const unknown: string[] = [];
  for (const card of cards) {
    const mapping = mappingOf(job, card.network, sourceNetworks);
    if (mapping.kind === 'ambiguous') {
      ambiguous.push(card.network);
      continue;
    }
    const found =
      mapping.kind === 'to' ? findNetwork(mapping.wanted, targetNetworks) : sameNetwork(card, targetNetworks);
    if (found !== null) planned.push({ ...card, network: found });
    else if (mapping.kind === 'to') unknown.push(mapping.wanted);
    else unmapped.push(card.network);
  }
  const omitted = job.onUnmappedNetwork === 'omit' ? unmapped : [];
  return {
    cards: planned,
    conflicts: [
      ...(unmapped.length > omitted.length
        ? [{ kind: 'network-unmapped', networks: unmapped } as const]
        : []),
      ...(unknown.length > 0 ? [{ kind: 'network-unknown', wanted: unknown } as const] : []),
      ...(ambiguous.length > 0 ? [{ kind: 'network-ambiguous', networks: ambiguous } as const] : []),
    ],
    notes: omitted.map(
      ({ name, uuid }) => `network card on "${name}" (${uuid}) left out: the job maps it nowhere`,
    ),
  };
}

/** By uuid in any case, else by a name that only one network of the source pool bears. */
function mappingOf(job: JobDefinition, network: ObjectId, sourceNetworks: readonly ObjectId[]): Mapping {
  const entries = Object.entries(job.networkMap);
  const byUuid = entries.find(([key]) => sameUuid(key, network.uuid));
  if (byUuid !== undefined) return { kind: 'to', wanted: byUuid[1] };
  const byName = entries.find(([key]) => key === network.name);
  if (byName === undefined) return { kind: 'nowhere' };
  const bearers = sourceNetworks.filter(({ name }) => name === network.name);
  return bearers.length > 1 ? { kind: 'ambiguous' } : { kind: 'to', wanted: byName[1] };
}

/** Within one pool a network is itself: no map is needed to say so. */
function sameNetwork(card: ObservedCard, networks: readonly ObjectId[]): ObjectId | null {
  return networks.find(({ uuid, ref }) => uuid === card.network.uuid && ref === card.network.ref) ?? null;
}

/** By uuid in any case, else by a name that only one network bears. */
function findNetwork(wanted: string, networks: readonly ObjectId[]): ObjectId | null {
  const byUuid = networks.find(({ uuid }) => sameUuid(uuid, wanted));
  if (byUuid !== undefined) return byUuid;
  const byName = networks.filter(({ name }) => name === wanted);
  return byName.length === 1 ? (byName[0] ?? null) : null;
}
