/**
 * How deep the chains of disks get. Each snapshot puts a layer upon a disk, and storage refuses more than about 30 of
 * them; layers that nobody needs any more are merged by the storage itself, in its own time. So a run that would
 * make a chain too deep waits: nothing is wrong with what is there, and nothing that a run could do would be faster.
 */
import type { JobDefinition } from './job';
import type { ObservedDisk, Observation } from './observation';
import type { DeepChain, DiskCopy } from './plan';

/**
 * Disks whose chain this run would make deeper than the job allows.
 *
 * @param fresh copies whose staging disk this run makes; one that is gone on with has its layers already
 * @param snapshots whether this run takes a source snapshot, or goes on with one
 */
export function deepChains(
  job: JobDefinition,
  { source, target }: Observation,
  fresh: readonly DiskCopy[],
  snapshots: boolean,
): readonly DeepChain[] {
  const live = snapshots ? source.disks.map((disk) => chainOf(job, 'source', disk)) : [];
  const points = fresh.flatMap((copy) => {
    if (copy.kind === 'full') return [];
    const disk = (target.replica?.points ?? [])
      .flatMap(({ disks }) => disks)
      .find(({ vdi }) => vdi.uuid === copy.base.pointVdi.uuid);
    return disk === undefined ? [] : [chainOf(job, 'target', disk)];
  });
  return [...live, ...points].filter(({ layers, layersMax }) => layers + 1 > layersMax);
}

/** The source's disk gets its layer by the snapshot, the target's by the recovery point made of its staging disk. */
function chainOf(job: JobDefinition, side: DeepChain['side'], disk: ObservedDisk): DeepChain {
  return {
    side,
    device: disk.device,
    disk: disk.vdi,
    sr: disk.sr,
    layers: disk.chain.length,
    layersMax: job.maxChainDepth,
    mergesPending: disk.chain.filter(({ mergePending }) => mergePending).length,
  };
}
