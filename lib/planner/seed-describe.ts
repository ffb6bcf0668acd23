/** Refusals of a seed in words: what stands in the way, on which object, and what to do about it. */
import type { Described } from './describe';
import type { ObjectId } from './observation';
import type { SeedConflict } from './seed';

type Of<K extends SeedConflict['kind']> = Extract<SeedConflict, { readonly kind: K }>;

const describers: { readonly [K in SeedConflict['kind']]: (conflict: Of<K>) => Described } = {
  permission: ({ missing }) => ({
    message: `the account may not: ${missing.join(', ')}`,
    hint: 'use an account with pool-operator on the target pool and vm-admin on the source pool',
  }),
  'snapshot-missing': ({ uuid, poolName }) => ({
    message: `pool "${poolName}" has no snapshot ${uuid}`,
    hint: 'the snapshot that the seed was made of must be kept until it is attached; make a new seed if it is gone',
  }),
  'target-missing': ({ uuid, poolName }) => ({
    message: `pool "${poolName}" has no VM ${uuid}`,
    hint: 'import the seed first; xenrepl seed import prints the uuid',
  }),
  'not-a-snapshot': ({ vm }) => ({
    message: `${quoted(vm)} is not a snapshot`,
    hint: 'name the snapshot that the seed was exported from, not its VM',
  }),
  'snapshot-orphaned': ({ vm }) => ({
    message: `the VM that snapshot ${quoted(vm)} was taken of is gone`,
    hint: 'without it there is nothing to replicate; take the snapshot of the VM that is to be protected',
  }),
  'no-disks': ({ vm }) => ({
    message: `${quoted(vm)} has no disk`,
    hint: 'a seed needs the disks of the VM; import it with its disks',
  }),
  'snapshot-unfinished': ({ snapshot, run }) => ({
    message: `snapshot ${quoted(snapshot)} was being made or removed by run ${run}`,
    hint: 'use a snapshot that you took yourself: the next run of the job removes this one',
  }),
  'vm-not-in-job': ({ vm, job }) => ({
    message: `job "${job}" does not protect VM ${quoted(vm)}`,
    hint: 'add its uuid or its tag to the job, then attach the seed',
  }),
  'snapshot-attached': ({ snapshot, replica, job }) => ({
    message: `snapshot ${quoted(snapshot)} is attached already, to replica ${replica} for job ${job}`,
    hint: 'there is nothing to do, or detach that replica first (xenrepl seed detach)',
  }),
  'snapshot-of-other-job': ({ snapshot, jobs }) => ({
    message: `snapshot ${quoted(snapshot)} belongs to another job: ${jobs.join(', ')}`,
    hint: 'take a snapshot of its own for this job: a snapshot can be the base of one job only',
  }),
  'sr-missing': ({ uuid, poolName }) => ({
    message: `pool "${poolName}" has no SR ${uuid}, which the job replicates to`,
    hint: 'attach the SR to the pool again, or give the job another target_sr',
  }),
  'raw-disk': ({ side, objects }) => ({
    message: `only VHD disks can be replicated, on the ${side} these are raw or of another format: ${objects.map(quoted).join(', ')}`,
    hint: 'move the disk to an SR that keeps VHD',
  }),
  'target-not-a-vm': ({ vm, is }) => ({
    message: `${quoted(vm)} is a ${is}, must be a VM`,
    hint:
      is === 'template'
        ? 'it was exported as a template: run xe template-param-set is-a-template=false with its uuid'
        : 'name the VM that the import made',
  }),
  'target-is-source': ({ vm }) => ({
    message: `${quoted(vm)} is the VM that is to be protected`,
    hint: 'name the VM that the import made on the target pool',
  }),
  'target-not-halted': ({ vm, powerState }) => ({
    message: `VM ${quoted(vm)} is ${powerState}, must be Halted`,
    hint: 'a seed that ran is no copy any more; import it again, or attach it with --repair once it is halted and has never been started',
  }),
  'target-started': ({ vm, atMs }) => ({
    message: `VM ${quoted(vm)} was started on this pool, at ${new Date(atMs).toISOString()}`,
    hint: 'what it wrote is not on the source; import the seed again and leave it halted',
  }),
  'target-busy': ({ vm, with: what }) => ({
    message: `VM ${quoted(vm)} is busy: ${what.join(', ')}`,
    hint: 'wait until that has ended, then attach again',
  }),
  'target-importing': ({ vm }) => ({
    message: `the import of VM ${quoted(vm)} did not come to its end`,
    hint: 'run xenrepl seed import again with the same files: it goes on where it stopped',
  }),
  'foreign-transfer': ({ vm, mark }) => ({
    message: `another program is writing to VM ${quoted(vm)}: ${mark}`,
    hint: 'wait until it has finished, or clean up after it if it died',
  }),
  'attached-already': ({ vm, job }) => ({
    message: `VM ${quoted(vm)} is attached to job "${job}" already`,
    hint: 'there is nothing to do: run the job',
  }),
  'attached-elsewhere': ({ vm, to }) => ({
    message: `VM ${quoted(vm)} is the replica of ${to}`,
    hint: 'detach it there first (xenrepl seed detach), or import a copy of its own for this job',
  }),
  'replica-exists': ({ replicas }) => ({
    message: `the job has a replica of this VM on that SR already: ${replicas.map(quoted).join(', ')}`,
    hint: 'run the job, which goes on with it; or delete that replica before attaching another',
  }),
  'disk-unpaired': ({ side, device, vdi }) => ({
    message:
      side === 'source'
        ? `the snapshot's disk ${device}, ${quoted(vdi)}, has no partner at that position of the target VM`
        : `the target VM's disk ${device}, ${quoted(vdi)}, has no partner at that position of the snapshot`,
    hint: 'disks are paired by device position: attach each disk where the source has it, and no other',
  }),
  'disk-size': ({ device, sourceBytes, targetBytes }) => ({
    message: `disk ${device} has ${String(sourceBytes)} bytes on the source and ${String(targetBytes)} on the target, must be equal`,
    hint: 'use the snapshot that the seed was exported from, and do not resize the import',
  }),
  'disk-read-only': ({ side, device, vdi }) => ({
    message: `disk ${device}, ${quoted(vdi)}, is attached read-only on the ${side}: a snapshot shares it`,
    hint: 'attach it read-write, or take it off the VM, and make the snapshot again',
  }),
  'disk-shared': ({ disk, usedBy }) => ({
    message: `disk ${disk.device}, ${quoted(disk.vdi)}, is attached to ${usedBy.map(quoted).join(', ')} as well`,
    hint: 'detach it there: a replica needs its disks for itself',
  }),
  'disk-on-other-sr': ({ disk, sr, wanted }) => ({
    message: `disk ${disk.device}, ${quoted(disk.vdi)}, is on SR ${quoted(sr)}, must be on ${quoted(wanted)}`,
    hint: 'import the seed with all disks on the SR of the job',
  }),
};

export function describeSeedConflict(conflict: SeedConflict): Described {
  // Each kind stands in the table with a describer of exactly that kind.
  return (describers[conflict.kind] as (conflict: SeedConflict) => Described)(conflict);
}

function quoted({ name, uuid }: ObjectId): string {
  return `"${name}" (${uuid})`;
}
