/** People and other programs change what a replication stands on. */
import {
  attachDisk,
  destroyDisk,
  destroyVm,
  detachDisk,
  newestCommit,
  replicaOf,
  startReplica,
  stopReplica,
  writeReplica,
} from '../people';
import { CallRefused } from '../admin';
import type { FaultPoint, Group } from '../point';
import { mib } from '../stage';
import type { Stage } from '../stage';
import { strike } from '../strike';
import type { Blow } from '../strike';
import { busyDisks, until } from '../wait';

const blocked = { fails: 'blocked' } as const;
const full = { onMissingBase: 'full' } as const;
const overwrite = { onDivergence: 'overwrite' } as const;
/** Without its point the replica holds content that nothing vouches for: both policies have to be asked. */
const both = { ...full, ...overwrite } as const;

export function worldGroups(): readonly Group[] {
  return [
    {
      title: 'base gone',
      outcome: 'refused with the reason; a full only when the job’s owner says so',
      points: [
        row('source snapshot deleted', { before: deleteSourceSnapshot, expect: blocked, next: full }),
        row('one disk of the source snapshot deleted', {
          before: async (stage) =>
            destroyDisk(stage, 'source', (await newestCommit(stage)).disks[0]?.sourceVdi ?? ''),
          expect: blocked,
          next: full,
          tolerated: [/snapshot ".*" bears no commit/, /source: 2 snapshots/],
        }),
        row('newest recovery point deleted', { before: deleteNewestPoint, expect: blocked, next: both }),
        row('one disk of the newest recovery point deleted', {
          before: async (stage) => {
            const { vm, disks } = await newestCommit(stage);
            stage.judge.condemn(vm.uuid);
            await destroyDisk(stage, 'target', disks[0]?.vdi ?? '');
          },
          expect: blocked,
          next: both,
          // What is left of a point is its owner's to keep or to delete.
          tolerated: [/target: 3 snapshots/],
        }),
        row('commit of the newest recovery point made unreadable', {
          before: async (stage) => setKey(stage, (await newestCommit(stage)).vm.ref, 'xenrepl:commit', '{'),
          expect: blocked,
          next: both,
          // What cannot be read may be a newer version's: it stays.
          tolerated: [/snapshot ".*" bears no commit/, /target: 3 snapshots/],
        }),
        row('all recovery points deleted', {
          before: async (stage) => {
            await deleteNewestPoint(stage);
            await deleteNewestPoint(stage);
          },
          expect: { fails: 'blocked' },
          next: { ...overwrite, ...full },
        }),
        row('replica deleted with everything', { before: deleteReplica, expect: blocked, next: full }),
        row('replica’s mark taken off', {
          before: async (stage) => setKey(stage, (await replicaOf(stage)).ref, 'xenrepl:replica', null),
          expect: blocked,
          next: full,
          tolerated: [/VM "db1" besides the replica/, /target: \d snapshots/],
        }),
        row('source snapshot deleted while a run goes that has read it', {
          // Little enough to be on its way, all of it, before anybody takes it from the line.
          write: async (stage) => stage.fill(1, 0, 4096, 5),
          gates: [{ side: 'target', method: 'VM.clone', act: deleteSourceSnapshotOnceRead }],
          expect: 'at-once',
        }),
        row('source snapshot to be deleted while a run reads it', {
          // More than fits on the line: its host holds the disk until the run takes it.
          write: async (stage) => stage.fill(1, 0, 24 * mib, 5),
          gates: [{ side: 'target', method: 'VM.clone', act: failToDeleteSourceDisk }],
          expect: 'at-once',
        }),
        gated(
          'source snapshot deleted before the download',
          'source',
          'openExport',
          deleteSourceSnapshot,
          blocked,
          full,
        ),
        gated(
          'newest recovery point deleted while a run goes',
          'target',
          'VM.clone',
          deleteNewestPoint,
          blocked,
          both,
        ),
      ],
    },
    {
      title: 'replica changed',
      outcome: 'nothing of anybody’s is overwritten unless the job’s owner says so',
      points: [
        row('started', { before: startReplica, expect: blocked, remedy: stopReplica, next: overwrite }),
        row('written to', { before: writeReplica, expect: blocked, next: overwrite }),
        row('renamed', {
          before: async (stage) =>
            stage.admin.target.call('VM.set_name_label', (await replicaOf(stage)).ref, 'mine'),
          expect: 'at-once',
        }),
        row('its start allowed again', {
          before: async (stage) =>
            stage.admin.target.call('VM.set_blocked_operations', (await replicaOf(stage)).ref, {}),
          expect: 'at-once',
        }),
        row('a disk detached', {
          before: async (stage) => detachDisk(stage, 'target', (await replicaOf(stage)).ref, '1'),
          expect: 'at-once',
          tolerated: [/target: disk data .* unused/],
        }),
        row('a disk deleted', {
          before: async (stage) =>
            destroyDisk(stage, 'target', (await replicaOf(stage)).disks[1]?.uuid ?? ''),
          expect: 'at-once',
        }),
        row('a disk of somebody’s attached', {
          before: async (stage) => attachDisk(stage, 'target', (await replicaOf(stage)).ref, '7', 'mine'),
          expect: blocked,
          remedy: async (stage) => detachDisk(stage, 'target', (await replicaOf(stage)).ref, '7'),
          tolerated: [/target: disk mine .* unused/],
        }),
        gated(
          'started while a run goes',
          'target',
          'VM.add_to_other_config',
          startReplica,
          // After the last look at it the pool itself refuses to detach a disk of a VM that runs.
          { fails: 'blocked|OPERATION_NOT_ALLOWED' },
          overwrite,
          stopReplica,
        ),
        // Too late to refuse: the disk that was written to is left to whoever did it, detached, and the report warns.
        ...(['VM.add_to_other_config', 'VBD.destroy'] as const).map((method) =>
          row(`written to before ${method} of the exchange`, {
            gates: [{ side: 'target', method, act: writeReplica }],
            expect: 'succeeds',
            tolerated: [/target: disk .* unused/],
          }),
        ),
        row('deleted while a run goes', {
          gates: [{ side: 'target', method: 'VM.add_to_other_config', act: deleteReplica }],
          expect: blocked,
          next: full,
        }),
        row('a snapshot of its owner’s', {
          before: async (stage) =>
            stage.admin.target.call('VM.snapshot', (await replicaOf(stage)).ref, 'mine'),
          expect: 'at-once',
          tolerated: [/target: snapshot "mine" bears no commit/, /target: 3 snapshots/],
        }),
      ],
    },
    {
      title: 'source changed',
      outcome:
        'the replica is that of the snapshot that was taken; a disk without history is sent whole, and it is said',
      points: [
        row('a disk added', { before: addSourceDisk, expect: 'at-once' }),
        row('a disk added while a run goes', {
          gates: [{ side: 'source', method: 'VM.snapshot', act: addSourceDisk }],
          expect: 'succeeds',
        }),
        row('a disk added after the snapshot', {
          gates: [{ side: 'source', method: 'openExport', act: addSourceDisk }],
          expect: 'succeeds',
        }),
        row('a disk removed', {
          before: removeSourceDisk,
          expect: 'at-once',
          tolerated: [/source: disk data .* unused/],
        }),
        row('a disk removed while a run goes', {
          gates: [{ side: 'source', method: 'VM.snapshot', act: removeSourceDisk }],
          expect: 'succeeds',
          tolerated: [/source: disk data .* unused/],
        }),
        row('a disk grown', { before: growSourceDisk, expect: 'at-once' }),
        row('a disk grown while a run goes', {
          gates: [{ side: 'source', method: 'VM.snapshot', act: growSourceDisk }],
          expect: 'succeeds',
        }),
        row('renamed', {
          before: async (stage) =>
            stage.admin.source.call('VM.set_name_label', await sourceVm(stage), 'db1-new'),
          expect: 'at-once',
          remedy: async (stage) => stage.admin.source.call('VM.set_name_label', await sourceVm(stage), 'db1'),
          tolerated: [/source: VM "db1-new"/],
        }),
        row('reverted to the base’s snapshot', {
          before: async (stage) => {
            const { sourceSnapshot } = await newestCommit(stage);
            await stage.admin.source.call('VM.hard_shutdown', await sourceVm(stage));
            await stage.admin.source.call('VM.revert', await stage.admin.source.ref('VM', sourceSnapshot));
          },
          expect: 'at-once',
        }),
        row('a snapshot of its owner’s', {
          before: async (stage) => stage.admin.source.call('VM.snapshot', await sourceVm(stage), 'mine'),
          expect: 'at-once',
          tolerated: [/source: snapshot "mine" bears no commit/, /source: 2 snapshots/],
        }),
        row('halted', {
          before: async (stage) => stage.admin.source.call('VM.hard_shutdown', await sourceVm(stage)),
          expect: 'at-once',
        }),
        row('disk written to all the time', {
          before: async (stage) => {
            const vdi = await stage.site.source.control.diskOf(stage.vm, 1);
            await stage.site.source.control.startWriter({ vdi, writesPerSecond: 500, seed: 5 });
          },
          expect: 'at-once',
        }),
        row('a task of another program named like nothing of ours', {
          before: async (stage) => stage.admin.source.call('task.create', 'somebody’s', ''),
          expect: 'at-once',
          tolerated: [/task somebody/],
        }),
      ],
    },
  ];
}

