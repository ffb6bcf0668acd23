/** jobs, status and replicas: what is known with credentials for the target pool alone. */
import { buryJob } from '../../../lib/engine';
import { Screen } from '../call';
import { jobId, masked, Pools } from '../pools';

const target = ['--target-pool', 'target'];

async function withTargetOnly(): Promise<Pools> {
  const pools = await Pools.start();
  await pools.writePoolsFile([pools.site.target]);
  return pools;
}

describe('on a pool without anything', () => {
  it.each([
    ['jobs', 'pool "target" has no job\n'],
    ['status', 'pool "target" has no job and no replica\n'],
    ['replicas', 'pool "target" has no replica\n'],
  ])('%s says so', async (command, text) => {
    await using pools = await withTargetOnly();
    expect(await pools.called([command, ...target])).toEqual({ code: 0, stdout: text, stderr: '' });
  });
});

test('a job without a replica yet', async () => {
  await using pools = await withTargetOnly();
  const named = '6f7c1a52-0f43-4be6-9a5e-0d6f3cbb2d11';
  await pools.storeJob({ enabled: false, selection: { uuids: [named.toUpperCase()], tags: ['protect'] } });
  await pools.storeJob({
    jobId: 'second',
    name: 'hourly',
    schedule: { kind: 'cron', expression: '0 * * * *', timeZone: 'UTC' },
  });
  expect((await pools.called(['jobs', ...target])).stdout).toBe(
    `JOB     ENABLED  SOURCE  VMS                      SCHEDULE         KEEPS  ID
hourly  yes      source  tagged protect           0 * * * * (UTC)      3  second
site    no       source  1 VM and tagged protect  manual               3  ${jobId}
`,
  );
  expect(masked((await pools.called(['status', ...target])).stdout)).toBe(
    `JOB  VM  POINTS  NEWEST AS OF  AGE  LAG  NEXT START  STATE
hourly  -  0  -  -  -  <time> (schedule)  no replica yet
site (disabled)  <uuid 1>  0  -  -  -  disabled  no replica yet

pool "target", <time> by its clock
`,
  );
  expect((await pools.called(['replicas', ...target, '--job', 'site'])).stdout).toBe(
    'pool "target" has no replica of job "site" yet\n',
  );
});

test('after a run: age by the clock of the target, recovery points newest first; the source is not needed', async () => {
  await using pools = await Pools.start();
  await pools.storeJob();
  for (let round = 0; round < 2; round += 1) {
    expect((await pools.called(['run', ...target, '--job', 'site'])).code).toBe(0);
    // Commits bear the pool's time in whole seconds: two of one second have no order.
    for (const { control } of [pools.site.source, pools.site.target]) await control.advanceClock(60_000);
  }
  await pools.writePoolsFile([pools.site.target]);
  await pools.site.target.control.advanceClock(3 * 3_600_000);

  const status = await pools.called(['status', ...target, '--job', 'site']);
  expect(masked(status.stdout)).toMatch(/^site {2}db1 {2}2 {2}<time> {2}3 h 1 min {2}- {2}manual {2}ready$/m);
  const asData = JSON.parse((await pools.called(['status', ...target, '--json'])).stdout) as StatusDocument;
  const [vm] = asData.jobs[0]?.vms ?? [];
  expect(vm).toMatchObject({ name: 'db1', state: 'ready', points: 2, running: null });
  expect(vm?.ageMs).toBe(asData.nowMs - (vm?.newest.takenAtMs ?? 0));

  const replicas = await pools.called(['replicas', ...target]);
  expect(masked(replicas.stdout)).toMatchInlineSnapshot(`
    "db1 (<uuid 1>): ready, job "site", SR <uuid 2>
      AS OF  KIND  DISKS  SIZE  VERIFIED  RECOVERY POINT
      <time>  delta  2  96.0 MiB  no  <uuid 3>
      <time>  full  2  96.0 MiB  no  <uuid 4>
    "
  `);
  const { replicas: data } = JSON.parse(
    (await pools.called(['replicas', ...target, '--job', jobId, '--json'])).stdout,
  ) as ReplicasDocument;
  expect(data[0]?.points.map(({ kind }) => kind)).toEqual(['delta', 'full']);
  expect(data[0]?.points.map(({ verified }) => verified)).toEqual([null, null]);
  expect(data[0]?.points[0]?.disks.map(({ device }) => device).toSorted()).toEqual(['0', '1']);
});

test('what a deleted job left is still shown, under that name and by the id of the job', async () => {
  await using pools = await Pools.start();
  await pools.storeJob();
  expect((await pools.called(['run', ...target, '--job', 'site'])).code).toBe(0);
  await buryJob(await pools.site.connect('target'), jobId);

  const status = await pools.called(['status', ...target]);
  expect(masked(status.stdout)).toMatch(/^\(deleted\) {2}db1 {2}1 {2}<time> {2}.* {2}ready$/m);
  for (const job of ['site', jobId]) {
    const { stdout } = await pools.called(['replicas', ...target, '--job', job]);
    expect(stdout).toMatch(/^db1 \(.*\): ready, job "site", deleted, SR /);
  }
  for (const command of ['run', 'plan', 'status']) {
    const { code, stderr } = await pools.called([command, ...target, '--job', jobId]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: Job "site" \(.*\) was deleted from pool "target"\nhint: its replicas may/,
    );
  }
});

test('an unknown job is answered with those that are known', async () => {
  await using pools = await withTargetOnly();
  await pools.storeJob();
  for (const command of ['run', 'plan', 'status', 'replicas']) {
    const { code, stderr } = await pools.called([command, ...target, '--job', 'my site']);
    expect([code, stderr]).toEqual([
      1,
      `error: Pool "target" has no job "my site"\nhint: it has "site" (${jobId})\n`,
    ]);
  }
});

test('an entry that cannot be read is told, and is not taken for a job that does not exist', async () => {
  await using pools = await withTargetOnly();
  await pools.storeJob();
  const pool = await pools.site.connect('target');
  await pool.call('pool.add_to_other_config', [pool.ref, `xenrepl:job:${jobId}:7`, '{"schemaVersion":9}']);
  for (const command of ['jobs', 'status']) {
    const { code, stdout, stderr } = await pools.called([command, ...target, '--json']);
    expect(code).toBe(0);
    expect(stderr).toContain(
      `warning: cannot read xenrepl:job:${jobId}:7 of pool.other_config: schema version 9`,
    );
    expect((JSON.parse(stdout) as { unreadable: unknown[] }).unreadable).toHaveLength(1);
  }
  const { code, stderr } = await pools.called(['run', ...target, '--job', 'site']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: Cannot read job .*\nhint: update this program/);
});

test('long names are cut on a narrow terminal and nowhere else', async () => {
  await using pools = await withTargetOnly();
  const name = 'customer-database-replication-every-night-to-lyon';
  await pools.storeJob({ name });
  const narrow = new Screen(80);
  await pools.call(['jobs', ...target], { stdout: narrow }).code;
  expect(Math.max(...narrow.lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(narrow.text).toMatch(/^custo\S*…\S*lyon /m);
  expect((await pools.called(['jobs', ...target])).stdout).toContain(`${name}  yes`);
});

interface StatusDocument {
  readonly nowMs: number;
  readonly jobs: readonly {
    readonly vms: readonly { readonly ageMs: number; readonly newest: { readonly takenAtMs: number } }[];
  }[];
}

interface ReplicasDocument {
  readonly replicas: readonly {
    readonly points: readonly {
      readonly kind: string;
      readonly verified: unknown;
      readonly disks: readonly { readonly device: string }[];
    }[];
  }[];
}
