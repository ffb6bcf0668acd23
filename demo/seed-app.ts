/*
 * The app that `npm run demo:seed` deploys, again and again with more of it: the job alone, with its seed, with a run, and
 * switched on.
 */
import { App, LocalBackend, TerraformStack } from 'cdktf';
import {
  Duration,
  ReplicaSeed,
  ReplicationJob,
  ReplicationRun,
  Retention,
  Schedule,
  XenReplicationProvider,
} from 'cdktf-xen-replication';
import type { Construct } from 'constructs';

class SeededSite extends TerraformStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    new LocalBackend(this, { path: `../../../${id}.tfstate` });
    new XenReplicationProvider(this, 'xenrepl', { airGapped: true });

    const job = new ReplicationJob(this, 'site', {
      name: 'site',
      sourcePool: 'source',
      targetPool: 'target',
      targetSr: 'Local storage',
      vmTags: ['protect'],
      networkMap: { office: 'dr' },
      initialCopy: 'seed',
      enabled: setting('ENABLED') === 'true',
      schedule: Schedule.every(Duration.minutes(15)),
      rpo: Duration.hours(1),
      // So that the first run already retires the seed's own recovery point, and the last plan shows that this is no change.
      retention: Retention.latest(1),
    });

    const sourceSnapshotUuid = setting('SEED_SNAPSHOT');
    const targetVmUuid = setting('SEED_VM');
    if (sourceSnapshotUuid === '' || targetVmUuid === '') return;
    const seed = new ReplicaSeed(this, 'db1', {
      job,
      sourceSnapshotUuid,
      targetVmUuid,
      // Every byte on the target, with the digests that travelled along: nothing of the source crosses the line.
      verify: 'full',
      digests: setting('SEED_DIGESTS'),
    });
    const trigger = setting('RUN_TRIGGER');
    if (trigger !== '') new ReplicationRun(this, 'run', { job, seeds: [seed], trigger });
  }
}

function setting(name: string): string {
  return process.env[`XENREPL_${name}`] ?? '';
}

const app = new App();
new SeededSite(app, 'seeded-site');
app.synth();
