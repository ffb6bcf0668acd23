/** The metrics page, the pages for health, and what stands in examples/monitoring. */
import { readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Agent } from '../../lib/agent/agent';
import { healthPage, readyPage } from '../../lib/agent/health';
import { Metrics } from '../../lib/agent/metrics';
import { parseAddress, serve } from '../../lib/agent/serve';
import { defaultSettings } from '../../lib/agent/settings';
import { DrivenClock } from './driven-clock';
import { DrivenPool, DrivenWorld, failure, jobOn } from './driven-world';

const minute = 60_000;
const examples = join(__dirname, '../../examples/monitoring');
/** Debian has it in the package prometheus; CI installs it, so there it must not be missing. */
const promtool = spawnSync('promtool', ['--version']).status === 0;
const withPromtool = promtool || process.env['CI'] === 'true' ? test : test.skip;

/** An agent that ran a job, failed at another, and was down for a while: every metric has a value. */
async function ranAgent(): Promise<{
  agent: Agent;
  metrics: Metrics;
  world: DrivenWorld;
  stop: () => Promise<void>;
}> {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'fine', { rpoMs: 90 * minute }));
  const clock = new DrivenClock(Date.parse('2026-05-01T12:20:00Z'));
  const world = new DrivenWorld(clock, pool);
  world.verification = { lastAtMs: Date.parse('2026-05-01T12:00:00Z'), allEqual: false };
  const metrics: Metrics = new Metrics('1.2.3', () => ({
    views: agent.views(),
    pools: agent.watches.map(({ poolName, isUp }) => ({ name: poolName, up: isUp })),
  }));
  let runs = 0;
  const agent = new Agent({
    world,
    clock,
    settings: defaultSettings,
    report: (event) => metrics.take(event),
    newRunId: () => `run-${String((runs += 1))}`,
    remembered: new Map(),
    remember: () => undefined,
  });
  const ended = agent.run();
  await clock.advance(10 * minute);
  world.outcome = failure('SR_FULL', 'later');
  await clock.advance(120 * minute);
  return {
    agent,
    metrics,
    world,
    stop: async () => {
      agent.stop();
      await clock.advance(minute);
      await ended;
    },
  };
}

test('age, lag, runs, bytes, failures by code and violations are told, per VM where they are of a VM', async () => {
  const { metrics, stop } = await ranAgent();
  const page = await metrics.page();
  const job = 'pool="lyon",job="fine",job_id="fine"';
  const vm = `${job},vm="db1",vm_uuid="vm-of-fine"`;
  const value = (series: string): number =>
    Number(
      page
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')
        .at(-1),
    );
  expect(value(`xenrepl_recovery_point_age_seconds{${vm}}`)).toBe(130 * 60);
  expect(value(`xenrepl_rpo_lag_seconds{${vm}}`)).toBe(40 * 60);
  expect(value(`xenrepl_rpo_violated{${vm}}`)).toBe(1);
  expect(value(`xenrepl_rpo_violations_total{${vm}}`)).toBe(1);
  expect(value(`xenrepl_verification_equal{${vm}}`)).toBe(0);
  expect(value(`xenrepl_verification_timestamp_seconds{${vm}}`)).toBe(
    Date.parse('2026-05-01T12:00:00Z') / 1000,
  );
  expect(value(`xenrepl_runs_total{${job},outcome="replicated"}`)).toBe(1);
  expect(value(`xenrepl_failures_total{${job},code="SR_FULL"}`)).toBe(
    value(`xenrepl_runs_total{${job},outcome="failed"}`),
  );
  expect(value(`xenrepl_job_failure_streak{${job}}`)).toBeGreaterThan(3);
  expect(value(`xenrepl_source_read_bytes_total{${job}}`)).toBeGreaterThanOrEqual(2048);
  expect(value('xenrepl_pool_up{pool="lyon"}')).toBe(1);
  await stop();
});

test('series of a job that is gone go with it', async () => {
  const { metrics, world, agent, stop } = await ranAgent();
  world.pools[0]?.remove('fine');
  await agent.watches[0]?.look();
  world.pools.splice(0);
  agent.watchPools();
  expect(await metrics.page()).not.toContain('job="fine"');
  await stop();
});

withPromtool('promtool finds nothing wrong with the page', async () => {
  const { metrics, stop } = await ranAgent();
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await metrics.page(),
    encoding: 'utf8',
  });
  expect([status, stdout, stderr]).toEqual([0, '', '']);
  await stop();
});

withPromtool('promtool finds nothing wrong with the alert rules', () => {
  const { status, stdout } = spawnSync('promtool', ['check', 'rules', join(examples, 'alerts.yaml')], {
    encoding: 'utf8',
  });
  expect([status, stdout]).toEqual([0, expect.stringContaining('SUCCESS')]);
});

test('rules and board name metrics that there are', async () => {
  const { metrics, stop } = await ranAgent();
  const page = await metrics.page();
  const known = new Set(page.match(/^# TYPE (xenrepl_\w+)/gm)?.map((line) => line.replace('# TYPE ', '')));
  for (const file of ['alerts.yaml', 'grafana-board.json']) {
    const named = readFileSync(join(examples, file), 'utf8').match(/xenrepl_\w+/g) ?? [];
    expect(named.length).toBeGreaterThan(3);
    for (const name of named) expect(known).toContain(name.replace(/_bucket$/, ''));
  }
  await stop();
});

test('alive while the loop comes around, ready once a pool answers', async () => {
  const { agent, world, stop } = await ranAgent();
  expect(healthPage(agent).status).toBe(200);
  expect(readyPage(agent)).toMatchObject({
    status: 200,
    text: expect.stringContaining('"up":true') as string,
  });
  for (const pool of world.pools) pool.down = true;
  await agent.watches[0]?.look().catch(() => undefined);
  expect(readyPage(agent).status).toBe(503);
  await stop();
});

test('pages are served to GET, everything else is unknown', async () => {
  await using served = await serve('127.0.0.1:0', {
    '/metrics': () => ({ status: 200, type: 'text/plain', text: 'page' }),
    '/broken': () => Promise.reject(new Error('secret reason')),
  });
  const answer = async (path: string, method = 'GET'): Promise<string> => {
    const response = await fetch(served.url + path, { method });
    return `${String(response.status)} ${(await response.text()).trim()}`;
  };
  expect(await answer('/metrics?x=1')).toBe('200 page');
  expect(await answer('/metrics', 'POST')).toBe('404 no such page');
  expect(await answer('/other')).toBe('404 no such page');
  expect(await answer('/broken')).toBe('500 the page cannot be made');
});

test('addresses are host and port; a taken one is named', async () => {
  expect(parseAddress(':9464')).toEqual({ host: '127.0.0.1', port: 9464 });
  expect(parseAddress('[::1]:9464')).toEqual({ host: '::1', port: 9464 });
  for (const wrong of ['9464', 'host', 'host:99999', '::1:9464'])
    expect(() => parseAddress(wrong)).toThrow(/write host:port/);
  await using served = await serve('127.0.0.1:0', {});
  await expect(serve(served.url.replace('http://', ''), {})).rejects.toThrow(
    /Cannot serve metrics at 127.0.0.1:\d+: .*EADDRINUSE/,
  );
});
