/** The agent as a program: parts put together, signals, files. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../engine';
import { loadPoolsFile } from '../pools';
import { Agent } from './agent';
import type { AgentEvent } from './events';
import { logEvent, openLog } from './log';
import type { LogLevel } from './log';
import { Memory } from './memory';
import { PoolsWorld } from './pools-world';
import { defaultSettings } from './settings';

/** What the agent is given from outside. */
export interface AgentCall {
  readonly poolsFile: string;
  /** Where its history is kept. */
  readonly stateFolder: string;
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

/** Runs until it is told to stop. @throws where it cannot begin: the pools file cannot be used, a port is taken */
export async function runAgent(call: AgentCall): Promise<void> {
  const clock = systemClock;
  const log = openLog({ level: call.logLevel, write: call.write, nowMs: () => clock.nowMs() });
  const report = (event: AgentEvent): void => logEvent(log, event);
  const world = new PoolsWorld({
    file: loadPoolsFile(call.poolsFile, call.env),
    clock,
    who: call.who,
    onWarning: (pool, text) => log.warn({ event: 'pool-warning', pool }, text),
  });
  const memory = new Memory(call.stateFolder, () => clock.nowMs());
  const agent = new Agent({
    world,
    clock,
    settings: defaultSettings,
    report,
    newRunId: () => randomUUID(),
    remembered: memory.read(),
    remember: (jobs, last) => memory.write(jobs, last),
  });
  call.onReload(() => reload(call, world, agent, report));
  const stop = (): void => agent.stop();
  if (call.signal.aborted) return;
  call.signal.addEventListener('abort', stop, { once: true });
  try {
    await agent.run();
  } finally {
    call.signal.removeEventListener('abort', stop);
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
