import { jobDefaults, keepLatest } from '../../../lib/planner/job';
import { ids } from './fake-pools';
import { Stage, job } from './stage';

/** Says everything about how and when a job copies. */
const tuned = `
  initial_copy = "seed"
  jitter       = "90s"
  blackouts = [
    { days = ["sat", "sun"], from = "22:00", to = "06:00", time_zone = "Europe/Berlin" },
    { from = "12:00", to = "13:00" },
  ]
  snapshot = { mode = "quiesce", group_skew = "5s" }
  transfer = { method = "nbd", enable_cbt = true, verify = "sampled" }
  limits = {
    bytes_per_second   = 50 * 1024 * 1024
    windows            = [{ from = "20:00", to = "05:00" }]
    nice               = true
    transfers_per_pool = 6
  }
  max_chain_depth = 25
`;

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage[Symbol.dispose]());

test('create, clean plan, update, clean plan, destroy', async () => {
  const created = await stage.apply(job());
  expect(created.stderr).toBe('');
  expect(created.code).toBe(0);
  expect(await stage.planCode()).toBe(0);

  const updated = await stage.apply(job('schedule = { every = "15m" }\nretention = { latest = 5 }'));
  expect(updated.stdout).toContain('0 added, 1 changed, 0 destroyed');
  expect(await stage.planCode()).toBe(0);

  const destroyed = await stage.run('destroy', '-auto-approve');
  expect(destroyed.stdout).toContain('1 destroyed');
  expect(Object.keys(stage.world.munich.otherConfig).sort()).toEqual([
    'unrelated',
    expect.stringMatching(/^xenrepl:job:[0-9a-f-]{36}:3$/),
  ]);
});

test('create writes the definition once and transfers nothing', async () => {
  await stage.apply(job('network_map = { "LAN Paris" = "LAN Munich" }'));
  const [key = ''] = stage.jobKeys();
  expect(key).toMatch(/:1$/);
  expect(JSON.parse(stage.world.munich.otherConfig[key] ?? '')).toMatchObject({
    name: 'web',
    enabled: true,
    source: { poolName: 'paris', poolUuid: ids.paris },
    target: { poolName: 'munich', poolUuid: ids.munich, srUuid: ids.nas },
    selection: { uuids: [ids.web], tags: [] },
    schedule: { kind: 'manual' },
    retention: { latest: 3, sourceLatest: 1 },
    networkMap: { 'LAN Paris': 'LAN Munich' },
    onMissingBase: 'fail',
    concurrency: 2,
  });
  expect(stage.world.paris.otherConfig).toEqual({ unrelated: 'kept' });
  expect(
    stage.world.munich.calls.filter((call) => /^(VM|VDI|VBD)\.(create|clone|snapshot)/.test(call)),
  ).toEqual([]);
});

test('a rename keeps the identity', async () => {
  await stage.apply(job());
  const before = stage.state();
  const renamed = await stage.apply(job('', 'web servers'));
  expect(renamed.stdout).toContain('1 changed');
  expect(stage.state()).toEqual({ ...before, name: 'web servers', revision: 2 });
  expect(await stage.planCode()).toBe(0);
});

test('destroyed and made again: the same identity and schedule, as the next revision', async () => {
  await stage.apply(job());
  const before = stage.state();
  await stage.run('destroy', '-auto-approve');
  const again = await stage.apply(job());
  expect(again.code).toBe(0);
  expect(stage.state()).toEqual({ ...before, revision: 3 });
});

test('a schedule id that came from elsewhere outlives destruction, too', async () => {
  await stage.apply(job());
  stage.changeOnPool((definition) => ({ ...definition, scheduleId: 'of-xen-orchestra' }));
  await stage.run('destroy', '-auto-approve');
  await stage.apply(job());
  expect(stage.state()).toMatchObject({ schedule_id: 'of-xen-orchestra' });
});

