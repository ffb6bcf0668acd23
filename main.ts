/*
 * The CDKTF app of this repository, and an example to copy: it protects the VMs that bear a tag by replicating them to
 * another pool every 15 minutes, and runs the first replication inside `cdktf deploy`. Pools and their credentials stand
 * in xenrepl.yaml beside this app. Every name below can be set from the environment.
 */
import { App, LocalBackend, TerraformStack } from 'cdktf';
import {
  Duration,
  ReplicationJob,
  ReplicationRun,
  Retention,
  Schedule,
  XenReplicationProvider,
} from 'cdktf-xen-replication';
import type { Construct } from 'constructs';

class ProtectedSite extends TerraformStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);

    // Beside cdktf.json, seen from cdktf.out/stacks/<id>: cdktf's default is a path of the machine that synthesizes.
    new LocalBackend(this, { path: `../../../${id}.tfstate` });

    new XenReplicationProvider(this, 'xenrepl', {
      airGapped: setting('AIR_GAPPED', 'false') === 'true',
    });

    const job = new ReplicationJob(this, 'site', {
      name: setting('JOB_NAME', 'site'),
      sourcePool: setting('SOURCE_POOL', 'source'),
      targetPool: setting('TARGET_POOL', 'target'),
      targetSr: setting('TARGET_SR', 'Local storage'),
      vmTags: list(setting('VM_TAG', 'protect')),
      vmUuids: list(setting('VM_UUIDS', '')),
      networkMap: JSON.parse(setting('NETWORK_MAP', '{}')) as Record<string, string>,
      schedule: Schedule.every(Duration.minutes(15)),
      retention: Retention.latest(3),
    });

    const run = new ReplicationRun(this, 'first-run', { job, trigger: setting('RUN_TRIGGER', '1') });
    run.addStableOutputs('site');
  }
}

/** A setting of this app, e.g. XENREPL_TARGET_SR; lists are written with commas, the network map as JSON. */
function setting(name: string, fallback: string): string {
  return process.env[`XENREPL_${name}`] ?? fallback;
}

function list(text: string): string[] {
  return text.split(',').filter((item) => item !== '');
}

const app = new App();
new ProtectedSite(app, 'xen-replication');
app.synth();
