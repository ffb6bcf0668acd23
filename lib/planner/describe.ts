/** Conflicts and plans in words: what stands in the way, on which object, and what to do about it. */
import { describeDeferral, describeNoSpace, gib, quoted } from './describe-storage';
import type { Described } from './describe-storage';
import type { Conflict, DiskCopy, Plan, Step } from './plan';

export { describeDeferral } from './describe-storage';
export type { Described } from './describe-storage';

export function describeConflict(conflict: Conflict): Described {
  switch (conflict.kind) {
    case 'no-base':
    case 'waiting-for-seed':
    case 'chain-refused':
      return describeMissingBase(conflict);
    case 'target-diverged':
      return {
        message: `replica ${quoted(conflict.replica)} was written to since its newest recovery point: disk ${conflict.disks.join(', ')}`,
        hint: 'clone it if those changes are wanted; set on_divergence = "overwrite" to throw them away',
      };
    case 'replica-not-halted':
      return {
        message: `replica ${quoted(conflict.replica)} is ${conflict.powerState}, must be Halted`,
        hint: 'shut it down; if it is in use as the real machine, disable the job',
      };
    case 'foreign-transfer':
      return {
        message: `another program is writing to replica ${quoted(conflict.replica)}: ${conflict.mark}`,
        hint:
          'wait until it has finished; if it died, let it run again, or delete that VM once nothing of it is needed; ' +
          'or give this job a job_id of its own',
      };
    case 'network-ambiguous':
      return {
        message: `network_map names a source network by a name that several bear: ${conflict.networks.map(quoted).join(', ')}`,
        hint: 'name those networks by uuid in network_map',
      };
    case 'swap-broken':
      return {
        message: `an exchange of disks was announced on replica ${quoted(conflict.replica)} and cannot be finished: ${conflict.reasons.join('; ')}`,
        hint:
          'its recovery points are untouched; attach the disks from before again, or take the key xenrepl:swap off ' +
          'the replica, then run again',
      };
    case 'rival-replicas':
      return {
        message: `more than one VM claims to be the replica: ${conflict.replicas.map(quoted).join(', ')}`,
        hint: 'remove the key xenrepl:replica from those that are not',
      };
    case 'network-unmapped':
      return {
        message: `no target network is named for ${conflict.networks.map(quoted).join(', ')}`,
        hint: 'add it to network_map, or set on_unmapped_network = "omit" to leave such cards out',
      };
    case 'network-unknown':
      return {
        message: `network_map names what the target pool has not, or has more than once: ${conflict.wanted.join(', ')}`,
        hint: 'use the uuid of a network of the target pool',
      };
    case 'no-space':
      return describeNoSpace(conflict);
    case 'raw-disk':
      return {
        message:
          conflict.side === 'source'
            ? `only VHD disks have a delta export, these are raw or of another format: ${conflict.objects.map(quoted).join(', ')}`
            : `SR ${conflict.objects.map(quoted).join(', ')} keeps raw disks, which cannot be cloned`,
        hint: 'move the disk to an SR that keeps VHD',
      };
    case 'no-disks':
    case 'snapshot-mode':
    case 'is-replica':
      return describeUnsuitableVm(conflict);
    case 'permission':
      return {
        message: `the account may not: ${conflict.missing.join(', ')}`,
        hint: 'use an account with pool-operator on the target pool and vm-admin on the source pool',
      };
  }
}

function describeUnsuitableVm(
  conflict: Extract<Conflict, { kind: 'no-disks' | 'snapshot-mode' | 'is-replica' }>,
): Described {
  switch (conflict.kind) {
    case 'no-disks':
      return {
        message: `VM ${quoted(conflict.vm)} has no disk to replicate`,
        hint: 'take it out of the job',
      };
    case 'snapshot-mode':
      return {
        message: `a snapshot of VM ${quoted(conflict.vm)} in mode "${conflict.mode}" is not possible: ${conflict.reason}`,
        hint: 'choose another snapshot mode; "disk" is always possible, and is what the guest finds after a power cut',
      };
    case 'is-replica':
      return {
        message: `VM ${quoted(conflict.vm)} is itself a replica of this job`,
        hint: 'take its tag off, or name the VMs of the job by uuid',
      };
  }
}

function describeMissingBase(
  conflict: Extract<Conflict, { kind: 'no-base' | 'waiting-for-seed' | 'chain-refused' }>,
): Described {
  if (conflict.kind === 'no-base') {
    return {
      message:
        `no delta is possible: ${conflict.reason}` +
        (conflict.points.length === 0 ? '' : `; recovery points: ${conflict.points.join(', ')}`),
      hint: 'set on_missing_base = "full" to send everything again, or bring the base back',
    };
  }
  if (conflict.kind === 'chain-refused') {
    return {
      message:
        `Xen Orchestra's chain under the id of this job cannot be gone on with: ${conflict.reasons.join('; ')} ` +
        `(${conflict.replicas.map(quoted).join(', ')})`,
      hint:
        'attach the VM as a seed (xenrepl seed attach) where it is a good copy; else set on_missing_base = "full" to ' +
        'send everything to a new replica beside it',
    };
  }
  return {
    message:
      `VM ${quoted(conflict.vm)} waits for its seed: the job never sends a first copy by itself, and no replica ` +
      `of the VM is attached on SR ${quoted(conflict.sr)} (${conflict.reason})`,
    hint:
      'carry a snapshot over (xenrepl seed export, seed import) and attach it (xenrepl seed attach); ' +
      'or set initial_copy = "auto" to send it',
  };
}

