/**
 * The agent: looks at target pools, starts what is due, once at a time per job. It keeps nothing that must survive: what is
 * due follows from the pools, and its memory is a cache.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../engine';
import { decideStart } from '../planner/agent-schedule';
import type { StartDecision, StartQuestion } from '../planner/agent-schedule';
import { jobActivity, runDurationsMs } from '../planner/job-activity';
import type { VmActivity } from '../planner/job-activity';
import type { JobDefinition } from '../planner/job';
import { jobKeyOf } from '../schedule';
import type { Remembered, RememberedJob } from '../schedule';
import type { Report } from './events';
import { JobBook, ofJob } from './job-book';
import { performRun } from './perform-run';
import type { AgentSettings } from './settings';
import { TargetWatch } from './target-watch';
import type { SeenPool } from './target-watch';
import { watchPromises } from './violations';
import { Slots, Wake } from './waiting';
import type { World } from './world';

export interface AgentParts {
  readonly world: World;
  readonly clock: Clock;
  readonly settings: AgentSettings;
  readonly report: Report;
  readonly newRunId: () => string;
  /** What is left of an earlier life. */
  readonly remembered: Remembered;
  /** Keeps what is to be left for a later one. May throw: nothing depends on it. */
  readonly remember: (jobs: Remembered, last: boolean) => void;
}

/** A job with everything that a decision about it needs, as of the last look at its pool. */
export interface JobView {
  readonly key: string;
  readonly book: JobBook;
  readonly vms: readonly VmActivity[];
  readonly expectedRunMs: number;
  readonly nowMs: number;
}

/** The longest sleep: timers of Node take no more than 24 days, and who sleeps long misses clocks being set. */
const sleepMaxMs = 30_000;
const sourceDownMs = 30_000;

export class Agent {
  readonly parts: AgentParts;
  readonly slots: Slots;
  readonly #books = new Map<string, JobBook>();
  readonly #watches = new Map<string, TargetWatch>();
  readonly #wake = new Wake();
  readonly #stop = new AbortController();
  readonly #runs = new Set<Promise<void>>();
  readonly #looking = new Set<Promise<void>>();
  readonly #sourcesDown = new Map<string, { readonly untilLocalMs: number; readonly why: string }>();
  readonly #former: Map<string, RememberedJob>;
  #lastTickMs: number | null = null;

