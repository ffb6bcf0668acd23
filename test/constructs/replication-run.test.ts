import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NullProvider } from '@cdktf/provider-null/lib/provider';
import { TerraformOutput, TerraformStack, Testing } from 'cdktf';
import { ReplicationJob, ReplicationRun, XenReplicationProvider } from '../../constructs';
import type { ReplicationRunProps } from '../../constructs';

interface Provisioned {
  provisioner: { 'local-exec': { command: string; environment?: Record<string, string> } }[];
}
interface Synthesized {
  resource: {
    null_resource?: Record<string, Provisioned & { triggers: Record<string, string> }>;
    terraform_data?: Record<string, Provisioned & { triggers_replace: Record<string, string> }>;
  };
  data: { xenrepl_replicas: Record<string, Record<string, unknown>> };
  output: Record<string, { value: string }>;
  provider: Record<string, Record<string, unknown>[]>;
}

const jobElsewhere = { targetPool: 'munich', jobId: 'f3f0a6a4-0d41-4c55-8e4b-1c8f0b1d6a11' };
const savedDirectory = process.cwd();
let folder: string;
let stack: TerraformStack;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'run-test-'));
  process.chdir(folder); // the project of the user, with its cdktf.out
  stack = new TerraformStack(Testing.app({ outdir: 'cdktf.out' }), 'stack');
});
afterEach(() => {
  process.chdir(savedDirectory);
  rmSync(folder, { recursive: true });
});

function synthesized(): Synthesized {
  return JSON.parse(Testing.synth(stack)) as Synthesized;
}

function run(props: Partial<ReplicationRunProps> = {}): ReplicationRun {
  return new ReplicationRun(stack, 'first-run', { job: jobElsewhere, ...props });
}

function command(): string | undefined {
  return synthesized().resource.null_resource?.['first-run']?.provisioner[0]?.['local-exec'].command;
}

describe('the command', () => {
  test('runs the delivered CLI by a path that starts in the folder of the stack', () => {
    run();
    expect(command()).toBe(
      '"$${XENREPL_NODE:-node}" ./xenrepl/xenrepl.cjs run ' +
        '--target-pool munich --job f3f0a6a4-0d41-4c55-8e4b-1c8f0b1d6a11',
    );
  });

  test('takes the id of a job of this stack from Terraform, quoted there', () => {
    const job = new ReplicationJob(stack, 'web', {
      name: 'web',
      sourcePool: 'berlin',
      targetPool: 'munich',
      targetSr: 'nas',
      vmTags: ['protect'],
    });
    run({ job });
    expect(command()).toMatch(String.raw`--job '${'${'}replace(xenrepl_job.web.job_id, "'", "'\\''")}'`);
  });

  test('quotes what the shell would read as more than a word', () => {
    run({ job: { ...jobElsewhere, targetPool: "Munich's; true" } });
    expect(command()).toMatch(String.raw`--target-pool 'Munich'\''s; true' --job`);
  });

  test('has an environment only for a pools file that was named, relative to the folder of the stack', () => {
    const provider = new XenReplicationProvider(stack, 'xenrepl', { poolsFile: 'secrets/pools.yaml' });
    run();
    const resource = synthesized().resource.null_resource?.['first-run'];
    expect(resource?.provisioner[0]?.['local-exec'].environment).toEqual({
      XENREPL_POOLS_FILE: '../../../secrets/pools.yaml',
    });
    expect(provider.poolsFileInStack).toBeDefined();
  });

  test('has none otherwise: Terraform hides all output of a provisioner whose environment holds a secret', () => {
    new XenReplicationProvider(stack, 'xenrepl');
    run();
    const resource = synthesized().resource.null_resource?.['first-run'];
    expect(resource?.provisioner[0]?.['local-exec']).not.toHaveProperty('environment');
  });

  test('reads the pools file of the provider its job was given', () => {
    new XenReplicationProvider(stack, 'xenrepl', { poolsFile: 'one.yaml' });
    const provider = new XenReplicationProvider(stack, 'other', { alias: 'other', poolsFile: 'two.yaml' });
    run({ job: { ...jobElsewhere, provider } });
    const { resource, data } = synthesized();
    expect(resource.null_resource?.['first-run']?.provisioner[0]?.['local-exec'].environment).toEqual({
      XENREPL_POOLS_FILE: '../../../two.yaml',
    });
    expect(Object.values(data.xenrepl_replicas)[0]?.['provider']).toBe('xenrepl.other');
  });
});

