/** What storage stands in the way with, in words and figures: no space, or no room in a chain. */
import type { ObjectId } from './observation';
import type { Conflict, DeferredPlan } from './plan';
import { reservedTotal } from './reservations';
import type { ReservedSpace } from './reservations';

/** A job may have hundreds of VMs. */
const holdersNamed = 3;

export interface Described {
  readonly message: string;
  readonly hint: string;
}

export function describeNoSpace(conflict: Extract<Conflict, { kind: 'no-space' }>): Described {
  const parts = conflict.parts.map(({ device, bytes }) => `disk ${device} ${gib(bytes)}`);
  const { reserved } = conflict;
  // What is too little without them is no matter of the others; what they give back at their end may be enough all the same.
  const isTheirs = reserved.length > 0 && conflict.needBytes <= conflict.freeBytes;
  const taken = isTheirs
    ? `, of which others need ${gib(reservedTotal(reserved))} (${holders(reserved)})`
    : '';
  const free = `${gib(conflict.freeBytes)} free${taken}, this ${reserved.length === 0 ? 'run' : 'VM'} needs`;
  const who = isTheirs ? 'they' : `others (${holders(reserved)})`;
  const wait = reserved.length === 0 ? '' : `run again when ${who} are done; or `;
  return {
    message:
      `${conflict.side} SR ${quoted(conflict.sr)} has ${free} ` +
      `${gib(conflict.needBytes)}: ${parts.join(', ')}`,
    hint:
      conflict.side === 'target'
        ? `${wait}free space on that SR, keep fewer recovery points, or give the job another target_sr`
        : 'free space on that SR: the snapshot that a run takes needs some',
  };
}

/** Whoever is waited for is named, the largest first. */
function holders(reserved: readonly ReservedSpace[]): string {
  const named = [...reserved]
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, holdersNamed)
    .map(({ job, vm, bytes }) => {
      const run = job === null ? 'of this run' : `of job "${job.name}" (${job.id})`;
      return `VM "${vm.name}" ${run} ${gib(bytes)}`;
    });
  const more = reserved.length - named.length;
  return [...named, ...(more > 0 ? [`${String(more)} more`] : [])].join(', ');
}

/** Why a run waits, for which disk, with the figures; and what makes the chain shorter. */
export function describeDeferral({ chains, steps }: DeferredPlan): Described {
  const told = chains.map(
    ({ side, device, disk, layers, layersMax, mergesPending, sr }) =>
      `the chain of ${side} disk ${device} ${quoted(disk)} on SR ${quoted(sr)} has ${String(layers)} layers of at most ` +
      `${String(layersMax)}, ${String(mergesPending)} of them about to be merged`,
  );
  const merging = 'the storage merges layers by itself, which takes a while: run again later';
  if (steps.length > 0 || chains.every(({ mergesPending }) => mergesPending > 0))
    return { message: told.join('; '), hint: merging };
  const remedies = [
    ...(chains.some(({ side }) => side === 'source') ? ['delete snapshots of the VM that nobody needs'] : []),
    ...(chains.some(({ side }) => side === 'target') ? ['keep fewer recovery points'] : []),
  ];
  return { message: told.join('; '), hint: `${remedies.join(' and ')}; ${merging}` };
}

export function quoted({ name, uuid }: ObjectId): string {
  return `"${name}" (${uuid})`;
}

export function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
}
