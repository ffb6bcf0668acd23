/** Fills one staging disk. */
import type { Ref } from '../../xapi';
import { temporaryName } from '../../planner/marks';
import type { DiskCopy } from '../../planner/plan';
import { workOf } from '../attempt';
import type { Attempt } from '../attempt';
import { copyDisk } from '../data/copy-disk';
import type { CopyResult, Zeros } from '../data/copy-disk';
import { SegmentWriter } from '../data/write-segments';
import { ReplicationError, StalePlan } from '../errors';
import { openSource, resumeOf } from './open-source';
import { ProgressKeeper } from './progress';
import { assertQuiet } from './quiet';

export async function copyOneDisk(attempt: Attempt, copy: DiskCopy): Promise<void> {
  const { context } = attempt;
  await attempt.queues.transfer(async () => {
    // One disk that fails must stop its own two transfers and nothing else.
    const result = await transfer(attempt, copy, context.signal);
    attempt.made.copied.set(copy.device, result);
    context.emit({
      kind: 'disk-copied',
      vm: attempt.vm,
      device: copy.device,
      copyKind: copy.kind,
      method: copy.method,
      methodBecause: copy.methodBecause,
      ...result,
    });
  }, context.signal);
}

async function transfer(attempt: Attempt, copy: DiskCopy, signal: AbortSignal): ReturnType<typeof copyDisk> {
  const { target, context, vm } = attempt;
  const staged = attempt.made.stagedAt(copy.device);
  const disk = attempt.made.need('snapshot').disks.find(({ device }) => device === copy.device);
  if (disk === undefined)
    throw new StalePlan(`The snapshot of VM "${vm.name}" has no disk at ${copy.device}`);
  if (staged.sizeBytes < disk.sizeBytes) {
    throw new ReplicationError(
      'stale-plan',
      `Staging disk "${staged.vdi.name}" (${staged.vdi.uuid}) holds ${String(staged.sizeBytes)} bytes, ` +
        `the snapshot's disk at ${copy.device} has ${String(disk.sizeBytes)}`,
      { retry: 'now', hint: 'the disk was resized meanwhile; the run plans again' },
    );
  }
  const label = temporaryName(workOf(attempt, 'transfer'), `${vm.name} disk ${copy.device}`);
  const reader = await openSource(attempt, copy, disk, label, signal);
  context.emit({
    kind: 'disk-opened',
    vm,
    device: copy.device,
    copyKind: copy.kind,
    changedBytes: reader.changedBytes,
  });
  const progress = new ProgressKeeper(attempt, copy, disk, staged.vdi);
  const writer = new SegmentWriter(
    target,
    { vdi: staged.vdi.ref as Ref<'VDI'>, sr: attempt.targetSr.ref as Ref<'SR'>, label },
    {
      clock: context.clock,
      signal,
      limits: attempt.limits,
      assertQuiet: () => assertQuiet(target, staged.vdi, context.clock, signal, { signal }),
      onSegment: (segment, bytesSent) =>
        context.emit({ kind: 'segment-confirmed', vm, device: copy.device, segment, bytesSent }),
      checkpoints: progress,
    },
  );
  const copied = copyDisk(reader, writer, {
    zeros: zerosOf(copy),
    resume: resumeOf(attempt, copy),
    signal,
    onProgress: (bytesRead, bytesSent) =>
      context.emit({
        kind: 'disk-progress',
        vm,
        device: copy.device,
        bytesRead,
        bytesSent,
        bytesExpected: reader.changedBytes,
      }),
  });
  return settled(copied, progress);
}

/** What a copy came to is worth remembering; one that cannot be gone on with must not be tried again. */
async function settled(copied: Promise<CopyResult>, progress: ProgressKeeper): Promise<CopyResult> {
  try {
    const result = await copied;
    await progress.complete(result);
    return result;
  } catch (error) {
    // A disk on which an old upload stays alive is abandoned: waiting for it could take the server's whole day.
    const hopeless =
      error instanceof ReplicationError && (error.code === 'resume-mismatch' || error.code === 'disk-busy');
    if (hopeless) await progress.forget();
    throw error;
  }
}

/** A clone holds the base's content: zeros must overwrite it. A new disk holds zeros only where that is known. */
function zerosOf(copy: DiskCopy): Zeros {
  if (copy.kind === 'delta') return 'send';
  return copy.elideZeros ? 'leave-out' : 'send-and-fill-gaps';
}
