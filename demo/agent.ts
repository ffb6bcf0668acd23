/**
 * The agent, shown on two simulated pools: a job `every: 5s` for a minute while the guest writes, two agents, one of them
 * killed in the middle of a run and the other going on, the metrics page, and the proof that the last recovery point is
 * byte for byte its source snapshot.
 *
 *     npm run demo:agent            # exit code 0 only if every promise held
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { defaultScheduleId, leaseMs, listReplicas, writeJob } from '../lib/engine';
import type { ReplicaSummary } from '../lib/engine';
import { jobDefaults, keepLatest } from '../lib/planner/job';
import type { JobDefinition } from '../lib/planner/job';
import { heldLocks } from '../lib/planner/lock-keys';
import { DemoAgent } from './demo-agent';
import { makeFilesystem } from './guest-disk';
import { killAll } from './programs';
import { connected, rootDiskBytes, sourceSpec, startPool, targetSpec, writePoolsFile } from './site';
import type { DemoPool } from './site';
import { mib, Story } from './story';

const cli = join(resolve(__dirname, '..', '..'), 'dist', 'bundle', 'xenrepl.cjs');
const jobId = '5e6f7a8b-0000-4000-8000-000000000005';
const intervalMs = 5_000;
const rpoMs = 15_000;
/** What the agents keep the schedule for, besides the time that the take-over takes. */
const showMs = 60_000;

interface Stage {
  readonly story: Story;
  readonly folder: string;
  readonly source: DemoPool;
  readonly target: DemoPool;
}