test('state lost: apply refuses with the import command, import takes over, and the plan is clean', async () => {
  const everything = job(`
    schedule                   = { cron = "0 22 * * *", time_zone = "Europe/Berlin" }
    vm_tags                    = ["dr"]
    network_map                = { "LAN Paris" = "LAN Munich" }
    retention                  = { latest = 7, source_latest = 2 }
    on_missing_base            = "full"
    enabled                    = false
    concurrency                = 4
    ${tuned}
  `);
  await stage.apply(everything);
  const { job_id: jobId } = stage.state();
  stage.forget();

  const refused = await stage.apply(everything);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('Unable to Create Replication Job "web"');
  expect(flat(refused.stderr)).toContain(
    `terraform import <address of this resource> munich/${String(jobId)}`,
  );
  expect(refused.stderr).toContain('with xenrepl_job.web');
  expect(stage.jobKeys()).toHaveLength(1);

  const imported = await stage.run('import', 'xenrepl_job.web', `munich/${String(jobId)}`);
  expect(imported.stderr).toBe('');
  // The pool knows the SR by its uuid only; that the configuration has its name is no change.
  expect(stage.state()).toMatchObject({ target_sr: ids.nas });
  expect(await stage.planCode()).toBe(0);
});

test('import of what is not there, or not an id, says so', async () => {
  stage.configure(job());
  const absent = await stage.run('import', 'xenrepl_job.web', `munich/${ids.web}`);
  expect(absent.stderr).toContain('Cannot import non-existent remote object');
  const strange = await stage.run('import', 'xenrepl_job.web', ids.web);
  expect(flat(strange.stderr)).toContain('Write <name of the target pool in the pools file>/<job id>');
});

test('letter case of uuids and units of intervals are no change, and the spelling of the user stays', async () => {
  const spelled = (sr: string, vm: string, every: string) => `
    resource "xenrepl_job" "web" {
      name        = "web"
      source_pool = "paris"
      target_pool = "munich"
      target_sr   = "${sr}"
      vm_uuids    = ["${vm}"]
      schedule    = { every = "${every}" }
    }`;
  await stage.apply(spelled(ids.nas.toUpperCase(), ids.web.toUpperCase(), '60m'));
  expect(stage.state()).toMatchObject({ vm_uuids: [ids.web.toUpperCase()], schedule: { every: '60m' } });
  expect(await stage.planCode()).toBe(0);
  stage.configure(spelled(ids.nas, ids.web, '1h'));
  expect(await stage.planCode()).toBe(0);
});

test('name and uuid of the same SR are no change', async () => {
  await stage.apply(job());
  stage.configure(job().replace('"nas"', `"${ids.nas}"`));
  expect(await stage.planCode()).toBe(0);
});

test('a name that now means another SR is planned as the change it is', async () => {
  await stage.apply(job());
  stage.world.munich.srs = [
    { uuid: ids.nas, name_label: 'old nas', content_type: 'user' },
    { uuid: ids.twin1, name_label: 'nas', content_type: 'user' },
  ];
  const plan = await stage.run('plan', '-detailed-exitcode');
  expect(plan.code).toBe(2);
  expect(plan.stdout).toContain('Another Storage Repository');
  await stage.apply(job());
  expect(stage.state()).toMatchObject({ target_sr_uuid: ids.twin1, revision: 2 });
  expect(await stage.planCode()).toBe(0);
});

test('every argument may be unknown at plan', async () => {
  const applied = await stage.apply(`
    resource "terraform_data" "later" {
      input = {
        texts = {
          name = "web", source = "paris", target = "munich", sr = "nas", vm = "${ids.web}", every = "15m",
          network = "LAN Munich", base = "full", divergence = "overwrite", unmapped = "omit", tag = "dr",
          id = "my.job"
        }
        enabled = true, latest = 4, concurrency = 3, delete = false
      }
    }
    locals { later = terraform_data.later.output }
    resource "xenrepl_job" "web" {
      name                       = local.later.texts.name
      source_pool                = local.later.texts.source
      target_pool                = local.later.texts.target
      target_sr                  = local.later.texts.sr
      vm_uuids                   = [local.later.texts.vm]
      vm_tags                    = [local.later.texts.tag]
      schedule                   = { every = local.later.texts.every }
      retention                  = { latest = local.later.latest }
      network_map                = { "LAN Paris" = local.later.texts.network }
      on_missing_base            = local.later.texts.base
      on_divergence              = local.later.texts.divergence
      on_unmapped_network        = local.later.texts.unmapped
      enabled                    = local.later.enabled
      concurrency                = local.later.concurrency
      delete_replicas_on_destroy = local.later.delete
      job_id                     = local.later.texts.id
    }
    data "xenrepl_replicas" "web" {
      target_pool = local.later.texts.target
      job_id      = xenrepl_job.web.job_id
    }
    output "reachable" { value = data.xenrepl_replicas.web.reachable }
  `);
  expect(applied.stderr).toBe('');
  expect(stage.state()).toMatchObject({ job_id: 'my.job', retention: { latest: 4, source_latest: 1 } });
  expect(await stage.planCode()).toBe(0);
});