function row(name: string, blow: Blow): FaultPoint {
  return { name, from: 'own', play: (stage, random) => strike(stage, random, blow) };
}

function gated(
  name: string,
  side: 'source' | 'target',
  method: string,
  act: (stage: Stage) => Promise<unknown>,
  expect: Blow['expect'],
  next: NonNullable<Blow['next']>,
  remedy?: Blow['remedy'],
): FaultPoint {
  let done = false;
  const once = async (stage: Stage): Promise<void> => {
    if (done) return;
    done = true;
    await act(stage);
  };
  const gates = [{ side, method, act: once }];
  // Disks that ran while they were exchanged are left to whoever started them, detached, and the report warns.
  const tolerated = remedy === undefined ? [] : [/target: disk .* unused/];
  return row(name, { gates, expect, next, tolerated, ...(remedy === undefined ? {} : { remedy }) });
}

async function deleteSourceSnapshot(stage: Stage): Promise<void> {
  await stage.judge.remember();
  await destroyVm(stage, 'source', (await newestCommit(stage)).sourceSnapshot);
}

async function deleteSourceSnapshotOnceRead(stage: Stage): Promise<void> {
  await until(
    'the source host lets go of the snapshot',
    async () => (await busyDisks(stage, 'source')) === 0,
  );
  await deleteSourceSnapshot(stage);
}