async function main(): Promise<boolean> {
  const story = new Story();
  const folder = mkdtempSync(join(tmpdir(), 'xenrepl-demo-agent-'));
  const pools: DemoPool[] = [];
  try {
    const stage = await setUp(story, folder, pools);
    const writers = await startGuest(stage);
    const agents = await startAgents(stage);
    const startedMs = performance.now();
    await watch(stage, agents, showMs / 2);
    const survivor = await killOne(stage, agents);
    await watch(stage, [survivor], Math.max(10_000, showMs - (performance.now() - startedMs)));
    await showMetrics(stage, survivor);
    await stopGuest(stage, writers);
    await stopAgent(stage, survivor);
    await prove(stage);
  } catch (error) {
    story.check('the demo runs to its end', false, error instanceof Error ? error.message : String(error));
  } finally {
    killAll();
    await Promise.all(pools.map((pool) => pool.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
  return story.end();
}

async function setUp(story: Story, folder: string, pools: DemoPool[]): Promise<Stage> {
  story.step('Two pools, a running VM "db1", and a job on the target pool: every 5s, RPO 15s');
  const source = await startPool(cli, folder, 'source', sourceSpec(makeFilesystem(folder, rootDiskBytes)));
  pools.push(source);
  const target = await startPool(cli, folder, 'target', targetSpec());
  pools.push(target);
  writePoolsFile(folder, pools);
  // The agents look at the pools more often than every half minute, so that a minute is enough to show them.
  writeFileSync(join(folder, 'agent.yaml'), 'poll: 2s\n');
  const job = await connected(target, async (pool): Promise<JobDefinition> => {
    const [sr] = await pool.call('SR.get_by_name_label', ['Local storage']);
    if (sr === undefined) throw new Error('The target pool has no SR');
    const definition: JobDefinition = {
      ...jobDefaults,
      schemaVersion: 1,
      jobId,
      scheduleId: defaultScheduleId(jobId),
      name: 'every-5s',
      enabled: true,
      source: { poolName: 'source', poolUuid: null },
      target: { poolName: 'target', poolUuid: pool.uuid, srUuid: await pool.call('SR.get_uuid', [sr]) },
      selection: { uuids: [], tags: ['protect'] },
      schedule: { kind: 'every', intervalMs },
      rpoMs,
      retention: keepLatest(3),
      networkMap: { office: 'dr' },
      onUnmappedNetwork: 'fail',
      onMissingBase: 'fail',
      onDivergence: 'fail',
      concurrency: 2,
    };
    await writeJob(pool, definition);
    return definition;
  });
  story.say(
    `   job "${job.name}" stands in pool.other_config of "target"; nothing else tells the agents what to do`,
  );
  return { story, folder, source, target };
}

async function startGuest({ story, source }: Stage): Promise<readonly string[]> {
  const vm = await source.control.vmUuid('db1');
  const disks = [await source.control.diskOf(vm, 0), await source.control.diskOf(vm, 1)];
  const spanBytes = 16 * 1024 ** 2;
  story.say('   the guest writes 20 blocks of 4 KiB a second to each of its two disks, all the time');
  return Promise.all(
    disks.map((vdi, seed) => source.control.startWriter({ vdi, writesPerSecond: 20, spanBytes, seed })),
  );
}

async function startAgents(stage: Stage): Promise<readonly [DemoAgent, DemoAgent]> {
  const { story, folder } = stage;
  story.step('Two agents on the same pools: xenrepl agent --listen 127.0.0.1:0, each with its own history');
  const agents = [
    new DemoAgent('agent 1', cli, folder, story),
    new DemoAgent('agent 2', cli, folder, story),
  ] as const;
  for (const agent of agents) {
    const ready = await agent.ready();
    story.check(`${agent.name} is ready`, ready, `${agent.url}/readyz answers 200`);
  }
  return agents;
}

async function watch({ story }: Stage, agents: readonly DemoAgent[], ms: number): Promise<void> {
  const before = agents.reduce((sum, { replicated }) => sum + replicated, 0);
  await new Promise((resolve) => setTimeout(resolve, ms));
  const made = agents.reduce((sum, { replicated }) => sum + replicated, 0) - before;
  const least = Math.floor(ms / intervalMs) - 1;
  const seconds = Math.round(ms / 1000);
  story.check(
    `a recovery point every 5 s for ${String(seconds)} s`,
    made >= least,
    `${String(made)} runs with a new recovery point by ${agents.map(({ name }) => name).join(' and ')}`,
  );
}

/** SIGKILL between the first byte and the commit; then the lease has to run out by the target pool's clock. */
async function killOne(stage: Stage, agents: readonly [DemoAgent, DemoAgent]): Promise<DemoAgent> {
  const { story, source, target } = stage;
  story.step('One agent is killed (SIGKILL) in the middle of a run');
  const victim = await Promise.race(agents.map((agent) => agent.copying()));
  victim.kill();
  await victim.ended;
  const survivor = agents[0] === victim ? agents[1] : agents[0];
  const holders = await connected(target, async (pool) =>
    heldLocks(await pool.call('pool.get_other_config', [pool.ref]), jobId, await pool.serverTime()),
  );
  const [holder] = holders.values();
  story.check(
    'the dead agent still holds the lock',
    holder?.who.includes(`process ${String(victim.pid)}`) === true,
    `${victim.name} was killed; lock of "${holder?.who ?? 'nobody'}"`,
  );
  const before = survivor.starts;
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  story.check(
    'nobody starts while the lease lasts',
    survivor.starts === before,
    `${survivor.name} waited for 6 s`,
  );
  story.say(`   the clocks of both pools are moved on by ${String(leaseMs / 1000)} s, which is the lease`);
  await Promise.all([source.control.advanceClock(leaseMs), target.control.advanceClock(leaseMs)]);
  const movedMs = performance.now();
  const cause = await survivor.nextStart();
  const tookMs = performance.now() - movedMs;
  story.check(
    'the other agent takes over',
    cause === 'take-over' && tookMs < 10_000,
    `${survivor.name} started ${(tookMs / 1000).toFixed(1)} s after the end of the lease; cause: ${cause}`,
  );
  await survivor.nextPoint();
  story.check(
    'the broken promise was told, and so is its end',
    survivor.told('violation-began') > 0 && (await survivor.tells('violation-ended')),
    'RPO 15s was violated for the length of the lease',
  );
  return survivor;
}

async function showMetrics({ story }: Stage, agent: DemoAgent): Promise<void> {
  story.step(`The metrics page of ${agent.name}, ${agent.url}/metrics`);
  const page = await agent.page('/metrics');
  const lines = page.split('\n').filter((line) => line.startsWith('xenrepl_') && !line.includes('_bucket'));
  for (const line of lines) story.say(`   | ${line}`);
  const value = (name: string): number =>
    Number(
      lines
        .find((line) => line.startsWith(name))
        ?.split(' ')
        .at(-1),
    );
  const age = value('xenrepl_recovery_point_age_seconds');
  story.check(
    'the age of the newest recovery point is below the RPO',
    age < rpoMs / 1000,
    `${String(age)} s`,
  );
  story.check(
    'violations are counted',
    value('xenrepl_rpo_violations_total') >= 1,
    String(value('xenrepl_rpo_violations_total')),
  );
  story.check('no run failed', !/xenrepl_failures_total\{[^}]*\} [1-9]/.test(page), 'xenrepl_failures_total');
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' });
  if (promtool.error !== undefined)
    story.say('   promtool is not installed: the page is not checked with it');
  else
    story.check(
      'promtool check metrics',
      promtool.status === 0,
      `${promtool.stdout}${promtool.stderr}`.trim() || 'finds nothing',
    );
}

async function stopGuest({ source }: Stage, writers: readonly string[]): Promise<void> {
  for (const writer of writers) await source.control.stopWriter(writer);
}

async function stopAgent({ story }: Stage, agent: DemoAgent): Promise<void> {
  story.step('SIGTERM');
  const startedMs = performance.now();
  agent.stop();
  const code = await agent.ended;
  const tookMs = performance.now() - startedMs;
  story.check(
    'it ends within 10 s',
    code === 0 && tookMs < 10_000,
    `exit code ${String(code)} after ${(tookMs / 1000).toFixed(1)} s`,
  );
}

async function prove({ story, source, target }: Stage): Promise<void> {
  story.step('The newest recovery point is its source snapshot, byte for byte');
  const [replica] = await connected(target, (pool): Promise<readonly ReplicaSummary[]> =>
    listReplicas(pool, jobId),
  );
  const point = replica?.points[0];
  story.check(
    'retention kept three recovery points',
    replica?.points.length === 3,
    `"${point?.name ?? 'none'}"`,
  );
  for (const { device, vdiUuid, sourceVdiUuid } of point?.disks ?? []) {
    const wanted = await source.control.digestDisk(sourceVdiUuid);
    const found = await target.control.digestDisk(vdiUuid);
    story.check(
      `disk ${device} equals the source snapshot`,
      wanted.sha256 === found.sha256 && wanted.sizeBytes === found.sizeBytes,
      `sha256 ${found.sha256.slice(0, 16)}… over ${mib(found.sizeBytes)}`,
    );
  }
  story.check(
    'both disks were compared',
    point?.disks.length === 2,
    `${String(point?.disks.length ?? 0)} disks`,
  );
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killAll();
    process.exit(130);
  });
}

void main().then((ok) => {
  process.exitCode = ok ? 0 : 1;
});
