/** Compares the disks of a seed with the snapshot they are said to be, and sends what differs when asked to. */
import type { Pool, ReceivedBy, Ref } from '../../xapi';
import { temporaryName } from '../../planner/marks';
import type { SeedPair, SeedPlan } from '../../planner/seed';
import type { DiskReader } from '../data/extent';
import { openExportReader } from '../data/read-export';
import { otherSideReceivedBy } from '../data/other-side';
import { paced } from '../data/pace';
import { SegmentWriter } from '../data/write-segments';
import type { SegmentLimits } from '../data/write-segments';
import type { JobPace } from '../job-pace';
import { assertQuiet } from '../steps/quiet';
import { whileReading } from '../steps/serving-hosts';
import { blockLength, BlockSet, blocksOf, seedBlockBytes } from './blocks';
import { compareDisk } from './compare';
import type { BlockDigests, Comparison, Wanted } from './compare';
import type { DiskVerification, SeedContext, VerifyMode } from './context';

/** Of each disk, as much data as this is compared in a sample: tables, file systems' heads, and a good deal of files. */
export const sampleBytesDefault = 256 * 1024 * 1024;

export interface Verification {
  readonly source: Pool;
  readonly target: Pool;
  readonly jobId: string;
  readonly plan: SeedPlan;
  readonly mode: VerifyMode;
  readonly sampleBytes: number;
  /** Digests by device, where the source is not to be read. */
  readonly manifest: ReadonlyMap<string, BlockDigests> | null;
  readonly limits: SegmentLimits;
  readonly pacing: JobPace;
  readonly context: SeedContext;
}

export interface VerifiedDisk {
  readonly pair: SeedPair;
  readonly verification: DiskVerification;
  readonly differing: BlockSet;
}

/** One disk after the other: each takes a stream from either pool. */
export async function verifyDisks(work: Verification): Promise<readonly VerifiedDisk[]> {
  const verified: VerifiedDisk[] = [];
  for (const pair of work.plan.pairs) {
    const { comparedBytes, differing } = await compare(work, pair);
    const verification: DiskVerification = {
      device: pair.device,
      mode: work.mode,
      against: work.manifest === null ? 'source' : 'manifest',
      comparedBytes,
      sizeBytes: pair.target.sizeBytes,
      differingBlocks: differing.size,
    };
    work.context.emit({ kind: 'seed-disk-compared', disk: verification });
    verified.push({ pair, verification, differing });
  }
  return verified;
}

async function compare(work: Verification, pair: SeedPair): Promise<Comparison> {
  const { context, mode } = work;
  if (mode === 'none') return { comparedBytes: 0, differing: new BlockSet(0) };
  const wanted = await openWanted(work, pair);
  let target: DiskReader;
  try {
    const isWhole = wanted.kind === 'source' && mode === 'full';
    const receivedBy = isWhole ? otherSideReceivedBy(pair.target.sizeBytes) : 'this-thread';
    target = await open(work, work.target, pair, 'target', receivedBy);
  } catch (error) {
    if (wanted.kind === 'source') await wanted.reader.abort();
    throw error;
  }
  const { pace } = work.pacing;
  const { signal } = context;
  // Of two streams that are read side by side, one holds up the other.
  const [left, right]: readonly [Wanted, DiskReader] =
    wanted.kind === 'source'
      ? [{ ...wanted, reader: paced(wanted.reader, pace, signal) }, target]
      : [wanted, paced(target, pace, signal)];
  const comparison = (): Promise<Comparison> =>
    compareDisk(left, right, {
      sampleBytes: mode === 'sampled' ? work.sampleBytes : null,
      signal,
      onProgress: (positionBytes) =>
        context.emit({
          kind: 'seed-progress',
          phase: 'compare',
          device: pair.device,
          bytesDone: positionBytes,
          bytesExpected: pair.target.sizeBytes,
        }),
    });
  return wanted.kind === 'source' ? readingSource(work, pair, comparison) : comparison();
}

/** Its hosts are looked at meanwhile, where the job gives way to busy ones. */
function readingSource<T>(
  { source, pacing, context }: Verification,
  pair: SeedPair,
  read: () => Promise<T>,
): Promise<T> {
  const { vdi, sr } = pair.source;
  const reader = { source, nice: pacing.nice, signal: context.signal };
  return whileReading(reader, { vdi, srRef: sr.ref, method: 'export' }, read);
}

