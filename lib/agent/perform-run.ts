/** One run of a job, from its turn to what is learnt of it. */
import { retryOf } from '../engine';
import type { RunReport } from '../engine';
import type { StartDecision } from '../planner/agent-schedule';
import type { Agent, JobView } from './agent';
import { ofJob } from './job-book';
import type { JobBook } from './job-book';
import { failureOf } from './target-watch';
import type { Source } from './world';

type Start = Extract<StartDecision, { kind: 'start' }>;

/** Never throws: what goes wrong is told, and remembered for the next decision. */
export async function performRun(agent: Agent, key: string, book: JobBook): Promise<void> {
  book.busy = true;
  let leave: (() => void) | null = null;
  try {
    // Before waiting for a turn: a source that is silent must not keep others from theirs.
    await using source = await connectSource(agent, book);
    if (source === null) return;
    const wantedAtMs = book.nextStart?.atMs ?? 0;
    leave = await agent.slots.take([...new Set([source.name, book.poolName])], wantedAtMs, agent.signal);
    // Meanwhile another agent may have done it, or somebody changed the job.
    const view = await agent.lookAgain(key, book);
    const decision = view === null ? null : agent.decide(view);
    if (view === null || decision?.kind !== 'start' || decision.atMs > view.nowMs) return;
    await runNow(agent, view, source, decision);
  } catch {
    // The target did not answer, which its watch has told; or the agent is stopping.
  } finally {
    leave?.();
    book.busy = false;
    book.running = null;
  }
}

async function connectSource(agent: Agent, book: JobBook): Promise<Source | null> {
  const { definition } = book;
  try {
    const source = await agent.parts.world.source(definition, agent.signal);
    agent.sourceAnswered(definition.source.poolName);
    return source;
  } catch (error) {
    if (agent.signal.aborted) return null;
    const failure = failureOf(error);
    agent.sourceFailed(
      definition.source.poolName,
      `source pool "${definition.source.poolName}": ${failure.message}`,
    );
    failedWithout(agent, book, error, null);
    return null;
  }
}

async function runNow(agent: Agent, view: JobView, source: Source, decision: Start): Promise<void> {
  const { book, nowMs } = view;
  const { world, report, newRunId, clock } = agent.parts;
  const runId = newRunId();
  const offsetMs = nowMs - clock.nowMs();
  const poolNow = (): number => Math.floor(clock.nowMs() + offsetMs);
  const startedAtMs = nowMs;
  book.running = { runId, cause: decision.cause, startedAtMs };
  const job = ofJob(book);
  report({
    kind: 'run-starting',
    ...job,
    run: runId,
    cause: decision.cause,
    lateMs: nowMs - decision.wantedAtMs,
  });
  let done: RunReport;
  try {
    done = await world.run(source, {
      job: book.definition,
      targetPool: book.poolName,
      runId,
      onlyVms: decision.onlyVms,
      emit: (event) => report({ kind: 'run-event', ...job, event }),
      signal: agent.signal,
    });
  } catch (error) {
    if (!agent.signal.aborted)
      failedWithout(agent, book, error, { runId, startedAtMs, endedAtMs: poolNow() });
    return;
  }
  const endedAtMs = poolNow();
  const outcome = book.ended(done, decision.onlyVms === null, startedAtMs, endedAtMs);
  report({ kind: 'run-ended', ...job, report: done, outcome });
  if (agent.signal.aborted) return;
  tellMissed(agent, view, startedAtMs, endedAtMs);
  // What it made is to be seen before anything is decided again.
  await agent.lookAgain(view.key, book);
}

/** Times of the schedule that came while it ran. */
function tellMissed(agent: Agent, view: JobView, startedAtMs: number, endedAtMs: number): void {
  const missed = view.book.nextOccurrence?.(startedAtMs) ?? null;
  if (missed === null || missed > endedAtMs) return;
  const text = `the run before lasted from ${iso(startedAtMs)} to ${iso(endedAtMs)}`;
  agent.tellSkip({ ...view, nowMs: endedAtMs }, { reason: 'running', text }, missed);
}

function failedWithout(
  agent: Agent,
  book: JobBook,
  error: unknown,
  run: { readonly runId: string; readonly startedAtMs: number; readonly endedAtMs: number } | null,
): void {
  const seen = agent.watches.find(({ poolName }) => poolName === book.poolName)?.seen;
  const nowMs = Math.floor(agent.parts.clock.nowMs() + (seen?.offsetMs ?? 0));
  const failure = failureOf(error);
  const { retry } = retryOf(error);
  const { startedAtMs, endedAtMs } = run ?? { startedAtMs: nowMs, endedAtMs: nowMs };
  book.failed(failure, retry === 'never' ? 'never' : 'later', startedAtMs, endedAtMs);
  agent.parts.report({
    kind: 'run-failed',
    ...ofJob(book),
    run: run?.runId ?? '',
    durationMs: endedAtMs - startedAtMs,
    ...failure,
  });
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