async function failToDeleteSourceDisk(stage: Stage): Promise<void> {
  const { disks } = await newestCommit(stage);
  const written = disks.find(({ device }) => device === '1')?.sourceVdi ?? '';
  const refusal = await destroyDisk(stage, 'source', written).then(
    () => 'nothing',
    (error: unknown) => (error instanceof CallRefused ? error.code : String(error)),
  );
  if (refusal !== 'VDI_IN_USE') throw new Error(`expected VDI_IN_USE of the deletion, got ${refusal}`);
}

async function deleteNewestPoint(stage: Stage): Promise<void> {
  await destroyVm(stage, 'target', (await newestCommit(stage)).vm.uuid);
}

async function deleteReplica(stage: Stage): Promise<void> {
  const replica = await replicaOf(stage);
  await deleteNewestPoint(stage);
  await deleteNewestPoint(stage);
  await destroyVm(stage, 'target', replica.uuid);
}

async function setKey(stage: Stage, vmRef: string, key: string, value: string | null): Promise<void> {
  const { target } = stage.admin;
  await target.call('VM.remove_from_other_config', vmRef, key);
  if (value !== null) await target.call('VM.add_to_other_config', vmRef, key, value);
}

function sourceVm(stage: Stage): Promise<string> {
  return stage.admin.source.ref('VM', stage.vm);
}

async function addSourceDisk(stage: Stage): Promise<void> {
  await attachDisk(stage, 'source', await sourceVm(stage), '5', 'added');
  await stage.fill(5, mib, 4096, 0x55);
}

async function removeSourceDisk(stage: Stage): Promise<void> {
  const vm = await sourceVm(stage);
  const { source } = stage.admin;
  if ((await source.text('VM.get_power_state', vm)) === 'Running') await source.call('VM.hard_shutdown', vm);
  await detachDisk(stage, 'source', vm, '1');
}

async function growSourceDisk(stage: Stage): Promise<void> {
  const { source } = stage.admin;
  const vm = await sourceVm(stage);
  if ((await source.text('VM.get_power_state', vm)) === 'Running') await source.call('VM.hard_shutdown', vm);
  const vdi = await source.ref('VDI', await stage.site.source.control.diskOf(stage.vm, 1));
  await source.call('VDI.resize', vdi, 32 * mib);
  await stage.fill(1, 31 * mib, 4096, 0x66);
}
