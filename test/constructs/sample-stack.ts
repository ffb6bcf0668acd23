import { TerraformStack } from 'cdktf';
import type { App } from 'cdktf';
import {
  DataRate,
  Duration,
  ReplicaSeed,
  ReplicationJob,
  ReplicationRun,
  Retention,
  Schedule,
  TimeWindow,
  XenReplicationProvider,
} from '../../constructs';

/** A stack that uses everything once: what it synthesizes to is kept as a golden file. */
export function sampleStack(app: App, { airGapped = false } = {}): TerraformStack {
  const stack = new TerraformStack(app, 'site');
  const provider = new XenReplicationProvider(stack, 'xenrepl', { onUnreachable: 'warn', airGapped });

  const smallest = new ReplicationJob(stack, 'smallest', {
    name: 'smallest',
    sourcePool: 'berlin',
    targetPool: 'munich',
    targetSr: 'nas',
    vmTags: ['protect'],
  });
  new ReplicationRun(stack, 'first-run', { job: smallest }).addStableOutputs('smallest');

  const everything = new ReplicationJob(stack, 'everything', {
    name: 'everything',
    sourcePool: 'berlin',
    targetPool: "munich's second",
    targetSr: '0f2f2a3c-6f0c-4c4e-9a53-2d4bb1ac1a01',
    vmUuids: ['6b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10'],
    vmTags: ['protect'],
    schedule: Schedule.every(Duration.minutes(15)),
    retention: Retention.latest(7, { sourceLatest: 2 }).daily(7).inTimeZone('Europe/Berlin'),
    networkMap: { 'LAN Berlin': 'LAN Munich' },
    onUnmappedNetwork: 'omit',
    onMissingBase: 'full',
    onDivergence: 'overwrite',
    concurrency: 4,
    initialCopy: 'seed',
    rpo: Duration.hours(1),
    jitter: Duration.minutes(5),
    blackouts: [TimeWindow.weekdays('08:00', '18:00', { timeZone: 'Europe/Berlin' })],
    snapshot: { mode: 'quiesce', groupSkew: Duration.seconds(5) },
    transfer: { method: 'nbd', enableCbt: true, verify: 'sampled' },
    limits: {
      rate: DataRate.mebibytesPerSecond(50),
      windows: [{ window: TimeWindow.daily('20:00', '05:00') }],
      nice: true,
      transfersPerPool: 6,
    },
    maxChainDepth: 25,
    enabled: false,
    deleteReplicasOnDestroy: true,
    jobId: 'f3f0a6a4-0d41-4c55-8e4b-1c8f0b1d6a11',
    provider,
  });
  const seed = new ReplicaSeed(stack, 'seed', {
    job: everything,
    sourceSnapshotUuid: '5f1d9c1e-6f1b-4b0e-8f7a-3c5e0a7d2b11',
    targetVmUuid: '9a2b7c4d-1e3f-4a5b-8c6d-7e8f9a0b1c22',
    verify: 'full',
    repair: true,
  });
  new ReplicationRun(stack, 'release-run', {
    job: everything,
    seeds: [seed],
    trigger: 'release 7',
    resource: 'terraform_data',
  });
  return stack;
}
