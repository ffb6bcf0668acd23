/** Writes the commits: on the recovery point first, on the source snapshot last. */
import type { Pool, Ref, VmRecord } from '../../xapi';
import { formatXapiDate } from '../../xapi';
import { decode, encode, own, withoutReplicationKeys } from '../../planner/keys';
import type { CommittedDisk, SourceCommit, SwapRecord, TargetCommit } from '../../planner/keys';
import { temporaryName } from '../../planner/marks';
import type { ObjectId } from '../../planner/observation';
import { workOf } from '../attempt';
import type { Attempt } from '../attempt';
import { StalePlan } from '../errors';
import { isGone, unlessGone } from './destroy';
import { readSnapshot, readVm } from './read-vm';
import type { FreshDisk, FreshVm } from './read-vm';

type StringMap = Readonly<Record<string, string>>;

/** Snapshots the replica and makes the snapshot a recovery point. */
export async function commitTarget(attempt: Attempt): Promise<void> {
  const { target, job, vm, queues, targetSr } = attempt;
  const replica = attempt.made.need('replica');
  const swap = attempt.made.need('swap');
  const temporary = temporaryName(workOf(attempt, 'point'), replica.name);
  const live = await liveDisks(attempt, swap);
  const ref = await queues.onStorage([targetSr.ref], () =>
    target.call('VM.snapshot', [replica.ref as Ref<'VM'>, temporary]),
  );
  const point = await readSnapshot(target, ref, [...live.values()]);
  const disks = committedDisks(swap, point, live);
  const keys = xoKeys(attempt, swap);
  const plain = withoutReplicationKeys(point.record.other_config);
  const replicaCopy = { 'xenrepl:replica': point.record.other_config['xenrepl:replica'] ?? '' };
  const mark = encode.run({ v: 1, self: point.record.uuid, job: job.jobId, run: swap.run, sr: swap.sr });
  await target.call('VM.set_other_config', [ref, { ...plain, ...replicaCopy, ...mark }]);
  await target.call('VM.set_is_a_template', [ref, false]);
  for (const disk of point.disks) {
    const source = disks.find(({ device }) => device === disk.device)?.sourceVdi;
    if (source !== undefined) await markPointDisk(attempt, disk, { ...keys, 'xo:copy_of': source }, source);
  }
  // Not the replica's: a run that died right after making it left it its temporary name.
  const name = `${vm.name} - ${job.name} ${formatXapiDate(swap.takenAtMs)}`;
  await target.call('VM.set_name_label', [ref, name]);
  const nowMs = await attempt.lock.check();
  const commit: TargetCommit = {
    v: 1,
    self: point.record.uuid,
    job: job.jobId,
    run: swap.run,
    sourceVm: swap.sourceVm,
    sourceSnapshot: swap.sourceSnapshot,
    replica: replica.uuid,
    sr: swap.sr,
    kind: swap.kind,
    takenAtMs: swap.takenAtMs,
    // The pool's clock counts whole seconds, and may be set back: a later commit is later all the same.
    committedAtMs: Math.max(nowMs, attempt.newestCommitMs + 1),
    disks,
    baseSnapshot: swap.baseSnapshot ?? null,
  };
  // One call replaces the mark of an unfinished point by the commit: there is no moment with neither or both.
  await target.call('VM.set_other_config', [
    ref,
    {
      ...plain,
      ...replicaCopy,
      ...keys,
      'xo:copy_of': swap.sourceSnapshot,
      ...encode.targetCommit(commit),
      ...verifiedKeys(attempt, commit, nowMs),
    },
  ]);
  attempt.made.commit = commit;
  attempt.made.point = { ref, uuid: point.record.uuid, name };
}

/** What the run read back of its own disks; nothing where it finishes another's exchange, or did not read all of them. */
function verifiedKeys({ made }: Attempt, commit: TargetCommit, atMs: number): StringMap {
  const found = commit.disks.map(({ device }) => ({ device, verified: made.verified.get(device) }));
  const disks = found.flatMap(({ device, verified }) =>
    verified === undefined ? [] : [{ device, ...verified }],
  );
  const [first] = disks;
  if (first === undefined || disks.length < commit.disks.length) return {};
  return encode.verified({
    v: 1,
    self: commit.self,
    atMs,
    mode: first.mode,
    equal: true,
    disks: disks.map(({ device, comparedBytes }) => ({
      device,
      against: 'source',
      comparedBytes,
      digest: null,
    })),
  });
}

