import { warning } from '../../framework';
import type { Attributes, DataSource, Value, ValueObject } from '../../framework';
import { UnreachableError } from '../connections';
import { text } from '../known';
import { usePool } from '../session';
import type { Session, SessionContext } from '../session';
import { canonical } from '../spelling';
import * as check from '../validators';
import type { listReplicas } from '../../../engine/replicas';

type ReplicaSummary = Awaited<ReturnType<typeof listReplicas>>[number];

const computedText = { type: 'string', computed: true } as const;

const disks: Attributes = {
  device: { ...computedText, description: 'Device position of the disk.' },
  vdi_uuid: { ...computedText, description: "Uuid of the recovery point's disk on the target." },
  source_vdi_uuid: { ...computedText, description: 'Uuid of the disk of the source snapshot it equals.' },
  size_bytes: { type: 'number', computed: true, description: 'Virtual size in bytes.' },
};

const recoveryPoints: Attributes = {
  uuid: { ...computedText, description: 'Uuid of the recovery point, a snapshot of the replica.' },
  name: { ...computedText, description: 'Its name label.' },
  taken_at: {
    ...computedText,
    description: 'When the source snapshot was taken (RFC 3339, clock of the source pool).',
  },
  committed_at: {
    ...computedText,
    description: 'When the copy was complete (RFC 3339, clock of the target pool).',
  },
  kind: { ...computedText, description: '`full` or `delta`.' },
  source_snapshot_uuid: { ...computedText, description: 'Uuid of the source snapshot with equal content.' },
  run_id: { ...computedText, description: 'The run that made it.' },
  verified_at: {
    ...computedText,
    description:
      'When it was last read back and compared (RFC 3339, clock of the target pool); null where it never was.',
  },
  verified_mode: { ...computedText, description: '`sampled` or `full`; null where it was never compared.' },
  verified_equal: {
    type: 'bool',
    computed: true,
    description:
      'False where the last comparison found it to differ from its source snapshot: do not recover from it. Null where it was never compared.',
  },
  disks: {
    type: { nesting: 'list', attributes: disks },
    computed: true,
    description: 'Its disks.',
  },
};

const replicas: Attributes = {
  source_vm_uuid: { ...computedText, description: 'Uuid of the VM on the source.' },
  source_vm_name: { ...computedText, description: 'Name of the VM on the source, as of the last run.' },
  replica_uuid: { ...computedText, description: 'Uuid of the replica, the halted VM on the target.' },
  replica_name: { ...computedText, description: 'Name label of the replica.' },
  sr_uuid: { ...computedText, description: 'Uuid of the storage repository of its disks.' },
  state: {
    ...computedText,
    description:
      '`ready`: it can be recovered from; `swapping`: a run is exchanging its disks; `empty`: no recovery point yet.',
  },
  newest_recovery_point_uuid: {
    ...computedText,
    description: 'Uuid of the newest recovery point; null where there is none.',
  },
  newest_recovery_point_at: {
    ...computedText,
    description:
      'When the source snapshot of the newest recovery point was taken (RFC 3339); null where there is none.',
  },
  recovery_points: {
    type: { nesting: 'list', attributes: recoveryPoints },
    computed: true,
    description: 'Recovery points, newest first.',
  },
};

/** `xenrepl_replicas`: what stands on the target for a job, at the moment it is read. */
export const replicasDataSource: DataSource<Session> = {
  noun: 'Replicas',
  schema: {
    version: 0,
    description:
      'Replicas and recovery points of a job, read from the target pool alone. They outlive the job: replicas of a ' +
      'destroyed job are found as well.',
    attributes: {
      target_pool: {
        type: 'string',
        required: true,
        validate: [check.notEmpty],
        description: 'Pool the replicas are kept on, by its name in the pools file.',
      },
      job_id: {
        type: 'string',
        required: true,
        validate: [check.jobId],
        description: 'Identity of the job.',
      },
      id: { ...computedText, description: '`<target_pool>/<job_id>`.' },
      reachable: {
        type: 'bool',
        computed: true,
        description:
          'False where the target pool did not answer and the provider says `on_unreachable = "warn"`; `replicas` is empty then.',
      },
      replicas: {
        type: { nesting: 'list', attributes: replicas },
        computed: true,
        description: 'Replicas by name.',
      },
    },
  },
  read,
};

async function read(config: ValueObject, context: SessionContext): Promise<ValueObject> {
  const { engine, onUnreachable } = context.configured;
  const targetPool = text(config, 'target_pool');
  const jobId = text(config, 'job_id');
  const answer = { target_pool: targetPool, job_id: jobId, id: `${targetPool}/${canonical(jobId)}` };
  try {
    const found = await usePool(context, targetPool, (target) =>
      engine.listReplicas(target, canonical(jobId), context),
    );
    return { ...answer, reachable: true, replicas: found.map(toValue) };
  } catch (failure) {
    if (!(failure instanceof UnreachableError) || onUnreachable === 'fail') throw failure;
    context.report(
      warning(
        `Target Pool "${targetPool}" Is Unreachable`,
        `${failure.message}. Its replicas are not known now.`,
      ),
    );
    return { ...answer, reachable: false, replicas: [] };
  }
}

function toValue(replica: ReplicaSummary): Value {
  const [newest] = replica.points;
  return {
    source_vm_uuid: replica.sourceVmUuid,
    // A replica bears the name its VM had at the last run.
    source_vm_name: replica.name,
    replica_uuid: replica.uuid,
    replica_name: replica.name,
    sr_uuid: replica.srUuid,
    state: replica.state,
    newest_recovery_point_uuid: newest?.uuid ?? null,
    newest_recovery_point_at: newest === undefined ? null : rfc3339(newest.takenAtMs),
    recovery_points: replica.points.map((point) => ({
      uuid: point.uuid,
      name: point.name,
      taken_at: rfc3339(point.takenAtMs),
      committed_at: rfc3339(point.committedAtMs),
      kind: point.kind,
      source_snapshot_uuid: point.sourceSnapshotUuid,
      run_id: point.runId,
      verified_at: point.verified === null ? null : rfc3339(point.verified.atMs),
      verified_mode: point.verified?.mode ?? null,
      verified_equal: point.verified?.equal ?? null,
      disks: point.disks.map((disk) => ({
        device: disk.device,
        vdi_uuid: disk.vdiUuid,
        source_vdi_uuid: disk.sourceVdiUuid,
        size_bytes: disk.sizeBytes,
      })),
    })),
  };
}

function rfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