async function openWanted(work: Verification, pair: SeedPair): Promise<Wanted> {
  const digests = work.manifest?.get(pair.device);
  if (digests !== undefined) return { kind: 'manifest', digests };
  return { kind: 'source', reader: await open(work, work.source, pair, 'source') };
}

function open(
  work: Verification,
  pool: Pool,
  pair: SeedPair,
  side: 'source' | 'target',
  receivedBy: ReceivedBy = 'this-thread',
): Promise<DiskReader> {
  const disk = pair[side];
  return openExportReader(
    pool,
    {
      vdi: disk.vdi.ref as Ref<'VDI'>,
      sr: disk.sr.ref as Ref<'SR'>,
      label: transferLabel(work, `${work.plan.vm.name} disk ${pair.device} read`),
      sizeBytes: disk.sizeBytes,
      name: disk.vdi.name,
      receivedBy,
    },
    work.context.signal,
  );
}

/** As runs name theirs: the next run of the job removes the tasks of an attachment that was killed. */
function transferLabel({ plan, jobId, context }: Verification, text: string): string {
  const { sr, vm } = plan;
  const work = { job: jobId, sr: sr.uuid, sourceVm: vm.uuid, run: context.runId };
  return temporaryName({ role: 'transfer', ...work }, text);
}

/**
 * Sends the blocks that differ, of one disk. The export cannot be read while the disk is written to, so this is a second
 * pass over the source; an interrupted one leaves a disk that differs, which the next comparison finds.
 */
export async function repairDisk(work: Verification, { pair, differing }: VerifiedDisk): Promise<void> {
  const { context, target } = work;
  const { vdi, sr } = pair.target;
  const opened = await open(work, work.source, pair, 'source');
  const reader = paced(opened, work.pacing.pace, context.signal);
  const writer = new SegmentWriter(
    target,
    {
      vdi: vdi.ref as Ref<'VDI'>,
      sr: sr.ref as Ref<'SR'>,
      label: transferLabel(work, `${work.plan.target.id.name} disk ${pair.device} repaired`),
    },
    {
      clock: context.clock,
      signal: context.signal,
      limits: work.limits,
      assertQuiet: () => assertQuiet(target, vdi, context.clock, context.signal, { signal: context.signal }),
      onSegment: () => undefined,
      // Begun again, a repair compares first: nothing is to be remembered.
      checkpoints: { confirmed: () => Promise.resolve(), offering: () => Promise.resolve() },
    },
  );
  try {
    const wanted = [...differing.indices()];
    await readingSource(work, pair, () => sendBlocks(work, pair, reader, writer, wanted));
    await reader.finish();
    await writer.finish();
  } catch (error) {
    await Promise.all([reader.abort(), writer.abort()]);
    throw error;
  }
  context.emit({
    kind: 'seed-disk-repaired',
    device: pair.device,
    blocks: differing.size,
    bytesSent: writer.bytesSent,
  });
}

async function sendBlocks(
  work: Verification,
  pair: SeedPair,
  reader: DiskReader,
  writer: SegmentWriter,
  wanted: readonly number[],
): Promise<void> {
  const { context } = work;
  const { sizeBytes } = pair.source;
  let next = 0;
  const send = async (index: number, data: Uint8Array): Promise<void> => {
    const offsetBytes = index * seedBlockBytes;
    await writer.write({ offsetBytes, data });
    await writer.endOfPiece(offsetBytes + data.length, () => '');
    next += 1;
  };
  const zerosBefore = async (end: number): Promise<void> => {
    for (let index = wanted[next]; index !== undefined && index < end; index = wanted[next]) {
      await send(index, Buffer.alloc(blockLength(index, sizeBytes)));
    }
  };
  for await (const { index, data } of blocksOf(reader.extents(), sizeBytes)) {
    context.signal.throwIfAborted();
    await zerosBefore(index);
    if (wanted[next] === index) await send(index, data);
    const bytesDone = Math.min((index + 1) * seedBlockBytes, sizeBytes);
    context.emit({
      kind: 'seed-progress',
      phase: 'repair',
      device: pair.device,
      bytesDone,
      bytesExpected: sizeBytes,
    });
  }
  await zerosBefore(Infinity);
}
