/** Fills one staging disk. */
import type { Ref } from '../../xapi';
import { temporaryName } from '../../planner/marks';
import type { DiskCopy } from '../../planner/plan';
import { workOf } from '../attempt';
import type { Attempt, TakenDisk } from '../attempt';
import { copyDisk } from '../data/copy-disk';
import type { CopyOptions, CopyResult, Zeros } from '../data/copy-disk';
import { ContentDigest } from '../data/digest';
import type { DiskReader } from '../data/extent';
import { ReplicationError, StalePlan } from '../errors';
import { grainIndex } from './grains';
import { openSource, resumeOf } from './open-source';
import { ProgressKeeper } from './progress';
import { assertQuiet } from './quiet';
import { NotingWriter } from './noting-writer';
import { whileReading } from './serving-hosts';

export async function copyOneDisk(attempt: Attempt, copy: DiskCopy): Promise<void> {
  const { context, made, queues } = attempt;
  // Nothing changed on it, while something did on another disk: its clone is equal as it is.
  if (made.copied.has(copy.device)) return;
  // A reader that has to wait in line would keep the source's disk attached for as long.
  const storages = [takenDisk(attempt, copy.device).srRef, attempt.targetSr.ref];
  if (queues.transfersAreFull(storages)) await closeOpened(attempt, copy.device);
  const work = async (): Promise<void> => {
    // One disk that fails must stop its own two transfers and nothing else.
    copied(attempt, copy, await transfer(attempt, copy, context.signal));
  };
  await queues.transfer(storages, work, context.signal);
}

/**
 * Learns what changed on a disk before anything is made for it. A disk on which nothing did is done with that; otherwise
 * the reader stays open for the copy.
 */
export async function compareDisk(attempt: Attempt, copy: DiskCopy): Promise<void> {
  const { context, made, queues } = attempt;
  const compare = async (): Promise<void> => {
    const reader = await openReader(attempt, copy, context.signal);
    if (reader.changedBytes > 0) {
      if (queues.keep(reader)) made.opened.set(copy.device, reader);
      else await reader.abort();
      return;
    }
    try {
      for await (const { offsetBytes } of reader.extents())
        throw new StalePlan(
          `Disk ${copy.device} changed at ${String(offsetBytes)}, though its table says nothing did`,
        );
      await reader.finish();
    } catch (error) {
      await reader.abort();
      throw error;
    }
    made.unchanged.add(copy.device);
    const digest = new ContentDigest(false).value();
    copied(attempt, copy, { digest, changedBytes: 0, bytesRead: reader.bytesRead, bytesSent: 0 });
  };
  // Nothing is written, so the target's storage is not asked for room.
  await queues.transfer([takenDisk(attempt, copy.device).srRef], compare, context.signal);
}

/** Ends the reading of all disks that were opened and not copied. Never throws. */
export async function closeAllOpened(attempt: Attempt): Promise<void> {
  await Promise.all([...attempt.made.opened.keys()].map((device) => closeOpened(attempt, device)));
}

function copied(attempt: Attempt, copy: DiskCopy, result: CopyResult): void {
  attempt.made.copied.set(copy.device, result);
  attempt.context.emit({
    kind: 'disk-copied',
    vm: attempt.vm,
    device: copy.device,
    copyKind: copy.kind,
    method: copy.method,
    methodBecause: copy.methodBecause,
    ...result,
  });
}

async function closeOpened(attempt: Attempt, device: string): Promise<void> {
  await takeOpened(attempt, device)?.abort();
}

/** Whoever takes it uses it up or closes it. */
function takeOpened({ made, queues }: Attempt, device: string): DiskReader | undefined {
  const reader = made.opened.get(device);
  made.opened.delete(device);
  if (reader !== undefined) queues.letGo(reader);
  return reader;
}

/** The disk that the snapshot has at a device. */
function takenDisk({ made, vm }: Attempt, device: string): TakenDisk {
  const disk = made.need('snapshot').disks.find((one) => one.device === device);
  if (disk === undefined) throw new StalePlan(`The snapshot of VM "${vm.name}" has no disk at ${device}`);
  return disk;
}

async function openReader(attempt: Attempt, copy: DiskCopy, signal: AbortSignal): Promise<DiskReader> {
  const { context, vm } = attempt;
  const opened = takeOpened(attempt, copy.device);
  if (opened !== undefined) return opened;
  const disk = takenDisk(attempt, copy.device);
  const reader = await openSource(attempt, copy, disk, labelOf(attempt, copy), signal);
  context.emit({
    kind: 'disk-opened',
    vm,
    device: copy.device,
    copyKind: copy.kind,
    changedBytes: reader.changedBytes,
  });
  return reader;
}

function labelOf(attempt: Attempt, { device }: DiskCopy): string {
  return temporaryName(workOf(attempt, 'transfer'), `${attempt.vm.name} disk ${device}`);
}

async function transfer(attempt: Attempt, copy: DiskCopy, signal: AbortSignal): ReturnType<typeof copyDisk> {
  const { target, context, vm } = attempt;
  const staged = attempt.made.stagedAt(copy.device);
  const disk = takenDisk(attempt, copy.device);
  if (staged.sizeBytes < disk.sizeBytes) {
    throw new ReplicationError(
      'stale-plan',
      `Staging disk "${staged.vdi.name}" (${staged.vdi.uuid}) holds ${String(staged.sizeBytes)} bytes, ` +
        `the snapshot's disk at ${copy.device} has ${String(disk.sizeBytes)}`,
      { retry: 'now', hint: 'the disk was resized meanwhile; the run plans again' },
    );
  }
  const grains = await grainIndex(attempt, copy, disk);
  const reader = await openReader(attempt, copy, signal);
  const progress = new ProgressKeeper(attempt, copy, disk, staged.vdi);
  const writer = new NotingWriter(
    disk.sizeBytes,
    target,
    {
      vdi: staged.vdi.ref as Ref<'VDI'>,
      sr: attempt.targetSr.ref as Ref<'SR'>,
      label: labelOf(attempt, copy),
    },
    {
      clock: context.clock,
      signal,
      limits: attempt.limits,
      assertQuiet: async () => {
        // A run that slept between two segments may wake up to find that its disk has become the replica's.
        await attempt.lock.check({ signal });
        await assertQuiet(target, staged.vdi, context.clock, signal, { signal });
      },
      onSegment: (segment, bytesSent) =>
        context.emit({ kind: 'segment-confirmed', vm, device: copy.device, segment, bytesSent }),
      checkpoints: progress,
    },
  );
  const options: CopyOptions = {
    zeros: zerosOf(copy),
    resume: resumeOf(attempt, copy),
    grains,
    pace: (bytes) => attempt.queues.pace.take(bytes, signal),
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
  };
  const { source, queues, nbdReach } = attempt;
  const result = await whileReading(
    { source, nice: queues.nice, nbdReach, signal },
    { ...disk, method: copy.method },
    () => settled(copyDisk(reader, writer, options), progress),
  );
  if (grains !== null) attempt.made.grains.set(copy.device, grains);
  // What a copy that is gone on with left out before it was interrupted is not known any more.
  if (!attempt.made.resumes.has(copy.device))
    attempt.made.sent.set(copy.device, grains === null ? 'all' : writer.sent);
  return result;
}

/** What a copy came to is worth remembering; one that cannot be gone on with must not be tried again. */
async function settled(work: Promise<CopyResult>, progress: ProgressKeeper): Promise<CopyResult> {
  try {
    const result = await work;
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
