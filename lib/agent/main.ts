/** The agent as a program: parts put together, signals, files. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../engine';
import { loadPoolsFile } from '../pools';
import { Agent } from './agent';
import { defaultConfig, loadAgentConfig } from './config';
import type { AgentEvent } from './events';
import { healthPage, readyPage } from './health';
import { logEvent, openLog } from './log';
import type { LogLevel } from './log';
import { Memory } from './memory';
import { Metrics } from './metrics';
import { Notifier } from './notify/notifier';
import { PoolsWorld } from './pools-world';
import { serve } from './serve';
import type { Served } from './serve';

/** What the agent is given from outside. */
export interface AgentCall {
  readonly poolsFile: string;
  /** Where its history is kept. */
  readonly stateFolder: string;
  /** Where runs keep what makes later deltas smaller. */
  readonly cacheDir: string;
  /** The agent's own settings; null: all defaults. */
  readonly configFile: string | null;
  /** Where metrics are served, `host:port`; null: as the settings say. */
  readonly listen: string | null;
  readonly logLevel: LogLevel;
  readonly env: NodeJS.ProcessEnv;
  /** Who we are, for the holder of a lock. */
  readonly who: string;
  readonly version: string;
  /** Takes the lines of the log. */
  readonly write: (line: string) => void;
  /** Aborted when the agent is to stop. */
  readonly signal: AbortSignal;
  /** Calls the handler whenever the pools file is to be read anew. */
  readonly onReload: (handler: () => void) => void;
}

/** How long notices of the end may take after everything else has ended. */
const lastNoticesWithinMs = 1_000;

/** Runs until it is told to stop. @throws where it cannot begin: a file cannot be used, a port is taken */
export async function runAgent(call: AgentCall): Promise<void> {
  const clock = systemClock;
  const log = openLog({ level: call.logLevel, write: call.write, nowMs: () => clock.nowMs() });
  const config = call.configFile === null ? defaultConfig : loadAgentConfig(call.configFile, call.env);
  const readers: ((event: AgentEvent) => void)[] = [(event) => logEvent(log, event)];
  const report = (event: AgentEvent): void => readers.forEach((reader) => reader(event));
  const world = new PoolsWorld({
    file: loadPoolsFile(call.poolsFile, call.env),
    clock,
    who: call.who,
    cacheDir: call.cacheDir,
    onWarning: (pool, text) => log.warn({ event: 'pool-warning', pool }, text),
  });
  const memory = new Memory(call.stateFolder, () => clock.nowMs());
  const agent = new Agent({
    world,
    clock,
    settings: config.settings,
    report,
    newRunId: () => randomUUID(),
    remembered: memory.read(),
    remember: (jobs, last) => memory.write(jobs, last),
  });
  const notifier = new Notifier(config.channels, clock, agent.signal, report);
  readers.push((event) => notifier.take(event));
  await using served = await servePages(call.listen ?? config.listen, call.version, agent, readers);
  if (served !== null) log.info({ event: 'listening', url: served.url }, 'metrics are served');
  call.onReload(() => reload(call, world, agent, report));
  await runUntil(call.signal, agent);
  await Promise.race([notifier.settled(), clock.sleep(lastNoticesWithinMs, new AbortController().signal)]);
}

async function servePages(
  listen: string | null,
  version: string,
  agent: Agent,
  readers: ((event: AgentEvent) => void)[],
): Promise<Served | null> {
  if (listen === null) return null;
  const metrics = new Metrics(version, () => ({
    views: agent.views(),
    pools: agent.watches.map(({ poolName, isUp }) => ({ name: poolName, up: isUp })),
  }));
  readers.push((event) => metrics.take(event));
  return serve(listen, {
    '/metrics': async () => ({ status: 200, type: metrics.contentType, text: await metrics.page() }),
    '/healthz': () => healthPage(agent),
    '/readyz': () => readyPage(agent),
  });
}

async function runUntil(signal: AbortSignal, agent: Agent): Promise<void> {
  if (signal.aborted) return;
  const stop = (): void => agent.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await agent.run();
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** A file that cannot be used changes nothing: an agent that stops because of a slip of the pen protects nobody. */
function reload(call: AgentCall, world: PoolsWorld, agent: Agent, report: (event: AgentEvent) => void): void {
  try {
    world.use(loadPoolsFile(call.poolsFile, call.env));
    agent.watchPools();
    report({ kind: 'reloaded', pools: world.poolNames });
  } catch (error) {
    report({ kind: 'reload-failed', message: error instanceof Error ? error.message : String(error) });
  }
}