test('whole lists, maps and objects may be unknown, and so may the provider', async () => {
  const applied = await stage.apply(`
    resource "terraform_data" "later" {
      input = {
        uuids = ["${ids.web}"], map = { "LAN Paris" = "LAN Munich" }, schedule = { every = "15m" }, file = "pools.yaml"
      }
    }
    provider "xenrepl" { pools_file = terraform_data.later.output.file }
    resource "xenrepl_job" "web" {
      name        = "web"
      source_pool = "paris"
      target_pool = "munich"
      target_sr   = "nas"
      vm_uuids    = terraform_data.later.output.uuids
      network_map = terraform_data.later.output.map
      schedule    = terraform_data.later.output.schedule
    }
  `);
  expect(applied.stderr).toBe('');
  expect(stage.state()).toMatchObject({ revision: 1, network_map: { 'LAN Paris': 'LAN Munich' } });
  expect(await stage.planCode()).toBe(0);
});

test('a job that was deleted on the pool is planned anew, and goes on as before', async () => {
  await stage.apply(job());
  const before = stage.state();
  for (const key of stage.jobKeys()) Reflect.deleteProperty(stage.world.munich.otherConfig, key);
  expect(await stage.planCode()).toBe(2);
  await stage.apply(job());
  expect(stage.state()).toEqual(before);
});

test('a job takes the ids of another tool’s, keeps them, and changes its schedule’s in place', async () => {
  await stage.apply(job('job_id = "of-xen-orchestra"\nschedule_id = "hourly"'));
  expect(stage.state()).toMatchObject({ job_id: 'of-xen-orchestra', schedule_id: 'hourly', revision: 1 });
  expect((await stage.run('plan', '-detailed-exitcode')).code).toBe(0);
  await stage.apply(job('job_id = "of-xen-orchestra"\nschedule_id = "daily"'));
  expect(stage.state()).toMatchObject({ schedule_id: 'daily', revision: 2 });
  await stage.apply(job('job_id = "of-xen-orchestra"'));
  expect(stage.state()).toMatchObject({ schedule_id: 'daily', revision: 2 });
});

test('a change made on the pool is shown and undone', async () => {
  await stage.apply(job());
  stage.changeOnPool((definition) => ({ ...definition, concurrency: 9 }));
  const plan = await stage.run('plan', '-detailed-exitcode');
  expect(plan.stdout).toMatch(/concurrency +=.*9 -> 2/);
  await stage.apply(job());
  expect(stage.state()).toMatchObject({ concurrency: 2, revision: 3 });
});

test('a job that waits for a seed, with everything said about how and when, is changed in place', async () => {
  const everything = `
    schedule  = { every = "15m" }
    rpo       = "60m"
    retention = { latest = 4, hourly = 6, daily = 7, monthly = 2, time_zone = "Europe/Berlin" }
    ${tuned}`;
  const created = await stage.apply(job(everything));
  expect(created.stderr).toBe('');
  expect(stage.definition()).toMatchObject({
    initialCopy: 'seed',
    schedule: { kind: 'every', intervalMs: 900_000 },
    retention: { latest: 4, hourly: 6, daily: 7, weekly: 0, monthly: 2, timeZone: 'Europe/Berlin' },
    rpoMs: 3_600_000,
    jitterMs: 90_000,
    blackouts: [
      { days: ['sat', 'sun'], from: '22:00', to: '06:00', timeZone: 'Europe/Berlin' },
      { days: [], from: '12:00', to: '13:00', timeZone: 'UTC' },
    ],
    snapshot: { mode: 'quiesce', groupSkewMs: 5000 },
    transfer: { method: 'nbd', enableCbt: true, dropSnapshotData: false, verify: 'sampled' },
    limits: {
      bytesPerSecond: 52_428_800,
      windows: [{ days: [], from: '20:00', to: '05:00', timeZone: 'UTC', bytesPerSecond: null }],
      nice: true,
      transfersPerPool: 6,
      transfersPerSr: 4,
    },
    maxChainDepth: 25,
  });
  expect(await stage.planCode()).toBe(0);

  const changed = await stage.apply(job(everything.replace('"seed"', '"auto"').replace('"60m"', '"2h"')));
  expect(changed.stdout).toContain('0 added, 1 changed, 0 destroyed');
  expect(stage.definition()).toMatchObject({ initialCopy: 'auto', rpoMs: 7_200_000, jitterMs: 90_000 });

  // Left out again, each falls back to its default.
  await stage.apply(job());
  expect(stage.definition()).toMatchObject({ ...jobDefaults, retention: keepLatest(3) });
  expect(await stage.planCode()).toBe(0);
});

