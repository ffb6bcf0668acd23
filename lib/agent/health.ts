/** Whether the agent lives, and whether it is of use. */
import type { Agent } from './agent';
import type { Page } from './serve';

/** The loop comes around at least every half minute; a few times that without it means that it hangs. */
const tickWithinMs = 180_000;

export function healthPage(agent: Agent): Page {
  const last = agent.lastTickMs;
  const agoMs = last === null ? 0 : agent.parts.clock.nowMs() - last;
  return agoMs <= tickWithinMs
    ? page(200, { status: 'alive' })
    : page(503, { status: 'hangs', lastTickAgoMs: Math.round(agoMs) });
}

/** Ready once every pool was looked at, and one of them answers: one that is down must not take the others' metrics away. */
export function readyPage(agent: Agent): Page {
  const pools = agent.watches.map(({ poolName, isUp, hasLooked }) => ({
    pool: poolName,
    up: isUp,
    looked: hasLooked,
  }));
  const ready = !agent.signal.aborted && pools.every(({ looked }) => looked) && pools.some(({ up }) => up);
  return page(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', pools });
}

function page(status: number, document: unknown): Page {
  return { status, type: 'application/json', text: `${JSON.stringify(document)}\n` };
}