/** Refs of the replica's disks by uuid. */
async function liveDisks(attempt: Attempt, swap: SwapRecord): Promise<ReadonlyMap<string, Ref<'VDI'>>> {
  const { made, target } = attempt;
  const refs = swap.disks.map(async ({ newVdi }): Promise<[string, Ref<'VDI'>]> => {
    const known = made.liveRefs.get(newVdi) as Ref<'VDI'> | undefined;
    return [newVdi, known ?? (await target.call('VDI.get_by_uuid', [newVdi]))];
  });
  return new Map(await Promise.all(refs));
}

/** The snapshot must be of exactly the announced disks: anything else is not what was copied. */
function committedDisks(
  swap: SwapRecord,
  point: FreshVm,
  live: ReadonlyMap<string, Ref<'VDI'>>,
): readonly CommittedDisk[] {
  return swap.disks.map((disk) => {
    const found = point.disks.find(({ device }) => device === disk.device);
    if (found === undefined || found.record.snapshot_of !== live.get(disk.newVdi)) {
      throw new StalePlan(
        `The snapshot of replica "${point.record.name_label}" has at device ${disk.device} ` +
          `${found === undefined ? 'no disk' : `disk ${found.record.uuid}`}, which is no snapshot of ${disk.newVdi}`,
      );
    }
    // A disk that stayed was not written by this run: its content id is all that proves what the snapshot holds.
    if (disk.newVdi === disk.oldVdi && found.record.other_config['content_id'] !== disk.newContentId) {
      throw new StalePlan(
        `Disk ${disk.device} of replica "${point.record.name_label}" was written to meanwhile`,
      );
    }
    return {
      device: disk.device,
      vdi: found.record.uuid,
      sourceVdi: disk.sourceVdi,
      sizeBytes: disk.sizeBytes,
      digest: disk.digest,
      contentId: found.record.other_config['content_id'] ?? null,
    };
  });
}

async function markPointDisk(
  attempt: Attempt,
  disk: FreshDisk,
  keys: StringMap,
  sourceVdi: string,
): Promise<void> {
  const plain = withoutReplicationKeys(disk.record.other_config);
  await attempt.target.call('VDI.set_other_config', [
    disk.ref as Ref<'VDI'>,
    { ...plain, ...keys, 'xo:backup:contentKey': sourceVdi },
  ]);
}

/** The keys by which Xen Orchestra (6.3 and later) knows a recovery point and can go on from it. */
function xoKeys(attempt: Attempt, swap: SwapRecord): StringMap {
  const { job } = attempt;
  return {
    'xo:backup:datetime': formatXapiDate(swap.takenAtMs),
    'xo:backup:job': job.jobId,
    'xo:backup:schedule': job.scheduleId,
    'xo:backup:vm': swap.sourceVm,
    'xo:backup:sr': swap.sr,
    'xo:backup:includeNonNbdQcow2Fix': 'true',
  };
}

