/** One recovery point: finds its disks and their yardsticks, compares, and leaves the result on the point. */
import { NbdError } from '../../nbd';
import { isNullRef, XapiError } from '../../xapi';
import type { Pool, Ref, VdiRecord } from '../../xapi';
import { decode, encode, keys, own } from '../../planner/keys';
import type { TargetCommit, VerifiedMark } from '../../planner/keys';
import { chanceOfFinding, markAfter, sampleBlocks, wholeDigestOf, yardstickOf } from '../../planner/verify';
import type { VerifiableDisk, Yardstick } from '../../planner/verify';
import type { DiskReader } from '../data/extent';
import { otherSideReceivedBy } from '../data/other-side';
import { paced } from '../data/pace';
import { openExportReader } from '../data/read-export';
import { isServedOverNbd, openNbdReader } from '../data/read-nbd';
import { ReplicationError } from '../errors';
import type { RecoveryPointSummary, ReplicaSummary } from '../replicas';
import { summarise } from '../replicate-vm';
import { blockCount, seedBlockBytes } from '../seed/blocks';
import { whileReading } from '../steps/serving-hosts';
import { compareChosen, compareWithDigest, compareWithSource, rangesOf } from './read-back';
import type { ReadBack } from './read-back';
import { outcomeOfDisks } from './report';
import type { PointOutcome, PointVerification, VerifiedDiskReport } from './report';
import type { Verifying } from './verify-job';

/** Never throws but when it is told to stop: what went wrong is the outcome. */
export async function verifyPoint(
  options: Verifying,
  replica: ReplicaSummary,
  { uuid, name, takenAtMs }: RecoveryPointSummary,
): Promise<PointVerification> {
  const { context, mode } = options;
  const vm = { uuid: replica.sourceVmUuid, name: replica.name };
  const point = { uuid, name, takenAtMs };
  const startedMs = context.clock.nowMs();
  context.emit({ kind: 'verify-point-started', vm, point });
  const disks: VerifiedDiskReport[] = [];
  const outcome = await compareAll({ options, vm, uuid }, disks).catch(
    async (error: unknown): Promise<PointOutcome> => {
      context.signal.throwIfAborted();
      if (await isGone(options.target, uuid, context.signal)) return { kind: 'superseded' };
      return { kind: 'failed', error: summarise(error) };
    },
  );
  const durationMs = Math.round(context.clock.nowMs() - startedMs);
  const result: PointVerification = { vm, point, mode, outcome, disks, durationMs };
  context.emit({ kind: 'verify-point-finished', result });
  return result;
}

interface Work {
  readonly options: Verifying;
  readonly vm: PointVerification['vm'];
  /** Of the recovery point. */
  readonly uuid: string;
}

async function compareAll(work: Work, done: VerifiedDiskReport[]): Promise<PointOutcome> {
  const { target, context } = work.options;
  const { signal } = context;
  const ref = await target.call('VM.get_by_uuid', [work.uuid], { signal });
  const config = await target.call('VM.get_other_config', [ref], { signal });
  const commit = own(decode.targetCommit(config, work.uuid));
  if (commit === null) {
    throw new ReplicationError('point-missing', `VM ${work.uuid} bears no commit that names it`, {
      retry: 'never',
      hint: 'list recovery points with: xenrepl replicas',
    });
  }
  const earlier = own(decode.verified(config, work.uuid));
  const digests = new Map<string, string | null>();
  const inOrder = [...commit.disks].sort((a, b) => Number(a.device) - Number(b.device));
  try {
    for (const disk of inOrder) {
      const { report, digest } = await compareDiskOf(work, commit, earlier, disk.device);
      done.push(report);
      digests.set(disk.device, digest);
    }
  } catch (error) {
    // That another disk could not be read makes a wrong one no better: no delta may be built on it.
    if (outcomeOfDisks(done).kind === 'differs') await keepResult(work, ref, done, digests);
    throw error;
  }
  const outcome = outcomeOfDisks(done);
  if (outcome.kind === 'not-verifiable') return outcome;
  const kept = await keepResult(work, ref, done, digests);
  return outcome.kind === 'equal' && !kept.equal ? { kind: 'differed-before' } : outcome;
}

