/**
 * Memory of the agent over 10,000 runs: the agent itself with its log, metrics, notices and history, over driven pools and a
 * driven clock, so that years of schedules take a minute.
 *
 *     node --expose-gc dist/bench/agent-memory.js [RUNS]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from '../lib/agent/agent';
import type { AgentEvent } from '../lib/agent/events';
import { logEvent, openLog } from '../lib/agent/log';
import { Memory } from '../lib/agent/memory';
import { Metrics } from '../lib/agent/metrics';
import { Notices } from '../lib/agent/notify/notices';
import { defaultSettings } from '../lib/agent/settings';
import { DrivenClock } from '../test/agent/driven-clock';
import { DrivenPool, DrivenWorld, failure, jobOn } from '../test/agent/driven-world';

const runsWanted = Number(process.argv[2] ?? 10_000);
const jobsPerPool = 10;
const minute = 60_000;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'xenrepl-agent-memory-'));
  const pools = [new DrivenPool('lyon'), new DrivenPool('nice')];
  for (const pool of pools) {
    for (let index = 0; index < jobsPerPool; index += 1)
      pool.define(jobOn(pool, `${pool.name}-${String(index)}`, { rpoMs: 40 * minute }));
  }
  const clock = new DrivenClock(Date.parse('2026-01-01T00:00:00Z'));
  const world = new DrivenWorld(clock, ...pools);
  const memory = new Memory(folder, () => clock.nowMs());
  let logged = 0;
  let ended = 0;
  const log = openLog({
    level: 'info',
    write: (line) => (logged += line.length),
    nowMs: () => clock.nowMs(),
  });
  const metrics: Metrics = new Metrics('bench', () => ({ views: agent.views(), pools: [] }));
  const notices = new Notices();
  const report = (event: AgentEvent): void => {
    if (event.kind === 'run-ended') ended += 1;
    logEvent(log, event);
    metrics.take(event);
    notices.of(event, clock.nowMs());
  };
  let ids = 0;
  const agent = new Agent({
    world,
    clock,
    settings: { ...defaultSettings, concurrency: { total: 8, perPool: 4 } },
    report,
    newRunId: () => `run-${String((ids += 1))}`,
    remembered: memory.read(),
    remember: (jobs, last) => memory.write(jobs, last),
  });
  const over = agent.run();
  for (let hours = 0; ended < runsWanted; hours += 1) {
    // Some runs fail, so that this path is walked too.
    world.outcome = hours % 10 === 9 ? failure('SR_FULL', 'later') : null;
    world.runs.length = 0;
    await clock.advance(60 * minute);
    await metrics.page();
    if (hours % 40 === 0) tell(ended, logged);
  }
  tell(ended, logged);
  agent.stop();
  await clock.advance(minute);
  await over;
  rmSync(folder, { recursive: true, force: true });
}

function tell(runs: number, logged: number): void {
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const mib = (bytes: number): string => (bytes / 1024 ** 2).toFixed(1);
  process.stdout.write(
    `${String(runs).padStart(6)} runs: heap ${mib(heapUsed)} MiB, resident ${mib(rss)} MiB, ${mib(logged)} MiB logged\n`,
  );
}

void main();