/** One line per step, for people who want to know before anything is done. */
export function describePlan(plan: Plan): readonly string[] {
  if (plan.kind === 'blocked') {
    return plan.conflicts.map((conflict) => {
      const { message, hint } = describeConflict(conflict);
      return `refused: ${message} (${hint})`;
    });
  }
  if (plan.kind === 'deferred') {
    const { message, hint } = describeDeferral(plan);
    return [`put off: ${message} (${hint})`, ...plan.steps.map(describeStep)];
  }
  const head =
    plan.kind === 'repair'
      ? [`first finish what was interrupted: ${plan.because}`]
      : plan.kind === 'adopt'
        ? [`first take over a chain: ${plan.because}`, ...plan.notes.map((note) => `note: ${note}`)]
        : [`${plan.copyKind} of VM ${quoted(plan.vm)}`, ...plan.notes.map((note) => `note: ${note}`)];
  const kept = plan.kind === 'replicate' ? plan.kept : [];
  return [
    ...head,
    ...plan.steps.map(describeStep),
    ...kept.map(({ point, because }) => `keep recovery point ${quoted(point)}: ${because}`),
  ];
}

function describeStep(step: Step): string {
  switch (step.kind) {
    case 'compare-chain':
      return (
        `compare ${step.verify === 'full' ? 'all' : 'a sample'} of recovery point ${quoted(step.pair.point)} with source ` +
        `snapshot ${quoted(step.pair.sourceSnapshot)}; if equal, go on from there with a delta`
      );
    case 'adopt-chain':
      return `commit recovery point ${quoted(step.pair.point)} and its source snapshot`;
    case 'discard-leftover':
      return `discard ${step.leftover.kind} ${quoted(step.leftover.id)} on the ${step.leftover.side}: ${step.because}`;
    case 'snapshot-source':
      return describeSnapshot(step);
    case 'enable-tracking':
      return `turn changed-block tracking on for disk ${step.disks.map(quoted).join(', ')}`;
    case 'drop-snapshot-data':
      return 'drop the data of the source snapshot: only its list of changed blocks stays';
    case 'resume-snapshot':
      return `go on with snapshot ${quoted(step.snapshot)} of an interrupted run`;
    case 'resume-disk':
      return `go on with disk ${quoted(step.vdi)} for device ${step.device}`;
    case 'clone-base':
      return `clone recovery point ${quoted(step.base.point)} for disk ${step.devices.join(', ')}`;
    case 'create-disk':
      return `create an empty disk of ${gib(step.sizeBytes)} for device ${step.device}`;
    case 'compare-disk':
      return `ask the source what changed on disk ${step.copy.device}; where nothing did on any disk, the replica's disks stay`;
    case 'keep-disks':
      return 'keep the disks of the replica: nothing changed';
    case 'copy-disk':
      return describeCopy(step.copy);
    case 'verify-disk':
      return step.mode === 'full'
        ? `read all of disk ${step.copy.device} back and compare it with the source`
        : `read back what was sent of disk ${step.copy.device} and compare it with the source`;
    case 'create-replica':
      return 'create the replica VM, with start blocked';
    case 'announce-swap':
      return 'announce the exchange of disks on the replica';
    case 'swap-disks':
      return 'exchange the disks of the replica';
    case 'apply-settings':
      return `bring settings and ${String(step.cards.length)} network card(s) up to date`;
    case 'commit-target':
      return 'snapshot the replica and commit the recovery point';
    case 'commit-source':
      return 'commit the source snapshot';
    case 'retire-points':
      return `take the content key off ${String(step.disks.length)} older disk(s)`;
    case 'close-swap':
      return 'destroy the disks that were replaced';
    case 'abandon-swap':
      return `take the announced exchange of disks back: ${step.because}`;
    case 'destroy-point':
      return (
        `destroy recovery point ${quoted(step.point)}: ${step.because}` +
        (step.ifTakenBeforeMs === null
          ? ''
          : ` (only if the snapshot is taken before ${new Date(step.ifTakenBeforeMs).toISOString()})`)
      );
    case 'destroy-source-snapshot':
      return `destroy source snapshot ${quoted(step.snapshot)}: ${step.because}`;
  }
}

function describeSnapshot({ vm, how }: Extract<Step, { kind: 'snapshot-source' }>): string {
  switch (how) {
    case 'plain':
      return `snapshot VM ${quoted(vm)}`;
    case 'quiesce':
      return `snapshot VM ${quoted(vm)} with its file systems at rest`;
    case 'offline':
      return `shut VM ${quoted(vm)} down, snapshot it, start it again`;
  }
}

function describeCopy(copy: DiskCopy): string {
  const what =
    copy.kind === 'delta'
      ? `send what changed on disk ${copy.device} since ${quoted(copy.base.sourceVdi)}`
      : `send all of disk ${copy.device}: ${copy.because}`;
  return `${what}; read ${copy.method === 'nbd' ? 'over NBD' : 'by export'} (${copy.methodBecause})`;
}