async function compareDiskOf(
  work: Work,
  commit: TargetCommit,
  earlier: VerifiedMark | null,
  device: string,
): Promise<{ readonly report: VerifiedDiskReport; readonly digest: string | null }> {
  const { source, target, mode, context } = work.options;
  const committed = commit.disks.find((disk) => disk.device === device);
  if (committed === undefined) throw new RangeError(`no disk ${device} in the commit`);
  const { signal } = context;
  const pointVdi = await readVdi(target, committed.vdi, signal);
  if (pointVdi === null) {
    throw new ReplicationError(
      'point-missing',
      `Disk ${device} (${committed.vdi}) of recovery point ${work.uuid} is gone from pool "${target.name}"`,
      { retry: 'never', hint: 'recover from another recovery point; the next run makes a new one' },
    );
  }
  const sourceVdi = source === null ? null : await readVdi(source, committed.sourceVdi, signal);
  const known: VerifiableDisk = {
    device,
    sizeBytes: pointVdi.record.virtual_size,
    contentBytes: committed.sizeBytes,
    source: sourceVdi === null ? null : sourceSide(sourceVdi),
    sourceMissing: source === null ? 'the source pool does not answer' : 'its source snapshot is gone',
    commitDigest: committed.digest,
    commitKind: commit.kind,
    verifiedDigest:
      earlier?.equal === true ? (earlier.disks.find((disk) => disk.device === device)?.digest ?? null) : null,
  };
  const yardstick = yardstickOf(known, mode);
  if (yardstick.kind === 'nothing') return { report: notCompared(known, yardstick.reason), digest: null };
  const found = await readBack(work, known, pointVdi, yardstick);
  const blocks = blockCount(known.sizeBytes);
  const report: VerifiedDiskReport = {
    device,
    against: yardstick.kind,
    sizeBytes: known.sizeBytes,
    sample: found.sample,
    comparedBytes: found.comparedBytes,
    chanceOfFinding: chanceOfFinding(blockCount(found.comparedBytes), blocks),
    differingBlocks: found.differingBlocks,
    firstDifferenceBytes: found.firstDifferenceBytes,
    reason: found.reason,
  };
  // What is found equal to the source has the digest that is recorded of it.
  return { report, digest: found.digest ?? known.verifiedDigest };
}

interface FoundVdi {
  readonly ref: Ref<'VDI'>;
  readonly record: VdiRecord;
}

function sourceSide({ ref, record }: FoundVdi): VerifiableDisk['source'] {
  return {
    vdi: { ref, uuid: record.uuid, name: record.name_label },
    srRef: record.SR,
    sizeBytes: record.virtual_size,
    hasData: record.type !== 'cbt_metadata',
  };
}

function notCompared({ device, sizeBytes }: VerifiableDisk, reason: string): VerifiedDiskReport {
  return {
    device,
    against: 'nothing',
    sizeBytes,
    sample: 'whole',
    comparedBytes: 0,
    chanceOfFinding: 0,
    differingBlocks: 0,
    firstDifferenceBytes: null,
    reason,
  };
}

async function readBack(
  work: Work,
  known: VerifiableDisk,
  pointVdi: FoundVdi,
  yardstick: Exclude<Yardstick, { kind: 'nothing' }>,
): Promise<ReadBack & { readonly reason: string }> {
  const { source, target, mode, sampleBytes, pacing, context } = work.options;
  const { pace, nice } = pacing;
  const { signal } = context;
  const { record } = pointVdi;
  const { device } = known;
  const label = `xenrepl ${context.runId} verifies ${work.vm.name} disk ${device}`;
  const options = {
    sampleBytes: mode === 'sampled' ? sampleBytes : null,
    signal,
    onProgress: (bytesDone: number) =>
      context.emit({
        kind: 'verify-progress',
        vm: work.vm,
        device,
        bytesDone,
        bytesExpected: record.virtual_size,
      }),
  };
  let reason = '';
  if (source !== null && mode === 'sampled' && yardstick.kind === 'source') {
    const found = await compareAtRandom({
      work,
      source,
      pointVdi,
      yardstick,
      onProgress: options.onProgress,
    });
    if (typeof found !== 'string') return { ...found, reason: '' };
    reason = found;
  }
  const { virtual_size: sizeBytes, SR: sr, name_label: name } = record;
  const isWhole = yardstick.kind === 'source' && mode === 'full';
  const receivedBy = isWhole ? otherSideReceivedBy(sizeBytes) : 'this-thread';
  const ofPoint = await openExportReader(
    target,
    { vdi: pointVdi.ref, sr, name, label, sizeBytes, receivedBy },
    signal,
  );
  if (yardstick.kind === 'digest') {
    const wanted = { digest: yardstick.digest, contentBytes: known.contentBytes };
    return { ...(await compareWithDigest(wanted, paced(ofPoint, pace, signal), options)), reason };
  }
  try {
    if (source === null) throw new RangeError('a source disk without a source pool');
    const { vdi, srRef } = yardstick;
    const wanted = {
      vdi: vdi.ref as Ref<'VDI'>,
      sr: srRef as Ref<'SR'>,
      name: vdi.name,
      label,
      sizeBytes: yardstick.sizeBytes,
    };
    const ofSource = paced(await openExportReader(source, wanted, signal), pace, signal);
    const comparison = { ...options, takeDigest: wholeDigestOf(known) === null };
    const found = await whileReading({ source, nice, signal }, { vdi, srRef, method: 'export' }, () =>
      compareWithSource(ofSource, ofPoint, comparison),
    );
    return { ...found, reason };
  } catch (error) {
    await ofPoint.abort();
    throw error;
  }
}

