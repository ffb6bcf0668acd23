import type { SimulatorSpec } from '../../../lib/simulator';
import { defaultSpec, guestWrites } from '../../engine/site';
import { compareNewest, leftovers } from '../../engine/inspect';
import { Screen } from '../call';
import { jobId, masked, Pools } from '../pools';
import { errorLine, eventLine, reportLine } from './report-schema';

const mib = 1024 ** 2;
const argv = ['run', '--target-pool', 'target', '--job', 'site'];

async function pools(spec?: SimulatorSpec): Promise<Pools> {
  const started = await Pools.start(spec);
  await guestWrites(started.site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 24 * mib, fill: 7 }]);
  return started;
}

/** Half of the first disk comes, then nothing more, as over a line that died without a word. */
async function stallExport({ site }: Pools): Promise<void> {
  const effect = { kind: 'stall', afterBytes: 13 * mib } as const;
  await site.source.control.addFault({ match: { transfer: 'export' }, max: 9, effect });
}

/** One disk, so that the order of lines is the same each time. */
const oneDisk: SimulatorSpec = {
  pools: defaultSpec.pools.map((pool) => ({
    ...pool,
    vms: pool.vms.map((vm) => ({ ...vm, disks: vm.disks.slice(0, 1) })),
  })),
};

test('a first run in full, a second one as delta, each with its table', async () => {
  await using site = await pools(oneDisk);
  await site.storeJob();
  const first = await site.called(argv);
  expect(first.stderr).toBe('');
  expect(first.code).toBe(0);
  expect(masked(first.stdout)).toMatchInlineSnapshot(`
    "run <uuid 1> of job "site": 1 VM
    db1: full of 1 disk
    db1: note: disk 0 is copied in full: the first copy
    db1: taking a snapshot on the source
    db1: disk 0: full, 24.0 MiB to read
    db1: disk 0: copied, 24.0 MiB read, 24.0 MiB sent
    db1: creating the replica, with start blocked
    db1: exchanging the disks of the replica
    db1: making the recovery point
    db1: replicated: recovery point <uuid 2>, as of <time>

    VM  DISK  KIND  CHANGED  READ  SENT
    db1  0  full  24.0 MiB  24.0 MiB  24.0 MiB

    VM  OUTCOME  RECOVERY POINT  AS OF  DURATION
    db1  replicated  <uuid 2>  <time>  <duration>

    1 of 1 VM replicated in <duration>
    "
  `);

  await guestWrites(site.site.source.control, 'db1', 0, [{ atBytes: 8 * mib, lengthBytes: 4096, fill: 9 }]);
  const second = await site.called(argv);
  expect(second.code).toBe(0);
  expect(masked(second.stdout)).toMatchInlineSnapshot(`
    "run <uuid 1> of job "site": 1 VM
    db1: delta of 1 disk, on recovery point <uuid 2>
    db1: taking a snapshot on the source
    db1: disk 0: delta, 2.0 MiB to read
    db1: disk 0: copied, 2.0 MiB read, 64.0 KiB sent
    db1: exchanging the disks of the replica
    db1: making the recovery point
    db1: removing a source snapshot that nothing needs any more
    db1: replicated: recovery point <uuid 3>, as of <time>

    VM  DISK  KIND  CHANGED  READ  SENT
    db1  0  delta  2.0 MiB  2.0 MiB  64.0 KiB

    VM  OUTCOME  RECOVERY POINT  AS OF  DURATION
    db1  replicated  <uuid 3>  <time>  <duration>

    1 of 1 VM replicated in <duration>
    "
  `);
});

test('as JSON every line is an event and the last one is the report', async () => {
  await using site = await pools();
  await site.storeJob();
  const { code, stdout } = await site.called([...argv, '--json']);
  const lines = stdout.trimEnd().split('\n');
  const events = lines.slice(0, -1).map((line) => eventLine.parse(JSON.parse(line)));
  const { kind, ...report } = reportLine.parse(JSON.parse(lines.at(-1) ?? ''));
  expect([code, kind, report.ok]).toEqual([0, 'report', true]);
  expect(events[0]?.kind).toBe('run-started');
  expect(events.at(-1)?.kind).toBe('run-finished');
  const disks = await compareNewest(site.site, report);
  expect(disks.map(({ device }) => device)).toEqual(['0', '1']);
  for (const { source, target } of disks) expect(target).toBe(source);
});

test('on a terminal there is a bar while a disk is copied, and the same table at the end', async () => {
  await using site = await pools();
  await site.storeJob();
  await stallExport(site);
  const stdout = new Screen(100);
  const running = site.call(argv, { stdout, env: { TERM: 'xterm' } });
  await stdout.shows(/db1 disk 0 {2}█+░+ /);
  running.send('SIGINT');
  expect(await running.code).toBe(130);
  expect(stdout.text).toMatch(/VM +OUTCOME +RECOVERY POINT/);
});

test('a terminal that knows no cursor gets lines', async () => {
  await using site = await pools();
  await site.storeJob();
  const stdout = new Screen(100);
  expect(await site.call(argv, { stdout, env: { TERM: 'dumb' } }).code).toBe(0);
  expect(stdout.text).not.toContain('\u001b');
  expect(stdout.text).toContain('db1: disk 0: copied');
});

