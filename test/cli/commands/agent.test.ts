/** What goes with the agent on the command line: promises asserted, its view in `status`, the unit of its service. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeHistory } from '../../../lib/schedule';
import { systemdUnit } from '../../../lib/cli/systemd-unit';
import { called } from '../call';
import { jobId, masked, Pools } from '../pools';

const target = ['--target-pool', 'target'] as const;

test('assert-rpo: one line per VM, and an exit code that a pipeline can act on', async () => {
  await using pools = await Pools.start();
  const job = await pools.storeJob({ rpoMs: 3_600_000 });

  const before = await pools.called(['assert-rpo', ...target]);
  expect([before.code, before.stdout]).toEqual([8, 'VIOLATED  site: db1: no recovery point, RPO 1 h\n']);

  await pools.site.run(job);
  const kept = await pools.called(['assert-rpo', ...target, '--job', 'site']);
  expect([kept.code, masked(kept.stdout)]).toEqual([
    0,
    'kept  site: db1: newest recovery point <duration> old, RPO 1 h\n',
  ]);

  await pools.site.target.control.advanceClock(2 * 3_600_000);
  const late = await pools.called(['assert-rpo', ...target, '--json']);
  expect(late.code).toBe(8);
  expect(JSON.parse(late.stdout)).toMatchObject({
    kind: 'rpo',
    job: { name: 'site' },
    vm: { name: 'db1' },
    violated: true,
  });
  expect((await pools.called(['assert-rpo', ...target, '--rpo', '3h'])).code).toBe(0);

  const [line] = (await pools.called(['status', ...target])).stdout.split('\n').slice(1);
  expect(masked(line ?? '')).toMatch(/^site {2}db1 {2}1 {2}<time> {2}2 h {2}1 h {2}manual {2}ready$/);
});

test('assert-rpo fails where it asserts nothing, and where the source cannot tell which VMs there are', async () => {
  await using pools = await Pools.start();
  const job = await pools.storeJob();
  const nothing = await pools.called(['assert-rpo', ...target]);
  expect([nothing.code, nothing.stderr]).toEqual([
    1,
    expect.stringMatching(/^error: No enabled job of pool "target"/),
  ]);

  await pools.site.run(job);
  await pools.writePoolsFile([pools.site.target]);
  const blind = await pools.called(['assert-rpo', ...target, '--rpo', '1h']);
  expect(blind.code).toBe(1);
  expect(masked(blind.stdout)).toMatch(/^kept/);
  expect(blind.stderr).toMatch(/^warning: job "site": VMs that it finds by tag/);
});

test('status tells what an agent on this machine remembers', async () => {
  await using pools = await Pools.start();
  const job = await pools.storeJob({ schedule: { kind: 'every', intervalMs: 3_600_000 } });
  const atMs = Date.parse('2026-05-01T12:00:00Z');
  writeHistory(
    join(pools.folder, 'state'),
    new Map([
      [
        `${job.target.poolUuid}/${jobId}`,
        {
          name: 'site',
          knownSinceMs: atMs,
          seenAtMs: atMs,
          durationsMs: [],
          vms: null,
          failure: null,
          lastRun: null,
          lastSkip: { atMs, reason: 'blackout', text: 'blackout until noon' },
          nextStart: null,
        },
      ],
    ]),
  );
  const { stdout } = await pools.called(['status', ...target, '--agent-state', 'state']);
  expect(stdout).toContain('site: last skip 2026-05-01 12:00:00Z: blackout until noon (blackout)');
  expect(stdout).toContain('due (schedule)');
});

describe('agent install --systemd', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xenrepl-unit-'));
    await writeFile(join(folder, 'xenrepl.cjs'), '');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('writes a unit that hands over credentials and allows little else', async () => {
    const argv = ['agent', 'install', '--systemd', '--output', 'unit', '--hand-over', 'lyon.password'];
    const { code, stderr } = await called([...argv, '--node', '/usr/bin/node', '--serve', '127.0.0.1:9464'], {
      cwd: folder,
      programFolder: folder,
    });
    expect([code, stderr]).toEqual([0, expect.stringContaining('systemctl enable --now')]);
    const unit = await readFile(join(folder, 'unit'), 'utf8');
    expect(unit).toContain(
      `ExecStart=/usr/bin/node ${folder}/xenrepl.cjs agent --pools-file \${CREDENTIALS_DIRECTORY}/pools.yaml --listen 127.0.0.1:9464`,
    );
    for (const line of [
      'LoadCredential=pools.yaml:/etc/xenrepl/pools.yaml',
      `LoadCredential=lyon.password:${folder}/lyon.password`,
      'DynamicUser=yes',
      'ProtectSystem=strict',
    ])
      expect(unit.split('\n')).toContain(line);
  });

  test('refuses what a unit cannot say', () => {
    const parts = {
      node: '/n',
      program: '/p',
      poolsFile: '/etc/x',
      credentials: [],
      config: null,
      listen: null,
    };
    expect(() => systemdUnit({ ...parts, poolsFile: '/etc/my pools' })).toThrow(/no blank/);
    expect(() => systemdUnit({ ...parts, program: '/a\nExecStartPre=/b' })).toThrow(/control character/);
    expect(() => systemdUnit({ ...parts, credentials: ['/a/key', '/b/key'] })).toThrow(/called key/);
    expect(systemdUnit({ ...parts, program: '/opt/my "x"/50%' })).toContain(
      '/n "/opt/my \\"x\\"/50%%" agent',
    );
  });

  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  (analyze ? test : test.skip)('systemd itself finds nothing wrong with it', async () => {
    const file = join(folder, 'xenrepl-agent.service');
    await writeFile(
      file,
      systemdUnit({
        node: process.execPath,
        program: '/p',
        poolsFile: '/etc/x',
        credentials: [],
        config: null,
        listen: null,
      }),
    );
    const { stderr, status } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });
});
