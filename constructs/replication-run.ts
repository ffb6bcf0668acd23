import { Resource as NullResource } from '@cdktf/provider-null/lib/resource';
import { DataResource, Fn, Lazy, TerraformOutput, Token } from 'cdktf';
import type { IResolvable, LocalExecProvisioner, TerraformResource } from 'cdktf';
import { Construct } from 'constructs';
import { DataXenreplReplicas } from './bindings/data-xenrepl-replicas';
import type { DataXenreplReplicasReplicasList } from './bindings/data-xenrepl-replicas';
import { checkedChoice, checkedText } from './checked';
import { ensureNullProvider } from './null-provider';
import { XenReplicationProvider } from './provider';
import type { ReplicaSeed } from './replica-seed';
import type { IReplicationJob } from './replication-job';
import { cliInStack } from './stack-delivery';

/** Which job to run inside apply, and when. */
export interface ReplicationRunProps {
  /** The job to run. */
  readonly job: IReplicationJob;
  /**
   * The job runs in the apply that creates this construct, and in every apply that sees another trigger: a date, a
   * release, the number of a build.
   * @default '1'
   */
  readonly trigger?: string;
  /**
   * Resource that the run hangs on. `terraform_data` is built into Terraform (from 1.4) and needs no provider at all.
   * Changing it runs the job once more.
   * @default 'null_resource'
   */
  readonly resource?: 'null_resource' | 'terraform_data';
  /**
   * Seeds that have to be attached before: without them a job that waits for its seed has nothing to do.
   * @default - none
   */
  readonly seeds?: readonly ReplicaSeed[];
}

/**
 * One run of a job inside `cdktf deploy`, with its progress on the screen. A run that fails fails the apply and taints
 * itself only: the job stays, and the next apply runs again, from where the replicas stand.
 *
 *     const run = new ReplicationRun(this, 'first-run', { job });
 *     run.replicas.get(0).newestRecoveryPointAt;
 */
export class ReplicationRun extends Construct {
  /**
   * A trigger that runs the job in every deploy. With it a plan is never empty: `terraform plan -detailed-exitcode`
   * answers 2 for ever, and a drift check that relies on it is blind. For a steady pace give the job a `Schedule`.
   */
  static onEverySynth(): string {
    return `synth at ${new Date().toISOString()}`;
  }

  /**
   * The replicas as they stand after the run, with their recovery points: the data source `xenrepl_replicas`, read after
   * the run in the same apply. In a plan that will run the job its values are not known yet.
   */
  readonly replicas: DataXenreplReplicasReplicasList;
  /** Whether the target pool answered when the replicas were read; matters with `onUnreachable: 'warn'` only. */
  readonly reachable: IResolvable;
  readonly #job: IReplicationJob;
  readonly #data: DataXenreplReplicas;

  constructor(
    scope: Construct,
    id: string,
    { job, trigger = '1', resource = 'null_resource', seeds = [] }: ReplicationRunProps,
  ) {
    super(scope, id);
    checkedText('trigger', trigger, 'a change of it is what starts a run');
    checkedChoice(
      'resource',
      resource,
      ['null_resource', 'terraform_data'],
      'Terraform has no other for this',
    );
    this.#job = job;
    const triggers = { trigger, job: job.jobId };
    const dependsOn = seeds.map((seed) => seed.dependable);
    const common = { provisioners: [this.#provisioner()], ...(dependsOn.length === 0 ? {} : { dependsOn }) };
    const after: TerraformResource =
      resource === 'terraform_data'
        ? new DataResource(this, 'Default', { triggersReplace: triggers, ...common })
        : new NullResource(this, 'Default', { triggers, ...common });
    if (resource === 'null_resource') ensureNullProvider(this);
    this.#data = new DataXenreplReplicas(this, 'replicas', {
      targetPool: job.targetPool,
      jobId: job.jobId,
      dependsOn: [after],
      ...(job.provider === undefined ? {} : { provider: job.provider }),
    });
    this.replicas = this.#data.replicas;
    this.reachable = this.#data.reachable;
  }

  /**
   * Adds outputs that hold still from run to run: `<prefix>_job_id`, and `<prefix>_replicas` with the uuids of replica and
   * storage repository by the uuid of the source VM. Recovery points and times change with every run of the agent: an
   * output of them would make each plan show a change. Read those from `replicas`, where they are needed.
   *
   * @param prefix start of the outputs' names: letters, digits, `_` and `-`
   */
  addStableOutputs(prefix: string = this.node.id): void {
    if (!/^[A-Za-z_][\w-]*$/.test(prefix)) {
      throw new Error(
        `prefix must begin with a letter and hold letters, digits, "_" and "-" only, not "${prefix}": ` +
          'it becomes a name in Terraform',
      );
    }
    this.#output(`${prefix}_job_id`, this.#job.jobId, 'Identity of the replication job on the target pool');
    const uuids = '{ replica_uuid = one.replica_uuid, sr_uuid = one.sr_uuid }';
    const replicas = `\${{ for one in ${this.#data.fqn}.replicas : one.source_vm_uuid => ${uuids} }}`;
    this.#output(`${prefix}_replicas`, replicas, 'Uuids of replica and storage repository by source VM');
  }

  #output(name: string, value: unknown, description: string): void {
    new TerraformOutput(this, name, { value, description }).overrideLogicalId(name);
  }

  /**
   * The command runs the CLI that was delivered into the stack's folder, by a path that is the same on every machine.
   * Not with `exec`: when Terraform is interrupted it kills the shell outright, and the CLI, a process of its own, lives
   * on to release its lock and close its transfers.
   * Nothing secret is in its arguments or environment: Terraform prints the command, and a sensitive value in it would
   * make Terraform hide all of the run's output.
   */
  #provisioner(): LocalExecProvisioner {
    const { targetPool, jobId } = this.#job;
    const words = ['run', '--target-pool', shellWord(targetPool), '--job', shellWord(jobId)];
    return {
      type: 'local-exec',
      command: ['"$${XENREPL_NODE:-node}"', cliInStack, ...words].join(' '),
      environment: Token.asStringMap(Lazy.anyValue({ produce: () => this.#environment() })),
    };
  }

  #environment(): Record<string, string> | undefined {
    const poolsFile = (this.#job.provider ?? XenReplicationProvider.ofStack(this))?.poolsFileInStack;
    return poolsFile === undefined ? undefined : { XENREPL_POOLS_FILE: poolsFile };
  }
}

/**
 * One word for /bin/sh, whatever is in it; a value that only Terraform will know is quoted by Terraform, whose own
 * strings want the backslash doubled.
 */
function shellWord(value: string): string {
  if (Token.isUnresolved(value)) return `'${Fn.replace(value, "'", `'\\\\''`)}'`;
  if (/^[\w.@%+:,/-]+$/.test(value)) return value;
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