test('a conflict ends in 3 and tells which setting decides it', async () => {
  await using site = await pools();
  await site.storeJob({ networkMap: {} });
  const { code, stdout, stderr } = await site.called(argv);
  expect(code).toBe(3);
  expect(stdout).toMatch(/db1: not replicated \(blocked\)/);
  expect(stdout).toMatch(/^db1 +blocked +- +- /m);
  expect(stdout).toMatch(/^0 of 1 VM replicated in /m);
  expect(masked(stderr)).toMatchInlineSnapshot(`
    "error: db1: Cannot replicate VM "db1" (<uuid 1>): no target network is named for "lan" (<uuid 2>)
    hint: add it to network_map, or set on_unmapped_network = "omit" to leave such cards out
    "
  `);
});

test('a VM that is gone beside one that is not ends in 5', async () => {
  await using site = await pools();
  const gone = '00000000-0000-4000-8000-000000000000';
  await site.storeJob({ selection: { uuids: [gone], tags: ['protect'] } });
  const { code, stdout, stderr } = await site.called(argv);
  expect(code).toBe(5);
  expect(stdout).toMatch(/^1 of 2 VMs replicated in /m);
  expect(stderr).toMatch(/^error: .*pool "source" has no such VM\nhint: its replica is untouched/);
});

test('a job that selects nothing says so, and that is no failure', async () => {
  await using site = await pools();
  await site.storeJob({ selection: { uuids: [], tags: ['nobody'] } });
  const { code, stdout, stderr } = await site.called(argv);
  expect(code).toBe(0);
  expect(stdout).toContain('job "site" selects no VM at present: nothing was replicated\n');
  expect(stderr).toContain('warning: job "site": no VM of the source pool bears tag "nobody"\n');
});

test('--vm restricts a run; a VM of another job is refused and the own ones are named', async () => {
  await using site = await pools();
  await site.storeJob();
  const db1 = await site.site.source.control.vmUuid('db1');
  expect((await site.called([...argv, '--vm', db1.toUpperCase()])).code).toBe(0);
  const other = '00000000-0000-4000-8000-000000000000';
  const { code, stderr } = await site.called([...argv, '--vm', other]);
  expect(code).toBe(1);
  expect(stderr).toBe(
    `error: Job "site" (${jobId}) does not select VM ${other}\nhint: it selects 1 VM: "db1" (${db1})\n`,
  );
});

test('while one run is at work another one is locked out with 4, and Ctrl-C cleans up after the first', async () => {
  await using site = await pools();
  await site.storeJob();
  await stallExport(site);
  const running = site.call(argv);
  await running.stdout.shows('db1: taking a snapshot on the source');
  await running.stdout.shows('db1: disk 0: full');

  // Each run has an id of its own: a lock with its own id in it, a run takes for its own.
  const other = { newId: () => '88888888-8888-4888-8888-888888888888' };
  const second = await site.called([...argv, '--lock-wait', '0'], other);
  expect(second.code).toBe(4);
  expect(second.stderr).toMatch(/^error: db1: Cannot run job .*: the test \(run .*\) holds its lock/);
  const waiting = await site.called(['status', '--target-pool', 'target']);
  expect(waiting.stdout).toMatch(/^site +\S+ +0 +- +- +- +manual +no replica yet, run by the test$/m);

  running.send('SIGINT');
  expect(await running.code).toBe(130);
  expect(running.stderr.text).toMatch(/^stopping, after cleaning up; a second time stops at once/);
  expect(running.exits).toEqual([]);
  expect(running.listeners()).toBe(0);
  expect(await leftovers(site.site)).toEqual([]);

  await site.site.source.control.clearFaults();
  expect((await site.called([...argv, '--lock-wait', '0'])).code).toBe(0);
});

test('a second Ctrl-C ends the process at once', async () => {
  await using site = await pools();
  await site.storeJob();
  await stallExport(site);
  const clock = { nowMs: 0 };
  const running = site.call(argv, { nowMs: () => clock.nowMs });
  await running.stdout.shows('db1: disk 0: full');
  running.send('SIGINT');
  clock.nowMs = 1000;
  running.send('SIGINT');
  expect(running.exits).toEqual([130]);
  await running.code;
});

test('a pool that refuses the login is an error of one line with a hint, as JSON too', async () => {
  const impatient = defaultSpec.pools.map((pool) => ({ ...pool, wrongPasswordDelayMs: 0 }));
  await using site = await pools({ pools: impatient });
  await site.storeJob();
  await site.writePoolsFile([site.site.source, { ...site.site.target, password: 'wrong' }]);
  const human = await site.called(argv);
  expect(human.code).toBe(1);
  expect(human.stdout).toBe('');
  expect(human.stderr).toMatch(
    /^error: [^\n]*pool "target"[^\n]*SESSION_AUTHENTICATION_FAILED[^\n]*\nhint: [^\n]+\n$/,
  );
  const json = await site.called([...argv, '--json']);
  expect(errorLine.parse(JSON.parse(json.stdout))).toMatchObject({
    code: 'SESSION_AUTHENTICATION_FAILED',
    exitCode: 1,
  });
  expect(json.stderr).toBe('');
  const debug = await site.called([...argv, '--debug']);
  expect(debug.stderr).toMatch(/\n {4}at /);
});
