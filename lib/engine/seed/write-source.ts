/** What attaching a seed writes on the source pool, last of all: with it the pair is a base. */
import type { Pool, Ref } from '../../xapi';
import { formatXapiDate } from '../../xapi';
import { decode, encode, own, withoutReplicationKeys } from '../../planner/keys';
import type { SourceCommit, TargetCommit } from '../../planner/keys';
import type { SeedJob, SeedPlan } from '../../planner/seed';
import { unlessGone } from '../steps/destroy';
import { readVm } from '../steps/read-vm';
import type { Undo } from './undo';

type StringMap = Readonly<Record<string, string>>;

export async function commitSourceSnapshot(
  source: Pool,
  job: SeedJob,
  plan: SeedPlan,
  commit: TargetCommit,
  knownGood: boolean,
  undo: Undo,
): Promise<void> {
  const snapshot = await readVm(source, plan.snapshot.id.ref);
  const keys: StringMap = {
    'xo:backup:datetime': formatXapiDate(commit.takenAtMs),
    'xo:backup:job': job.jobId,
    'xo:backup:schedule': job.scheduleId,
    'xo:backup:vm': commit.sourceVm,
    'xo:backup:exported': 'true',
    'xo:backup:deltaChainLength': '0',
    ...(knownGood ? { 'xo:backup:includeNonNbdQcow2Fix': 'true' } : {}),
  };
  for (const disk of snapshot.disks) {
    const { uuid, other_config: before } = disk.record;
    const ref = disk.ref as Ref<'VDI'>;
    undo.before(`keys of source disk ${uuid}`, async (options) => {
      await unlessGone(source.call('VDI.set_other_config', [ref, before], options));
    });
    await source.call('VDI.set_other_config', [
      ref,
      { ...withoutReplicationKeys(before), ...keys, 'xo:backup:contentKey': uuid },
    ]);
  }
  const ref = snapshot.ref as Ref<'VM'>;
  const before = snapshot.record.other_config;
  undo.before('commit of the source snapshot', async (options) => {
    await unlessGone(source.call('VM.set_other_config', [ref, before], options));
  });
  // An export took it, or a person did, who may want it for good.
  const mark = own(decode.seedSnapshot(before, snapshot.record.uuid));
  const marked = mark === null ? {} : encode.seedSnapshot(mark);
  // One call, so that there is no moment with some of it.
  await source.call('VM.set_other_config', [
    ref,
    { ...withoutReplicationKeys(before), ...marked, ...keys, ...recordOf(commit, mark === null) },
  ]);
}

function recordOf(commit: TargetCommit, kept: boolean): StringMap {
  const record: SourceCommit = {
    v: 1,
    self: commit.sourceSnapshot,
    job: commit.job,
    run: commit.run,
    sr: commit.sr,
    point: commit.self,
    replica: commit.replica,
    committedAtMs: commit.committedAtMs,
    disks: commit.disks.map(({ device, vdi, sourceVdi }) => ({ device, vdi: sourceVdi, pointVdi: vdi })),
    kept,
  };
  return encode.sourceCommit(record);
}