  constructor(parts: AgentParts) {
    this.parts = parts;
    this.slots = new Slots(parts.settings.concurrency);
    this.#former = new Map(parts.remembered);
    setMaxListeners(0, this.#stop.signal);
  }

  /** Until `stop`; then everything has ended, or had its time to. */
  async run(): Promise<void> {
    const { world, clock, report } = this.parts;
    report({ kind: 'started', pools: world.poolNames });
    this.watchPools();
    while (!this.#stop.signal.aborted) {
      this.#lastTickMs = clock.nowMs();
      const sleepMs = this.#startDue();
      this.#keepMemory(false);
      await this.#wake.sleep(clock, Math.min(Math.max(sleepMs, 0), sleepMaxMs), this.#stop.signal);
    }
    await this.#end();
  }

  /** Starts nothing more and tells runs to stop; `run` ends when they have. */
  stop(): void {
    if (this.#stop.signal.aborted) return;
    this.parts.report({ kind: 'stopping', runs: this.#runs.size });
    this.#stop.abort(new Error('the agent is stopping'));
    for (const watch of this.#watches.values()) watch.stop();
    this.#wake.ring();
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** When the loop last came around, by our clock; null before the first time. */
  get lastTickMs(): number | null {
    return this.#lastTickMs;
  }

  get watches(): readonly TargetWatch[] {
    return [...this.#watches.values()];
  }

  /** Follows a list of pools that has changed. Runs that are under way go on. */
  watchPools(): void {
    const wanted = new Set(this.parts.world.poolNames);
    for (const [name, watch] of this.#watches) {
      if (wanted.has(name)) continue;
      watch.stop();
      this.#watches.delete(name);
      for (const [key, book] of this.#books) if (book.poolName === name) this.#forget(key, book);
    }
    for (const name of wanted) {
      if (this.#watches.has(name)) continue;
      const { world, clock, settings, report } = this.parts;
      const watch: TargetWatch = new TargetWatch(name, {
        world,
        clock,
        settings,
        report,
        onLook: () => this.#looked(watch),
      });
      this.#watches.set(name, watch);
      track(this.#looking, watch.keepLooking());
    }
    this.#wake.ring();
  }

  /** Every job that is known, as of now. */
  views(): readonly JobView[] {
    return [...this.#books].flatMap(([key, book]) => {
      const view = this.view(key, book);
      return view === null ? [] : [view];
    });
  }

  /** Null where the pool was never seen. */
  view(key: string, book: JobBook): JobView | null {
    const seen = this.#watches.get(book.poolName)?.seen;
    if (seen === null || seen === undefined) return null;
    const { jobId, selection } = book.definition;
    const replicas = seen.replicas.get(jobId) ?? [];
    const nowMs = this.#poolNowMs(seen);
    const durations = book.durationsMs.length > 0 ? book.durationsMs : runDurationsMs(replicas);
    return {
      key,
      book,
      vms: jobActivity(
        {
          jobId,
          namedVms: selection.uuids,
          selectedVms: book.vms === null ? null : new Set(book.vms.keys()),
          replicas,
          otherConfig: seen.otherConfig,
        },
        nowMs,
      ),
      expectedRunMs: Math.max(0, ...durations),
      nowMs,
    };
  }

  decide({ book, vms, expectedRunMs, nowMs }: JobView): StartDecision {
    const { nextOccurrence, definition, knownSinceMs, lastRun, failure } = book;
    if (nextOccurrence === null) return { kind: 'none', why: 'unreadable' };
    const question: StartQuestion = {
      job: definition,
      nowMs,
      vms,
      nextOccurrence,
      knownSinceMs,
      lastStartMs: lastRun?.startedAtMs ?? null,
      lastEndMs: lastRun?.endedAtMs ?? null,
      failure,
      expectedRunMs,
      sourceDown: this.#sourceDown(definition, nowMs),
    };
    return decideStart(question);
  }

  /** Looks at the job's pool now. Null where the job is not there any more, or was changed so that it is not run. */
  async lookAgain(key: string, book: JobBook): Promise<JobView | null> {
    const watch = this.#watches.get(book.poolName);
    if (watch === undefined) return null;
    await watch.look();
    this.#looked(watch);
    return this.#books.get(key) === book ? this.view(key, book) : null;
  }

  sourceFailed(poolName: string, why: string): void {
    this.#sourcesDown.set(poolName, { untilLocalMs: this.parts.clock.nowMs() + sourceDownMs, why });
  }

  sourceAnswered(poolName: string): void {
    this.#sourcesDown.delete(poolName);
  }

  /** In whole milliseconds, never ahead of the pool's own clock. */
  #poolNowMs({ offsetMs }: SeenPool): number {
    return Math.floor(this.parts.clock.nowMs() + offsetMs);
  }

  #sourceDown({ source }: JobDefinition, nowMs: number): StartQuestion['sourceDown'] {
    const down = this.#sourcesDown.get(source.poolName);
    const leftMs = (down?.untilLocalMs ?? 0) - this.parts.clock.nowMs();
    return down === undefined || leftMs <= 0 ? null : { untilMs: nowMs + leftMs, why: down.why };
  }

  /** @returns how long nothing will be due */
  #startDue(): number {
    let sleepMs = sleepMaxMs;
    for (const view of this.views()) {
      const { book, nowMs, key } = view;
      watchPromises(view, this.parts.report);
      if (book.busy || this.#watches.get(book.poolName)?.isUp !== true) continue;
      const decision = this.decide(view);
      book.planned(decision);
      if (decision.kind === 'none') continue;
      if (decision.putOff !== null && decision.wantedAtMs <= nowMs)
        this.tellSkip(view, decision.putOff, decision.wantedAtMs);
      if (decision.atMs > nowMs) sleepMs = Math.min(sleepMs, decision.atMs - nowMs);
      else
        track(
          this.#runs,
          performRun(this, key, book).finally(() => this.#wake.ring()),
        );
    }
    return sleepMs;
  }

  tellSkip({ book, nowMs }: JobView, why: { reason: string; text: string }, wantedAtMs: number): void {
    if (book.skip(why, wantedAtMs, nowMs)) this.parts.report({ kind: 'skipped', ...ofJob(book), ...why });
  }

  #looked(watch: TargetWatch): void {
    if (watch.seen !== null && this.#watches.get(watch.poolName) === watch)
      this.#follow(watch.poolName, watch.seen);
    this.#wake.ring();
  }

  /** Books follow the definitions: found, changed, gone. */
  #follow(poolName: string, seen: SeenPool): void {
    const nowMs = this.#poolNowMs(seen);
    const present = new Set<string>();
    for (const definition of seen.jobs) {
      const key = jobKeyOf(seen.poolUuid, definition.jobId);
      present.add(key);
      const book = this.#books.get(key);
      if (book === undefined) this.#found(key, poolName, definition, nowMs);
      else if (JSON.stringify(book.definition) !== JSON.stringify(definition))
        this.#define(book, definition, 'job-changed');
      const now = this.#books.get(key);
      if (now !== undefined) now.seenAtMs = nowMs;
    }
    for (const [key, book] of this.#books) {
      if (book.poolName === poolName && !present.has(key)) this.#forget(key, book);
    }
  }

  #found(key: string, poolName: string, definition: JobDefinition, nowMs: number): void {
    const book = new JobBook(poolName, definition, nowMs, this.#former.get(key));
    this.#books.set(key, book);
    this.#define(book, definition, 'job-found');
  }

  #define(book: JobBook, definition: JobDefinition, kind: 'job-found' | 'job-changed'): void {
    const fault = book.define(definition);
    // Whoever changed a job has looked at why it failed.
    if (kind === 'job-changed') book.failure = null;
    this.parts.report({ kind, ...ofJob(book) });
    if (fault === null) return;
    const what = `schedule of job "${definition.name}" (${definition.jobId})`;
    this.parts.report({ kind: 'job-unreadable', pool: book.poolName, what, reason: fault });
  }

  #forget(key: string, book: JobBook): void {
    this.#former.set(key, book.remembered());
    this.#books.delete(key);
    this.parts.report({ kind: 'job-gone', ...ofJob(book) });
  }

  #keepMemory(last: boolean): void {
    const jobs = new Map(this.#former);
    for (const [key, book] of this.#books) jobs.set(key, book.remembered());
    try {
      this.parts.remember(jobs, last);
    } catch (error) {
      // Nothing depends on it: a later life derives what it needs from the pools.
      this.parts.report({
        kind: 'memory-lost',
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }

  async #end(): Promise<void> {
    const { clock, settings, world, report } = this.parts;
    const overdue = new AbortController();
    const ended = Promise.all([...this.#runs, ...this.#looking]).then(() => world.close());
    const clean = await Promise.race([
      ended.then(() => true),
      clock.sleep(settings.stopWithinMs, overdue.signal).then(
        () => false,
        () => true,
      ),
    ]);
    overdue.abort();
    this.#keepMemory(true);
    report({ kind: 'stopped', clean });
  }
}

function track(all: Set<Promise<void>>, one: Promise<void>): void {
  all.add(one);
  void one.finally(() => all.delete(one));
}
