import type { Pool } from '../../../xapi';
import { canonical } from '../spelling';

/** What was found under a uuid or a name, or why not: as a sentence that lists what there is. */
export type Found =
  { readonly kind: 'found'; readonly uuid: string } | { readonly kind: 'not-found'; readonly why: string };

interface Named {
  readonly uuid: string;
  readonly name_label: string;
}

/** A storage repository that can hold disks, by uuid in any letter case, or by a name that only one bears. */
export async function findSr(pool: Pool, wanted: string, signal: AbortSignal): Promise<Found> {
  const all = Object.values(await pool.call('SR.get_all_records', [], { signal }));
  const found = find(`storage repository "${wanted}" on pool "${pool.name}"`, wanted, all);
  const record = all.find(({ uuid }) => found.kind === 'found' && uuid === found.uuid);
  if (record?.content_type !== 'iso') return found;
  return {
    kind: 'not-found',
    why: `Storage repository "${wanted}" on pool "${pool.name}" is an ISO library: it cannot hold disks of VMs.`,
  };
}

/** Checks several networks with one question to the pool. */
export async function networkFinder(pool: Pool, signal: AbortSignal): Promise<(wanted: string) => Found> {
  const all = Object.values(await pool.call('network.get_all_records', [], { signal }));
  return (wanted) => find(`network "${wanted}" on pool "${pool.name}"`, wanted, all);
}

function find(what: string, wanted: string, all: readonly Named[]): Found {
  const byUuid = all.find(({ uuid }) => canonical(uuid) === canonical(wanted));
  if (byUuid !== undefined) return { kind: 'found', uuid: byUuid.uuid };
  const [byName, ...others] = all.filter(({ name_label: name }) => name === wanted);
  if (byName === undefined) {
    const names = all.map(({ name_label: name }) => `"${name}"`).sort();
    return {
      kind: 'not-found',
      why: `There is no ${what}. There are: ${[...new Set(names)].join(', ') || 'none'}.`,
    };
  }
  if (others.length === 0) return { kind: 'found', uuid: byName.uuid };
  const uuids = [byName, ...others].map(({ uuid }) => uuid).join(', ');
  return { kind: 'not-found', why: `There is more than one ${what}. Name it by uuid: ${uuids}.` };
}
