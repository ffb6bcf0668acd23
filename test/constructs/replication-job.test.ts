import { TerraformOutput, TerraformStack, TerraformVariable, Testing } from 'cdktf';
import {
  DataRate,
  Duration,
  ReplicationJob,
  Retention,
  Schedule,
  TimeWindow,
  XenReplicationProvider,
} from '../../constructs';
import { temporaryApp } from './temporary-app';
import type { ReplicationJobProps } from '../../constructs';

const props: ReplicationJobProps = {
  name: 'web',
  sourcePool: 'berlin',
  targetPool: 'munich',
  targetSr: 'nas',
  vmTags: ['protect'],
};

interface Synthesized {
  resource: { xenrepl_job: Record<string, Record<string, unknown>> };
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

function jobWith(change: Partial<ReplicationJobProps>): () => ReplicationJob {
  return () => new ReplicationJob(stack, 'web', { ...props, ...change });
}

describe('defaults', () => {
  test('what is not given is not said: the provider holds the defaults and shows them in the plan', () => {
    jobWith({})();
    expect(synthesized().resource.xenrepl_job['web']).toEqual({
      name: 'web',
      source_pool: 'berlin',
      target_pool: 'munich',
      target_sr: 'nas',
      vm_tags: ['protect'],
    });
  });

  test('an empty list or map of nothing is not said either', () => {
    jobWith({ vmUuids: [] })();
    expect(synthesized().resource.xenrepl_job['web']).not.toHaveProperty('vm_uuids');
  });

  test('the logical id is the path of the construct, without a hash at the top of a stack', () => {
    jobWith({})();
    expect(Object.keys(synthesized().resource.xenrepl_job)).toEqual(['web']);
  });
});

describe('what others may refer to', () => {
  test('attributes of the job', () => {
    const job = jobWith({})();
    const attributes = ['jobId', 'scheduleId', 'sourcePoolUuid', 'targetPoolUuid', 'targetSrUuid'] as const;
    for (const name of attributes) new TerraformOutput(stack, name, { value: job[name] });
    expect(Object.values(synthesized().output ?? {}).map((output) => output.value)).toEqual([
      '${xenrepl_job.web.job_id}',
      '${xenrepl_job.web.schedule_id}',
      '${xenrepl_job.web.source_pool_uuid}',
      '${xenrepl_job.web.target_pool_uuid}',
      '${xenrepl_job.web.target_sr_uuid}',
    ]);
  });

  test('the provider it was given', () => {
    const provider = new XenReplicationProvider(stack, 'other', { alias: 'other' });
    expect(jobWith({ provider })().provider).toBe(provider);
    expect(synthesized().resource.xenrepl_job['web']?.['provider']).toBe('xenrepl.other');
  });

  test('a job that stands on the pool already is taken over by its import id', () => {
    jobWith({})().importFrom('munich/f3f0a6a4-0d41-4c55-8e4b-1c8f0b1d6a11');
    expect(synthesized().import).toEqual([
      { id: 'munich/f3f0a6a4-0d41-4c55-8e4b-1c8f0b1d6a11', to: 'xenrepl_job.web' },
    ]);
  });
});

describe('refusals name the property, what is allowed, and why', () => {
  test.each<[string, Partial<ReplicationJobProps>, string]>([
    ['no name', { name: '' }, "name must not be empty: the job's identity is made from it"],
    [
      'no source pool',
      { sourcePool: ' ' },
      'sourcePool must not be empty: it is looked up in the pools file',
    ],
    ['no target pool', { targetPool: '' }, 'targetPool must not be empty: it is looked up in the pools file'],
    ['no SR', { targetSr: '' }, "targetSr must not be empty: replicas' disks must be kept somewhere"],
    [
      'no VMs',
      { vmTags: [] },
      'vmUuids or vmTags must name at least one VM or tag: a job without VMs protects nothing',
    ],
    ['an empty tag', { vmTags: ['a', ''] }, 'vmTags must not be empty: no VM bears an empty tag'],
    [
      'a name for a uuid',
      { vmUuids: ['web-1'] },
      'vmUuids must hold uuids (8-4-4-4-12 hexadecimal digits), and "web-1" is none: names of VMs are not unique',
    ],
    [
      'a job id that cannot be part of a key',
      { jobId: 'web:1' },
      'jobId must be a uuid, or up to 64 letters, digits, dots, dashes and underscores, not "web:1": it stands inside',
    ],
    [
      'a VM twice',
      { vmUuids: ['6b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10', '6B1C0F7E-0F4E-4A43-9AC1-2C7F3C1F9D10'] },
      'vmUuids must name each once, and "6b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10" stands there twice',
    ],
    [
      'no VM at once',
      { concurrency: 0 },
      'concurrency must be an integer from 1 to 16, not 0: each VM at once takes',
    ],
    ['too many at once', { concurrency: 17 }, 'concurrency must be an integer from 1 to 16, not 17'],
    [
      'an unknown network policy',
      { onUnmappedNetwork: 'guess' as 'fail' },
      'onUnmappedNetwork must be "fail" or "omit", not "guess": a network is never guessed',
    ],
    [
      'an unknown base policy',
      { onMissingBase: 'maybe' as 'fail' },
      'onMissingBase must be "fail" or "full", not "maybe": a delta never silently becomes a full',
    ],
    [
      'an unknown divergence policy',
      { onDivergence: 'merge' as 'fail' },
      'onDivergence must be "fail" or "overwrite", not "merge": what others wrote is not thrown away unasked',
    ],
    [
      'an unknown initial copy',
      { initialCopy: 'mail' as 'seed' },
      'initialCopy must be "auto" or "seed", not "mail": the first copy is sent or carried by hand',
    ],
    [
      'a promise that the schedule cannot keep',
      { schedule: Schedule.every(Duration.hours(1)), rpo: Duration.minutes(59) },
      "rpo must not be shorter than the schedule's interval (1h), and 59m is: between two runs the newest",
    ],
    [
      'a jitter as long as the schedule',
      { schedule: Schedule.every(Duration.hours(1)), jitter: Duration.minutes(60) },
      "jitter must be shorter than the schedule's interval (1h), and 60m is not: a start could be put off",
    ],
    [
      'an unknown snapshot',
      { snapshot: { mode: 'warm' as 'disk' } },
      'snapshot.mode must be "disk" or "quiesce" or "memory" or "offline", not "warm"',
    ],
    [
      'data dropped that the method needs',
      { transfer: { method: 'export', dropSnapshotData: true } },
      "transfer.dropSnapshotData cannot be true with method 'export': an export of what changed is made of",
    ],
    [
      'tracking that the method does not use',
      { transfer: { method: 'export', enableCbt: true } },
      "transfer.enableCbt cannot be true with method 'export': an export does not use changed-block tracking",
    ],
    [
      'an unknown verification',
      { transfer: { verify: 'some' as 'full' } },
      'transfer.verify must be "none" or "sampled" or "full", not "some": it says how much is read back',
    ],
    [
      'no stream',
      { limits: { transfersPerSr: 0 } },
      'limits.transfersPerSr must be an integer from 1 to 64, not 0: each takes a connection',
    ],
    [
      'more points than a chain has room for',
      { retention: Retention.latest(27) },
      'retention must not keep more than 26 latest points with maxChainDepth 28, and 27 is more: each is a layer',
    ],
    [
      'chains too deep for storage',
      { maxChainDepth: 31 },
      'maxChainDepth must be an integer from 2 to 30, not 31: two is a copy and what changed since',
    ],
    [
      'a network without a name',
      { networkMap: { '': 'LAN' } },
      'networkMap must not be empty: a network of the source pool is named by uuid or name label',
    ],
    [
      'a network mapped to nothing',
      { networkMap: { LAN: '' } },
      'networkMap["LAN"] must not be empty: leave the entry out and set onUnmappedNetwork to \'omit\'',
    ],
  ])('%s', (_name, change, message) => {
    expect(jobWith(change)).toThrow(message);
  });
});

test('how, when and how fast, as the provider reads it', () => {
  jobWith({
    initialCopy: 'seed',
    rpo: Duration.hours(1),
    jitter: Duration.seconds(90),
    blackouts: [TimeWindow.weekdays('08:00', '18:00', { timeZone: 'Europe/Berlin' })],
    snapshot: { mode: 'quiesce', groupSkew: Duration.seconds(5) },
    transfer: { method: 'nbd', enableCbt: true, verify: 'sampled' },
    limits: {
      rate: DataRate.mebibytesPerSecond(50),
      windows: [
        { window: TimeWindow.daily('20:00', '05:00') },
        { window: TimeWindow.daily('05:00', '06:00'), rate: DataRate.megabitsPerSecond(800) },
      ],
      nice: true,
      transfersPerPool: 6,
    },
    maxChainDepth: 25,
  })();
  expect(synthesized().resource.xenrepl_job['web']).toMatchObject({
    initial_copy: 'seed',
    rpo: '1h',
    jitter: '90s',
    blackouts: [
      {
        days: ['mon', 'tue', 'wed', 'thu', 'fri'],
        from: '08:00',
        to: '18:00',
        time_zone: 'Europe/Berlin',
      },
    ],
    snapshot: { mode: 'quiesce', group_skew: '5s' },
    transfer: { method: 'nbd', enable_cbt: true, verify: 'sampled' },
    limits: {
      bytes_per_second: 52_428_800,
      windows: [
        { from: '20:00', to: '05:00', time_zone: 'UTC' },
        { from: '05:00', to: '06:00', time_zone: 'UTC', bytes_per_second: 100_000_000 },
      ],
      nice: true,
      transfers_per_pool: 6,
    },
    max_chain_depth: 25,
  });
});

test('values that only Terraform knows are not judged here', () => {
  const text = new TerraformVariable(stack, 'text', { type: 'string' }).stringValue;
  const texts = new TerraformVariable(stack, 'texts', { type: 'list(string)' }).listValue;
  const number = new TerraformVariable(stack, 'number', { type: 'number' }).numberValue;
  jobWith({
    name: text,
    sourcePool: text,
    targetPool: text,
    targetSr: text,
    vmUuids: [text],
    vmTags: texts,
    networkMap: { LAN: text },
    concurrency: number,
    retention: Retention.latest(number),
  })();
  expect(synthesized().resource.xenrepl_job['web']).toEqual({
    name: '${var.text}',
    source_pool: '${var.text}',
    target_pool: '${var.text}',
    target_sr: '${var.text}',
    vm_uuids: ['${var.text}'],
    vm_tags: '${var.texts}',
    network_map: { LAN: '${var.text}' },
    concurrency: '${var.number}',
    retention: { latest: '${var.number}' },
  });
});