/** The source's side of a commit that stands on the target. */
export async function commitSource(attempt: Attempt): Promise<void> {
  const { source, job } = attempt;
  const commit = attempt.made.need('commit');
  await attempt.lock.check();
  const { snapshot, chainLength } = await sourceSnapshot(attempt, commit);
  const ref = snapshot.ref as Ref<'VM'>;
  const keys: StringMap = {
    'xo:backup:datetime': formatXapiDate(commit.takenAtMs),
    'xo:backup:job': job.jobId,
    'xo:backup:schedule': job.scheduleId,
    'xo:backup:vm': commit.sourceVm,
    'xo:backup:exported': 'true',
    'xo:backup:deltaChainLength': String(chainLength),
    'xo:backup:includeNonNbdQcow2Fix': 'true',
  };
  for (const disk of snapshot.disks) {
    const { uuid, other_config: otherConfig } = disk.record;
    if (!commit.disks.some(({ sourceVdi }) => sourceVdi === uuid)) continue;
    await source.call('VDI.set_other_config', [
      disk.ref as Ref<'VDI'>,
      { ...withoutReplicationKeys(otherConfig), ...keys, 'xo:backup:contentKey': uuid },
    ]);
  }
  const record: SourceCommit = {
    v: 1,
    self: snapshot.record.uuid,
    job: commit.job,
    run: commit.run,
    sr: commit.sr,
    point: commit.self,
    replica: commit.replica,
    committedAtMs: commit.committedAtMs,
    disks: commit.disks.map(({ device, vdi, sourceVdi }) => ({ device, vdi: sourceVdi, pointVdi: vdi })),
  };
  const { other_config: otherConfig, uuid } = snapshot.record;
  const mark = own(decode.run(otherConfig, uuid));
  const kept = Object.entries(otherConfig).filter(([key]) => mark === null || key !== 'xenrepl:run');
  await source.call('VM.set_other_config', [
    ref,
    { ...Object.fromEntries(kept), ...keys, ...encode.sourceCommit(record) },
  ]);
}

/** As it is now, hours after it was taken perhaps; in a repair it is another run's. */
async function sourceSnapshot(
  { source, made }: Attempt,
  { sourceSnapshot: uuid, baseSnapshot }: TargetCommit,
): Promise<{ readonly snapshot: FreshVm; readonly chainLength: number }> {
  const taken = made.snapshot;
  if (taken?.id.uuid !== uuid) {
    const snapshot = await readVm(source, await source.call('VM.get_by_uuid', [uuid]));
    return { snapshot, chainLength: await chainLengthOn(source, baseSnapshot ?? null) };
  }
  const vmRef = taken.id.ref as Ref<'VM'>;
  const baseRef = (made.baseSnapshot?.ref ?? null) as Ref<'VM'> | null;
  const { VM, VDI } = await source.read({
    VM: baseRef === null ? [vmRef] : [vmRef, baseRef],
    VDI: taken.disks.map(({ vdi }) => vdi.ref as Ref<'VDI'>),
  });
  const record = VM.get(vmRef);
  if (record === undefined) throw new StalePlan(`Source snapshot "${taken.id.name}" (${uuid}) is gone`);
  const disks = taken.disks.flatMap(({ device, bootable, vdi }) => {
    const disk = VDI.get(vdi.ref as Ref<'VDI'>);
    return disk === undefined ? [] : [{ device, bootable, vbdRef: '', ref: vdi.ref, record: disk }];
  });
  const base = baseRef === null ? undefined : VM.get(baseRef);
  return {
    snapshot: { ref: vmRef, record, disks },
    chainLength: base === undefined ? 0 : chainLengthAfter(base),
  };
}

/** Of a snapshot whose base was made by an earlier run; one that is gone by now tells nothing any more. */
async function chainLengthOn(source: Pool, baseUuid: string | null): Promise<number> {
  if (baseUuid === null) return 0;
  try {
    const ref = await source.call('VM.get_by_uuid', [baseUuid]);
    return chainLengthAfter({ other_config: await source.call('VM.get_other_config', [ref]) });
  } catch (error) {
    if (!isGone(error)) throw error;
    return 0;
  }
}

/** `xo:backup:deltaChainLength` of a snapshot whose base is this one. */
function chainLengthAfter({ other_config: otherConfig }: Pick<VmRecord, 'other_config'>): number {
  const length = Number(otherConfig['xo:backup:deltaChainLength'] ?? '0');
  return Number.isSafeInteger(length) ? length + 1 : 1;
}

/** Only the newest recovery point speaks for a content. */
export async function retirePoints(attempt: Attempt, disks: readonly ObjectId[]): Promise<void> {
  for (const { ref } of disks) {
    await unlessGone(
      attempt.target.call('VDI.remove_from_other_config', [ref as Ref<'VDI'>, 'xo:backup:contentKey']),
    );
  }
}