interface RandomSample {
  readonly work: Work;
  readonly source: Pool;
  readonly pointVdi: FoundVdi;
  readonly yardstick: Extract<Yardstick, { kind: 'source' }>;
  readonly onProgress: (bytesDone: number) => void;
}

/** Blocks from all over the disk, or why not: an export can only be read from its start. */
async function compareAtRandom(sample: RandomSample): Promise<ReadBack | string> {
  const { work, source, pointVdi, yardstick, onProgress } = sample;
  const { target, sampleBytes, pacing, context } = work.options;
  const { pace, nice } = pacing;
  const { signal } = context;
  const { virtual_size: sizeBytes, name_label: name } = pointVdi.record;
  if (yardstick.sizeBytes !== sizeBytes) return 'the disks of both sides are not equally long';
  const sourceVdi = yardstick.vdi.ref as Ref<'VDI'>;
  const served = [
    isServedOverNbd(source, sourceVdi, signal).catch(refused),
    isServedOverNbd(target, pointVdi.ref, signal).catch(refused),
  ];
  if (!(await Promise.all(served)).every(Boolean)) return 'not both pools serve NBD';
  const wanted = Math.max(1, Math.ceil(sampleBytes / seedBlockBytes));
  const indices = sampleBlocks(blockCount(sizeBytes), wanted, context.random);
  const shared = { sizeBytes, startBytes: 0, ranges: rangesOf(indices, sizeBytes) };
  try {
    const ofPoint = await openNbdReader(target, { vdi: pointVdi.ref, name, ...shared }, signal);
    let ofSource: DiskReader;
    try {
      ofSource = await openNbdReader(source, { vdi: sourceVdi, name: yardstick.vdi.name, ...shared }, signal);
    } catch (error) {
      await ofPoint.abort();
      throw error;
    }
    const { vdi, srRef } = yardstick;
    return await whileReading({ source, nice, signal }, { vdi, srRef, method: 'nbd' }, () =>
      compareChosen(indices, paced(ofSource, pace, signal), ofPoint, { signal, onProgress }),
    );
  } catch (error) {
    signal.throwIfAborted();
    // What a pool offers may not be within reach from here: behind another network, or with another certificate.
    if (error instanceof NbdError) return error.message;
    throw error;
  }
}

/** A pool that does not tell, as to an account that may not ask, is read by export. */
function refused(error: unknown): false {
  if (error instanceof XapiError) return false;
  throw error;
}

/** Two verifications at once replace each other's result a few times at most. */
const keepAttemptsMax = 5;

/**
 * Replaces what an earlier verification left, and returns what stands on the point now. Not to be stopped: between the two
 * calls nothing says that a point differs.
 */
async function keepResult(
  { options, uuid }: Work,
  ref: Ref<'VM'>,
  disks: readonly VerifiedDiskReport[],
  digests: ReadonlyMap<string, string | null>,
): Promise<VerifiedMark> {
  const { target, mode, sinceMs } = options;
  const compared = disks.filter(({ against }) => against !== 'nothing');
  const found: VerifiedMark = {
    v: 1,
    self: uuid,
    atMs: await target.serverTime(),
    sinceMs,
    mode,
    equal: disks.every(({ differingBlocks }) => differingBlocks === 0),
    disks: compared.map(({ device, against, comparedBytes, differingBlocks }) => ({
      device,
      against: against === 'digest' ? 'digest' : 'source',
      comparedBytes,
      digest: differingBlocks === 0 ? (digests.get(device) ?? null) : null,
    })),
  };
  const isWhole = disks.every(({ against, sample }) => against !== 'nothing' && sample === 'whole');
  for (let attempt = 1; ; attempt += 1) {
    const earlier = own(decode.verified(await target.call('VM.get_other_config', [ref]), uuid));
    const mark = markAfter(earlier, found, isWhole);
    if (mark === earlier) return mark;
    try {
      await target.call('VM.remove_from_other_config', [ref, keys.verified]);
      for (const [key, value] of Object.entries(encode.verified(mark)))
        await target.call('VM.add_to_other_config', [ref, key, value]);
      return mark;
    } catch (error) {
      const isTaken = error instanceof XapiError && error.code === 'MAP_DUPLICATE_KEY';
      if (!isTaken || attempt === keepAttemptsMax) throw error;
    }
  }
}

async function readVdi(pool: Pool, uuid: string, signal: AbortSignal): Promise<FoundVdi | null> {
  try {
    const ref = await pool.call('VDI.get_by_uuid', [uuid], { signal });
    return isNullRef(ref) ? null : { ref, record: await pool.call('VDI.get_record', [ref], { signal }) };
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
}

async function isGone(target: Pool, uuid: string, signal: AbortSignal): Promise<boolean> {
  try {
    await target.call('VM.get_by_uuid', [uuid], { signal });
    return false;
  } catch (error) {
    return isAbsence(error);
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof XapiError && (error.code === 'UUID_INVALID' || error.code === 'HANDLE_INVALID');
}
