/** Events in words, the same on a terminal and in a log. */
import type { RateEvent, RunEvent } from '../../engine';
import type { Plan, StepKind } from '../../planner/plan';
import { bytes, duration, instant, rate } from '../output/quantities';
import { counted } from '../output/text';
import type { Reading } from './meter';

/** Lines for an event; none where it says nothing that another event does not say. */
export function wordsFor(event: RunEvent): readonly string[] {
  if (event.kind === 'run-started') {
    return [`run ${event.run} of job "${event.jobName}": ${counted(event.vms, 'VM')}`];
  }
  if (event.kind === 'nice-paced') return [niceWords(event)];
  // Told once, at the end, where nobody overlooks it.
  if (!('vm' in event)) return [];
  return sentences(event).map((sentence) => `${event.vm.name}: ${sentence}`);
}

function niceWords({ host, loadPerVcpu, bytesPerSecond }: Extract<RunEvent, { kind: 'nice-paced' }>): string {
  const seen =
    host === null || loadPerVcpu === null
      ? 'no host says how busy it is'
      : `control domain of host "${host}": load ${loadPerVcpu.toFixed(2)} per vCPU`;
  const pace = bytesPerSecond === null ? 'as fast as it may again' : `at most ${rate(bytesPerSecond)}`;
  return `nice: ${pace} (${seen})`;
}

/** Whoever waits longer than expected is to know why. */
export function rateWords({ bytesPerSecond, windows, nice }: RateEvent): string {
  const now =
    bytesPerSecond === null ? 'as fast as it can' : `at most ${rate(bytesPerSecond)} of either pool`;
  const parts = [
    now,
    ...(windows ? ['by time of day'] : []),
    ...(nice ? ['slower while hosts are busy'] : []),
  ];
  return `reads ${parts.join(', ')}; --limit and --no-limits change that`;
}

type VmEvent = Extract<RunEvent, { readonly vm: unknown }>;

function sentences(event: VmEvent): readonly string[] {
  switch (event.kind) {
    case 'lock-waiting':
      return [
        `waiting for another run: ${event.holder}; its lock ends ${instant(event.untilMs)} unless it is renewed`,
      ];
    case 'planned':
      return planned(event.plan);
    case 'step-started':
      return startOf(event.step);
    case 'disk-opened':
      return [`disk ${event.device}: ${event.copyKind}, ${bytes(event.changedBytes)} to read`];
    case 'disk-copied':
      return [`disk ${event.device}: copied, ${bytes(event.bytesRead)} read, ${bytes(event.bytesSent)} sent`];
    case 'disk-verified':
      return [`disk ${event.device}: read back, ${bytes(event.comparedBytes)} compared, equal`];
    case 'warning':
      return [`warning: ${event.text}`];
    case 'attempt-failed':
      return [attemptFailed(event)];
    case 'vm-finished':
      return [finished(event.outcome)];
    case 'vm-started':
    case 'lock-acquired':
    case 'step-finished':
    case 'disk-verifying':
    case 'disk-progress':
    case 'segment-confirmed':
      return [];
  }
}

/** `disk 0: 512.0 MiB of 2.0 GiB (25%), 85.3 MiB/s, 18 s left` */
export function progressWords(
  event: Extract<RunEvent, { readonly kind: 'disk-progress' }>,
  reading: Reading,
): string {
  const { bytesRead, bytesExpected, device, vm } = event;
  const speed = reading.bytesPerSecond === null ? [] : [rate(reading.bytesPerSecond)];
  const left = reading.remainingMs === null ? [] : [`${duration(reading.remainingMs)} left`];
  const share = `${bytes(Math.min(bytesRead, bytesExpected))} of ${bytes(bytesExpected)} (${percent(bytesRead, bytesExpected)})`;
  return `${vm.name}: disk ${device}: ${[share, ...speed, ...left].join(', ')}`;
}

/** Never 100 % before the end: a stream carries a little more than the blocks it announces. */
export function percent(done: number, total: number): string {
  return `${String(total === 0 ? 100 : Math.min(100, Math.floor((100 * done) / total)))}%`;
}

function planned(plan: Plan): readonly string[] {
  if (plan.kind === 'blocked') return [];
  // Why stands with the outcome; each thing that is removed has its own line.
  if (plan.kind === 'deferred') return ['put off: a chain of disks has no room for another layer'];
  if (plan.kind === 'repair') return [`first finishing what an earlier run left: ${plan.because}`];
  if (plan.kind === 'adopt') {
    return [`first taking over a chain: ${plan.because}`, ...plan.notes.map((note) => `note: ${note}`)];
  }
  const disks = plan.steps.filter(({ kind }) => kind === 'copy-disk').length;
  return [
    `${plan.copyKind} of ${counted(disks, 'disk')}${plan.base === null ? '' : `, on recovery point ${plan.base.point.uuid}`}`,
    ...plan.notes.map((note) => `note: ${note}`),
  ];
}

/** Steps of a few milliseconds that say nothing to a person are not told; `--json` has them all. */
function startOf(step: StepKind): readonly string[] {
  switch (step) {
    case 'resume-snapshot':
      return ['going on with the copy of an interrupted run'];
    case 'compare-chain':
      return ['comparing a recovery point that Xen Orchestra made with its source snapshot'];
    case 'adopt-chain':
      return ['committing what was compared'];
    case 'snapshot-source':
      return ['taking a snapshot on the source'];
    case 'discard-leftover':
      return ['removing what an earlier run left'];
    case 'create-replica':
      return ['creating the replica, with start blocked'];
    case 'swap-disks':
      return ['exchanging the disks of the replica'];
    case 'commit-target':
      return ['making the recovery point'];
    case 'abandon-swap':
      return ['taking back an exchange of disks that cannot be finished'];
    case 'destroy-point':
      return ['removing a recovery point that retention no longer keeps'];
    case 'enable-tracking':
      return ['turning changed-block tracking on'];
    case 'drop-snapshot-data':
      return ['dropping the data of the source snapshot'];
    case 'destroy-source-snapshot':
      return ['removing a source snapshot that nothing needs any more'];
    case 'keep-disks':
      return ['nothing changed: the disks of the replica stay'];
    case 'resume-disk':
    case 'compare-disk':
    case 'clone-base':
    case 'create-disk':
    case 'copy-disk':
    case 'verify-disk':
    case 'announce-swap':
    case 'apply-settings':
    case 'commit-source':
    case 'retire-points':
    case 'close-swap':
      return [];
  }
}

function attemptFailed(event: Extract<RunEvent, { readonly kind: 'attempt-failed' }>): string {
  const { attempt, error, retryInMs } = event;
  const again =
    retryInMs === null
      ? 'not tried again'
      : retryInMs === 0
        ? 'again now'
        : `again in ${duration(retryInMs)}`;
  return `attempt ${String(attempt)} failed, ${again}: ${error.message}`;
}

function finished(outcome: Extract<RunEvent, { readonly kind: 'vm-finished' }>['outcome']): string {
  return outcome.kind === 'replicated'
    ? `replicated: recovery point ${outcome.point.uuid}, as of ${instant(outcome.takenAtMs)}`
    : `not replicated (${outcome.kind})`;
}
