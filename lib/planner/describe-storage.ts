/** What storage stands in the way with, in words and figures: no space, or no room in a chain. */
import type { ObjectId } from './observation';
import type { Conflict, DeferredPlan } from './plan';

export interface Described {
  readonly message: string;
  readonly hint: string;
}

export function describeNoSpace(conflict: Extract<Conflict, { kind: 'no-space' }>): Described {
  const parts = conflict.parts.map(({ device, bytes }) => `disk ${device} ${gib(bytes)}`);
  const { reservedBytes } = conflict;
  const free =
    reservedBytes === 0
      ? `${gib(conflict.freeBytes)} free, this run needs`
      : `${gib(conflict.freeBytes)} free, of which other VMs of this run need ${gib(reservedBytes)}, this VM needs`;
  return {
    message:
      `${conflict.side} SR ${quoted(conflict.sr)} has ${free} ` +
      `${gib(conflict.needBytes)}: ${parts.join(', ')}`,
    hint:
      conflict.side === 'target'
        ? 'free space on that SR, keep fewer recovery points, or give the job another target_sr'
        : 'free space on that SR: the snapshot that a run takes needs some',
  };
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