describe('when it runs', () => {
  test('once by default: the trigger is 1', () => {
    run();
    expect(synthesized().resource.null_resource?.['first-run']?.triggers).toEqual({
      trigger: '1',
      job: jobElsewhere.jobId,
    });
  });

  test('again with another trigger', () => {
    run({ trigger: 'release 7' });
    expect(synthesized().resource.null_resource?.['first-run']?.triggers['trigger']).toBe('release 7');
  });

  test('with every synth, where that is asked for', () => {
    expect(ReplicationRun.onEverySynth()).toMatch(/^synth at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('never with an empty trigger', () => {
    expect(() => run({ trigger: '' })).toThrow(
      'trigger must not be empty: a change of it is what starts a run',
    );
  });
});

describe('the resource it hangs on', () => {
  test('a null resource, with a null provider for it', () => {
    run();
    expect(synthesized().provider['null']).toEqual([{}]);
  });

  test('one null provider for all runs of a stack', () => {
    run();
    new ReplicationRun(stack, 'second-run', { job: jobElsewhere });
    expect(synthesized().provider['null']).toEqual([{}]);
  });

  test("the user's own null provider, also one that comes later", () => {
    run();
    new NullProvider(stack, 'mine');
    expect(synthesized().provider['null']).toEqual([{}]);
    expect(Testing.renderConstructTree(stack)).not.toContain('xenrepl-null');
  });

  test('terraform_data, which needs no provider', () => {
    run({ resource: 'terraform_data' });
    const { resource, provider } = synthesized();
    expect(resource.terraform_data?.['first-run']?.triggers_replace).toEqual({
      trigger: '1',
      job: jobElsewhere.jobId,
    });
    expect(resource.null_resource).toBeUndefined();
    expect(provider).toBeUndefined();
  });

  test('no other', () => {
    expect(() => run({ resource: 'shell' as 'null_resource' })).toThrow(
      'resource must be "null_resource" or "terraform_data", not "shell"',
    );
  });
});

describe('what it found', () => {
  test('replicas are read after the run, in the same apply', () => {
    run();
    expect(Object.values(synthesized().data.xenrepl_replicas)).toEqual([
      { target_pool: 'munich', job_id: jobElsewhere.jobId, depends_on: ['null_resource.first-run'] },
    ]);
  });

  test('and may be referred to', () => {
    const { replicas, reachable } = run();
    new TerraformOutput(stack, 'at', { value: replicas.get(0).newestRecoveryPointAt });
    new TerraformOutput(stack, 'disks', {
      value: replicas.get(0).recoveryPoints.get(1).disks.get(0).sizeBytes,
    });
    new TerraformOutput(stack, 'reachable', { value: reachable });
    expect(Object.values(synthesized().output).map(({ value }) => value.replace(/_[0-9A-F]{8}/, ''))).toEqual(
      [
        '${data.xenrepl_replicas.first-run_replicas.replicas[0].newest_recovery_point_at}',
        '${data.xenrepl_replicas.first-run_replicas.replicas[0].recovery_points[1].disks[0].size_bytes}',
        '${data.xenrepl_replicas.first-run_replicas.reachable}',
      ],
    );
  });

  test('outputs hold what stays the same from run to run', () => {
    run().addStableOutputs();
    expect(Object.keys(synthesized().output)).toEqual(['first-run_job_id', 'first-run_replicas']);
  });

  test('a prefix must make a name in Terraform', () => {
    expect(() => run().addStableOutputs('7 runs')).toThrow('prefix must begin with a letter');
  });
});
