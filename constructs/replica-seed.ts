import { Construct } from 'constructs';
import type { ITerraformDependable } from 'cdktf';
import { Seed } from './bindings/seed';
import { checkedChoice, checkedText, checkedUuids } from './checked';
import type { IReplicationJob } from './replication-job';
import { fromStackFolder } from './stack-path';

/** A copy that was carried by hand, and what it is a copy of. */
export interface ReplicaSeedProps {
  /**
   * Job that goes on from there: a `ReplicationJob`, best with `initialCopy: 'seed'`, so that no run sends everything
   * before the seed is there; or `{ targetPool, jobId }` of a job made elsewhere.
   */
  readonly job: IReplicationJob;
  /** Snapshot on the source pool that was carried, by uuid. Keep it until a run has made a newer one. */
  readonly sourceSnapshotUuid: string;
  /** The VM that it became on the target pool, by uuid. Halted, and never started. */
  readonly targetVmUuid: string;
  /**
   * How the content is compared before the VM is called a replica: `full` reads both sides from end to end, `sampled` the
   * first data of each disk, `none` trusts you.
   * @default 'sampled'
   */
  readonly verify?: 'none' | 'sampled' | 'full';
  /**
   * Folder that `xenrepl seed export` wrote, with its digests: the target is compared with these, and no disk of the source
   * is read. Needed only until the seed is attached. A relative path starts at the directory the app is synthesized in.
   * @default - none: what is compared is read from both sides
   */
  readonly digests?: string;
  /**
   * Sends the blocks that differ; compares in full.
   * @default false - a difference is an error
   */
  readonly repair?: boolean;
}

/**
 * A replica that was carried to the target by hand instead of being sent: the first run of its job sends what changed
 * since. It may stay in the app for ever: once runs have gone on with it, it says only that this was done.
 *
 *     new ReplicaSeed(this, 'db1-seed', {
 *       job,
 *       sourceSnapshotUuid: '0f2f2a3c-6f0c-4c4e-9a53-2d4bb1ac1a01',
 *       targetVmUuid: '6b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10',
 *     });
 */
export class ReplicaSeed extends Construct {
  readonly #resource: Seed;

  constructor(scope: Construct, id: string, props: ReplicaSeedProps) {
    super(scope, id);
    const { job, sourceSnapshotUuid, targetVmUuid, verify, digests, repair } = props;
    checkedUuids('sourceSnapshotUuid', [sourceSnapshotUuid], 'names of snapshots are not unique on a pool');
    checkedUuids('targetVmUuid', [targetVmUuid], 'names of VMs are not unique on a pool');
    if (verify !== undefined) {
      checkedChoice('verify', verify, ['none', 'sampled', 'full'], 'it says how much is compared');
    }
    if (digests !== undefined) checkedText('digests', digests, 'leave it out to compare with the source');
    if (repair === true && (verify === 'none' || verify === 'sampled')) {
      throw new Error(
        `verify cannot be '${verify}' where repair is true: what was not read cannot be repaired. Leave verify out`,
      );
    }
    this.#resource = new Seed(this, 'Default', {
      targetPool: job.targetPool,
      jobId: job.jobId,
      sourceSnapshotUuid,
      targetVmUuid,
      ...(verify === undefined ? {} : { verify }),
      ...(digests === undefined ? {} : { digests: fromStackFolder(this, digests) }),
      ...(repair === undefined ? {} : { repair }),
      ...(job.provider === undefined ? {} : { provider: job.provider }),
    });
  }

  /** For whatever has to wait until the seed is attached. */
  get dependable(): ITerraformDependable {
    return this.#resource;
  }

  /** Uuid of the VM that it is the replica of. */
  get sourceVmUuid(): string {
    return this.#resource.sourceVmUuid;
  }

  /** Uuid of the recovery point that was made of the seed, also after retention has removed that. */
  get recoveryPointUuid(): string {
    return this.#resource.recoveryPointUuid;
  }

  /**
   * Takes over a seed that was attached already, as `terraform import` does.
   * @param importId `<name of the target pool>/<job id>/<uuid of the VM on the target>`
   */
  importFrom(importId: string): void {
    this.#resource.importFrom(importId);
  }
}
