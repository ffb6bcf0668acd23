import { TerraformOutput, TerraformStack, TerraformVariable, Testing } from 'cdktf';
import { ReplicaSeed, ReplicationJob, ReplicationRun, XenReplicationProvider } from '../../constructs';
import type { ReplicaSeedProps } from '../../constructs';
import { temporaryApp } from './temporary-app';

const sourceSnapshotUuid = '5f1d9c1e-6f1b-4b0e-8f7a-3c5e0a7d2b11';
const targetVmUuid = '9a2b7c4d-1e3f-4a5b-8c6d-7e8f9a0b1c22';
const elsewhere = { targetPool: 'munich', jobId: 'f3f0a6a4-0d41-4c55-8e4b-1c8f0b1d6a11' };

interface Synthesized {
  resource: Record<string, Record<string, Record<string, unknown>>>;
  output?: Record<string, { value: string }>;
  import?: unknown[];
}

let stack: TerraformStack;
beforeEach(() => {
  stack = new TerraformStack(temporaryApp(), 'stack');
});

function synthesized(): Synthesized {
  return JSON.parse(Testing.synth(stack)) as Synthesized;
}

function seedWith(change: Partial<ReplicaSeedProps>): ReplicaSeed {
  return new ReplicaSeed(stack, 'seed', {
    job: elsewhere,
    sourceSnapshotUuid,
    targetVmUuid,
    ...change,
  });
}

test('a seed follows its job, and a run its seed', () => {
  const provider = new XenReplicationProvider(stack, 'other', { alias: 'other' });
  const job = new ReplicationJob(stack, 'web', {
    name: 'web',
    sourcePool: 'berlin',
    targetPool: 'munich',
    targetSr: 'nas',
    vmTags: ['protect'],
    initialCopy: 'seed',
    provider,
  });
  const seed = seedWith({ job });
  new ReplicationRun(stack, 'run', { job, seeds: [seed] });
  const { resource } = synthesized();
  expect(resource['xenrepl_seed']).toEqual({
    seed: {
      target_pool: 'munich',
      job_id: '${xenrepl_job.web.job_id}',
      source_snapshot_uuid: sourceSnapshotUuid,
      target_vm_uuid: targetVmUuid,
      provider: 'xenrepl.other',
    },
  });
  expect(resource['null_resource']?.['run']?.['depends_on']).toEqual(['xenrepl_seed.seed']);
});

test('the seed of a job made elsewhere, with everything said', () => {
  const seed = seedWith({ verify: 'full', repair: true, digests: 'usb/db1' });
  new TerraformOutput(stack, 'vm', { value: seed.sourceVmUuid });
  new TerraformOutput(stack, 'point', { value: seed.recoveryPointUuid });
  seed.importFrom(`munich/${elsewhere.jobId}/${targetVmUuid}`);
  const { resource, output, import: imports } = synthesized();
  expect(resource['xenrepl_seed']?.['seed']).toMatchObject({
    job_id: elsewhere.jobId,
    verify: 'full',
    repair: true,
    // Seen from the folder of the stack, where Terraform runs.
    digests: expect.stringMatching(/^\.\.\/.*usb\/db1$/) as unknown,
  });
  expect(Object.values(output ?? {}).map(({ value }) => value)).toEqual([
    '${xenrepl_seed.seed.recovery_point_uuid}',
    '${xenrepl_seed.seed.source_vm_uuid}',
  ]);
  expect(imports).toEqual([{ id: `munich/${elsewhere.jobId}/${targetVmUuid}`, to: 'xenrepl_seed.seed' }]);
});

test.each<[string, Partial<ReplicaSeedProps>, string]>([
  [
    'a snapshot by name',
    { sourceSnapshotUuid: 'before' },
    'sourceSnapshotUuid must hold uuids (8-4-4-4-12 hexadecimal digits), and "before" is none: names of snapshots',
  ],
  ['a VM by name', { targetVmUuid: 'db1' }, 'targetVmUuid must hold uuids (8-4-4-4-12 hexadecimal digits)'],
  [
    'another comparison',
    { verify: 'some' as 'full' },
    'verify must be "none" or "sampled" or "full", not "some"',
  ],
  ['no folder', { digests: '' }, 'digests must not be empty: leave it out to compare with the source'],
  [
    'a repair of what is not read',
    { verify: 'sampled', repair: true },
    "verify cannot be 'sampled' where repair is true: what was not read cannot be repaired",
  ],
])('%s is refused', (_name, change, message) => {
  expect(() => seedWith(change)).toThrow(message);
});

test('values that only Terraform knows are not judged here', () => {
  const uuid = new TerraformVariable(stack, 'uuid', { type: 'string' }).stringValue;
  seedWith({ sourceSnapshotUuid: uuid, targetVmUuid: uuid });
  expect(synthesized().resource['xenrepl_seed']?.['seed']).toMatchObject({
    source_snapshot_uuid: '${var.uuid}',
  });
});
