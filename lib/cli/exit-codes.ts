/** What the shell learns. Scripts rely on these: a code keeps its meaning for ever. */
import type { RunReport } from '../engine';

export const exitCodes = {
  ok: 0,
  /** Something went wrong: a pool does not answer, a job is unknown, a VM could not be replicated. */
  failed: 1,
  /** The command line itself is wrong; nothing was contacted. */
  usage: 2,
  /** Nothing was done for at least one VM because a conflict needs somebody's decision. */
  blocked: 3,
  /** Another run holds the lock; nothing is wrong. */
  locked: 4,
  /** Some VMs have a new recovery point, others have not. */
  partly: 5,
  /** Nothing was copied, since a chain of disks is too deep for now; nothing is wrong. */
  deferred: 7,
  /** A verification found content that is not what it should be. */
  differs: 6,
  /** A VM's newest recovery point is older than its RPO, or there is none. */
  violated: 8,
} as const;

/** As shells do it: 128 and the number of the signal. */
export const stopCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

export const exitCodeHelp = `Exit codes:
  0    done: every VM has a new recovery point, or there was nothing to do
  1    failed: a pool did not answer, a job is unknown, a VM could not be replicated
  2    usage: the command line is wrong; nothing was contacted
  3    blocked: a conflict needs a decision (the text says which setting decides it)
  4    locked: another run of the job is under way; try again later
  5    partly: some VMs have a new recovery point, others have not
  6    differs: a recovery point is not what its source snapshot was
  7    deferred: a chain of disks is too deep for another snapshot; run again later
  8    violated: a newest recovery point is older than its RPO, or there is none (assert-rpo)
  129, 130, 141, 143
       stopped: by hang-up, Ctrl-C, a closed pipe, or SIGTERM`;

/** Exit code of a run that nobody interrupted. */
export function exitCodeOfRun({ vms }: Pick<RunReport, 'vms'>): number {
  const kinds = new Set(vms.map(({ outcome }) => outcome.kind));
  if (!kinds.has('replicated') && vms.length > 0) return exitCodeWithoutPoint(kinds);
  return kinds.size > 1 ? exitCodes.partly : exitCodes.ok;
}

/** A failure outweighs a conflict, that a chain too deep, that a lock: the code names what most wants a look. */
function exitCodeWithoutPoint(kinds: ReadonlySet<string>): number {
  if (kinds.has('failed') || kinds.has('cancelled')) return exitCodes.failed;
  if (kinds.has('blocked')) return exitCodes.blocked;
  return kinds.has('deferred') ? exitCodes.deferred : exitCodes.locked;
}