test('a definition that an older release wrote is taken over without a change', async () => {
  await stage.apply(job());
  stage.changeOnPool((definition) =>
    Object.fromEntries(Object.entries(definition).filter(([name]) => !(name in jobDefaults))),
  );
  expect(await stage.planCode()).toBe(0);
});

test('a change made on the pool between plan and apply is not overwritten', async () => {
  await stage.apply(job());
  stage.configure(job('concurrency = 5'));
  await stage.run('plan', '-out=saved');
  stage.changeOnPool((definition) => ({ ...definition, concurrency: 9 }));
  const applied = await stage.run('apply', 'saved');
  expect(applied.stderr).toContain('Unable to Update Replication Job "web"');
  expect(flat(applied.stderr)).toContain(
    'was changed by somebody else since it was last read: it is at revision 2',
  );
  expect(stage.definition()).toMatchObject({ concurrency: 9 });
});

test('replacement of a live job (taint) ends with the same identity', async () => {
  await stage.apply(job());
  const before = stage.state();
  const replaced = await stage.run('apply', '-auto-approve', '-replace=xenrepl_job.web');
  expect(replaced.stderr).toBe('');
  expect(stage.state()).toEqual({ ...before, revision: 3 });
});

test('another name of the same pool in the pools file is a change in place', async () => {
  await stage.apply(job());
  stage.world.pools.set('munich-dr', stage.world.munich);
  const applied = await stage.apply(job().replace('"munich"', '"munich-dr"'));
  expect(applied.stdout).toContain('1 changed, 0 destroyed');
  expect(stage.state()).toMatchObject({
    target_pool: 'munich-dr',
    target_pool_uuid: ids.munich,
    revision: 2,
  });
  expect(await stage.planCode()).toBe(0);
});

test('another target pool means another job; the old one is buried on its own pool', async () => {
  await stage.apply(job());
  stage.world.paris.srs = [{ uuid: ids.twin1, name_label: 'nas', content_type: 'user' }];
  stage.configure(job().replace('"munich"', '"paris"'));
  const plan = await stage.run('plan');
  expect(plan.stdout).toContain('# forces replacement');
  expect(plan.stdout).toContain('Another Target Pool Means Another Job');
  await stage.run('apply', '-auto-approve');
  expect(stage.state()).toMatchObject({ target_pool_uuid: ids.paris, revision: 1 });
  expect(stage.definition()).toMatchObject({ deleted: true });
  expect(await stage.planCode()).toBe(0);
});

test('another target pool is a replacement also where the identity is fixed', async () => {
  await stage.apply(job('job_id = "my.job"'));
  stage.world.paris.srs = [{ uuid: ids.twin1, name_label: 'nas', content_type: 'user' }];
  const moved = await stage.apply(job('job_id = "my.job"').replace('"munich"', '"paris"'));
  expect(moved.stdout).toContain('1 added, 0 changed, 1 destroyed');
  expect(stage.definition()).toMatchObject({ deleted: true });
});

test('delete_replicas_on_destroy warns, stops the schedule, deletes, and buries the job', async () => {
  await stage.apply(job('delete_replicas_on_destroy = true'));
  const destroyed = await stage.run('destroy', '-auto-approve');
  expect(destroyed.stdout).toContain('Replicas of Job "web" Will Be Destroyed');
  expect(destroyed.code).toBe(0);
  expect(stage.definition()).toMatchObject({ deleted: true, enabled: false });
  expect(stage.world.munich.calls).toContain('read');
});

/** Terraform wraps messages and draws a line beside them. */
function flat(text: string): string {
  return text.replace(/[│╷╵]/g, ' ').replace(/\s+/g, ' ');
}
