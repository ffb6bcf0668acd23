/** Takes over a chain that Xen Orchestra made: looks whether it is what its keys say, then writes our commits on it. */
import type { Ref } from '../../xapi';
import { encode } from '../../planner/keys';
import type { SourceCommit, TargetCommit } from '../../planner/keys';
import { temporaryName } from '../../planner/marks';
import type { ObjectId, XoVerdict } from '../../planner/observation';
import type { XoPair } from '../../planner/plan';
import { workOf } from '../attempt';
import type { Attempt } from '../attempt';
import type { DiskReader } from '../data/extent';
import { paced } from '../data/pace';
import { openExportReader } from '../data/read-export';
import { StalePlan } from '../errors';
import { xoTransferMark } from '../observe/xo-transfer';
import { compareDisk } from '../seed/compare';
import { seedBlockBytes } from '../seed/blocks';
import { sampleBytesDefault } from '../seed/verify';
import { readVm } from './read-vm';
import { whileReading } from './serving-hosts';

/** Reads both sides; what it finds is handed to the next plan, which decides. */
export async function compareChain(
  attempt: Attempt,
  pair: XoPair,
  verify: 'sampled' | 'full',
): Promise<XoVerdict> {
  const differences: string[] = [];
  for (const disk of pair.disks) {
    const difference = await compareOne(attempt, disk, verify);
    if (difference !== null) differences.push(difference);
  }
  return { point: pair.point.uuid, difference: differences.length === 0 ? null : differences.join('; ') };
}

async function compareOne(
  attempt: Attempt,
  disk: XoPair['disks'][number],
  verify: 'sampled' | 'full',
): Promise<string | null> {
  const { source, target, targetSr, context, queues } = attempt;
  const { device, sizeBytes, sourceVdi, pointVdi, sourceSr } = disk;
  const open = (pool: typeof source, vdi: ObjectId, srRef: string): Promise<DiskReader> =>
    openExportReader(
      pool,
      {
        vdi: vdi.ref as Ref<'VDI'>,
        sr: srRef as Ref<'SR'>,
        label: temporaryName(workOf(attempt, 'transfer'), `compares ${attempt.vm.name} disk ${device}`),
        sizeBytes,
        name: vdi.name,
      },
      context.signal,
    );
  const { signal } = context;
  const { pace, nice } = queues;
  const compare = async (): ReturnType<typeof compareDisk> => {
    const reader = await open(source, sourceVdi, sourceSr.ref);
    let copy: DiskReader;
    try {
      copy = await open(target, pointVdi, targetSr.ref);
    } catch (error) {
      await reader.abort();
      throw error;
    }
    return compareDisk({ kind: 'source', reader: paced(reader, pace, signal) }, copy, {
      sampleBytes: verify === 'sampled' ? sampleBytesDefault : null,
      signal,
      onProgress: () => undefined,
    });
  };
  // It reads the source as a copy does, so it keeps to the same limits.
  const { comparedBytes, differing } = await queues.transfer(
    [sourceSr.ref, targetSr.ref],
    () =>
      whileReading(
        { source, nice, signal },
        { vdi: sourceVdi, srRef: sourceSr.ref, method: 'export' },
        compare,
      ),
    signal,
  );
  if (differing.size === 0) return null;
  const [first = 0] = differing.indices();
  return (
    `disk ${device} differs in ${String(differing.size)} of the blocks up to ${String(comparedBytes)}, ` +
    `the first at ${String(first * seedBlockBytes)}`
  );
}

/**
 * Commits the pair: first the mark on the replica, then the recovery point, last the source. Xen Orchestra's keys stay, so
 * that it can go on from there as well. A crash in between leaves what the next run judges again, or finishes.
 */
export async function adoptChain(attempt: Attempt, pair: XoPair): Promise<void> {
  const { source, target, job, context, vm } = attempt;
  await attempt.lock.check();
  await markReplicaDisks(attempt, pair);
  const mark = encode.replica({
    v: 1,
    self: pair.replica.uuid,
    job: job.jobId,
    sourceVm: vm.uuid,
    sr: job.target.srUuid,
  });
  const commit: TargetCommit = {
    v: 1,
    self: pair.point.uuid,
    job: job.jobId,
    run: context.runId,
    sourceVm: vm.uuid,
    sourceSnapshot: pair.sourceSnapshot.uuid,
    replica: pair.replica.uuid,
    sr: job.target.srUuid,
    kind: 'full',
    takenAtMs: pair.takenAtMs,
    committedAtMs: Math.max(await target.serverTime(), attempt.newestCommitMs + 1),
    disks: pair.disks.map(({ device, pointVdi, sourceVdi, sizeBytes }) => ({
      device,
      vdi: pointVdi.uuid,
      sourceVdi: sourceVdi.uuid,
      sizeBytes,
      digest: null,
    })),
  };
  await addKeys(target, pair.replica, mark);
  await addKeys(target, pair.point, { ...mark, ...encode.targetCommit(commit) });
  await attempt.lock.check();
  await addKeys(source, pair.sourceSnapshot, encode.sourceCommit(counterpart(commit)));
}

/**
 * Every disk of a replica bears the SR's key, by which the run that replaces it knows that it may go. Xen Orchestra does
 * not know our lock: it may have begun a run while the content was compared.
 *
 * @throws StalePlan where it did.
 */
async function markReplicaDisks({ target, job }: Attempt, { replica }: XoPair): Promise<void> {
  const { record, disks } = await readVm(target, replica.ref);
  const transfer = xoTransferMark(
    record,
    disks.map((disk) => disk.record),
  );
  if (transfer !== null) {
    throw new StalePlan(`Replica "${replica.name}" (${replica.uuid}) is being written to: ${transfer}`);
  }
  for (const disk of disks) {
    if (disk.record.other_config['xo:backup:sr'] !== undefined) continue;
    await target.call('VDI.add_to_other_config', [disk.ref as Ref<'VDI'>, 'xo:backup:sr', job.target.srUuid]);
  }
}

async function addKeys(
  pool: Attempt['target'],
  object: ObjectId,
  keys: Readonly<Record<string, string>>,
): Promise<void> {
  const ref = object.ref as Ref<'VM'>;
  const present = await pool.call('VM.get_other_config', [ref]);
  await pool.call('VM.set_other_config', [ref, { ...present, ...keys }]);
}

function counterpart(commit: TargetCommit): SourceCommit {
  const { job, run, sr, replica, committedAtMs } = commit;
  return {
    v: 1,
    self: commit.sourceSnapshot,
    job,
    run,
    sr,
    point: commit.self,
    replica,
    committedAtMs,
    disks: commit.disks.map(({ device, vdi, sourceVdi }) => ({ device, vdi: sourceVdi, pointVdi: vdi })),
  };
}
