/**
 * Reads a staging disk back before it becomes part of anything: what a job that verifies its runs asks for. A disk that
 * differs is abandoned with its progress, so that the next attempt copies it anew, and never becomes a recovery point.
 */
import type { Pool, ReceivedBy, Ref } from '../../xapi';
import { temporaryName } from '../../planner/marks';
import type { BaseDisk, DiskCopy } from '../../planner/plan';
import type { VerifyMode } from '../../planner/verify';
import type { Attempt, StagedDisk, TakenDisk } from '../attempt';
import type { DiskReader } from '../data/extent';
import { GrainIndex } from '../data/grain-index';
import { otherSideReceivedBy } from '../data/other-side';
import { paced } from '../data/pace';
import { openExportReader } from '../data/read-export';
import { ReplicationError, StalePlan } from '../errors';
import { compareDeltas } from '../verify/compare-deltas';
import { compareWithSource } from '../verify/read-back';
import { forgetProgress } from './progress';
import { whileReading } from './serving-hosts';

/** Of a first copy, this much is read back in a sample; of a delta, all that was sent. */
const sampleBytes = 256 * 1024 * 1024;

export async function verifyStagedDisk(attempt: Attempt, copy: DiskCopy, mode: VerifyMode): Promise<void> {
  const { context, vm, made } = attempt;
  const disk = made.need('snapshot').disks.find(({ device }) => device === copy.device);
  if (disk === undefined)
    throw new StalePlan(`The snapshot of VM "${vm.name}" has no disk at ${copy.device}`);
  const staged = made.stagedAt(copy.device);
  const found = await attempt.queues.transfer(
    [disk.srRef, attempt.targetSr.ref],
    () => compare(attempt, { copy, mode, disk, staged }),
    context.signal,
  );
  if (found.differingBlocks > 0) {
    await forgetProgress(attempt, staged.vdi);
    throw new ReplicationError('verify-differs', explain(attempt, copy, found), {
      retry: 'now',
      hint: 'the disk was abandoned and is copied anew; where this comes again, suspect the storage or memory of a host',
    });
  }
  const { comparedBytes } = found;
  made.verified.set(copy.device, { mode, comparedBytes });
  context.emit({ kind: 'disk-verified', vm, device: copy.device, mode, comparedBytes });
}

interface Work {
  readonly copy: DiskCopy;
  readonly mode: VerifyMode;
  readonly disk: TakenDisk;
  readonly staged: StagedDisk;
}

interface Found {
  readonly comparedBytes: number;
  readonly differingBlocks: number;
  readonly firstDifferenceBytes: number | null;
}

async function compare(attempt: Attempt, work: Work): Promise<Found> {
  const { copy, mode, disk } = work;
  const { context, vm } = attempt;
  const onProgress = (bytesDone: number): void =>
    context.emit({
      kind: 'disk-verifying',
      vm,
      device: copy.device,
      bytesDone,
      bytesExpected: disk.sizeBytes,
    });
  const whole = mode === 'full' || mayHaveLeftOut(attempt, work);
  const base = whole ? null : await readableBase(attempt, copy);
  const [source, target] = await openBoth(attempt, work, base, whole);
  const { signal } = context;
  // Reading back is reading, too: all that a run reads from the source keeps to its limit.
  const { pace, nice } = attempt.queues;
  const own = paced(source, pace, signal);
  return whileReading({ source: attempt.source, nice, signal }, { ...disk, method: 'export' }, () => {
    if (base === null) {
      const sample = whole ? null : sampleBytes;
      return compareWithSource(own, target, {
        sampleBytes: sample,
        takeDigest: false,
        signal,
        onProgress,
      });
    }
    const sent = attempt.made.sent.get(copy.device) ?? 'all';
    const mayMiss = (index: number): boolean => sent !== 'all' && !sent.has(index);
    return compareDeltas(own, target, { mayMiss, signal, onProgress });
  });
}

/**
 * A delta that an earlier run began: what that one left out because the base held it is not known any more, and would look
 * like something that was lost. Of larger disks nothing is ever left out.
 */
function mayHaveLeftOut({ made }: Attempt, { copy, disk }: Work): boolean {
  return copy.kind === 'delta' && !made.sent.has(copy.device) && GrainIndex.fits(disk.sizeBytes);
}

/**
 * The base of a delta, where its data is still there: of a base that was reduced to its list of changed blocks no export
 * tells what changed, and a sample of the whole disk is read in its stead.
 */
async function readableBase({ source, context }: Attempt, copy: DiskCopy): Promise<BaseDisk | null> {
  if (copy.kind === 'full') return null;
  const ref = copy.base.sourceVdi.ref as Ref<'VDI'>;
  const { type } = await source.call('VDI.get_record', [ref], { signal: context.signal });
  return type === 'cbt_metadata' ? null : copy.base;
}

async function openBoth(
  attempt: Attempt,
  work: Work,
  bases: BaseDisk | null,
  whole: boolean,
): Promise<readonly [DiskReader, DiskReader]> {
  const { copy, disk, staged } = work;
  const source = await open(attempt, attempt.source, {
    vdi: disk.vdi,
    sr: disk.srRef,
    base: bases?.sourceVdi.ref,
    sizeBytes: disk.sizeBytes,
    device: copy.device,
    receivedBy: 'this-thread',
  });
  try {
    const target = await open(attempt, attempt.target, {
      vdi: staged.vdi,
      sr: attempt.targetSr.ref,
      base: bases?.pointVdi.ref,
      sizeBytes: staged.sizeBytes,
      device: copy.device,
      receivedBy: whole ? otherSideReceivedBy(staged.sizeBytes) : 'this-thread',
    });
    return [source, target];
  } catch (error) {
    await source.abort();
    throw error;
  }
}

interface Opened {
  readonly vdi: { readonly ref: string; readonly name: string };
  readonly sr: string;
  readonly base: string | undefined;
  readonly sizeBytes: number;
  readonly device: string;
  readonly receivedBy: ReceivedBy;
}

function open(
  attempt: Attempt,
  pool: Pool,
  { vdi, sr, base, sizeBytes, device, receivedBy }: Opened,
): Promise<DiskReader> {
  const { job, vm, context } = attempt;
  const label = temporaryName(
    { role: 'transfer', job: job.jobId, sr: job.target.srUuid, sourceVm: vm.uuid, run: context.runId },
    `${vm.name} disk ${device} read back`,
  );
  return openExportReader(
    pool,
    {
      vdi: vdi.ref as Ref<'VDI'>,
      sr: sr as Ref<'SR'>,
      ...(base === undefined ? {} : { base: base as Ref<'VDI'> }),
      label,
      sizeBytes,
      name: vdi.name,
      receivedBy,
    },
    context.signal,
  );
}

function explain({ vm }: Attempt, { device }: DiskCopy, found: Found): string {
  const where =
    found.firstDifferenceBytes === null ? '' : `, the first at byte ${String(found.firstDifferenceBytes)}`;
  return (
    `Disk ${device} of VM "${vm.name}" (${vm.uuid}) was read back and is not what was sent: ` +
    `${String(found.differingBlocks)} blocks of 2 MiB differ${where}`
  );
}
