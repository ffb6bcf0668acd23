/** The agent over driven pools: what starts when, what is put off, what is told. No test sleeps. */
import { Agent } from '../../lib/agent/agent';
import type { AgentParts } from '../../lib/agent/agent';
import type { AgentEvent } from '../../lib/agent/events';
import { defaultSettings } from '../../lib/agent/settings';
import { encodeHolder, lockKey } from '../../lib/planner/lock-keys';
import type { Remembered } from '../../lib/schedule';
import { DrivenClock } from './driven-clock';
import { DrivenPool, DrivenWorld, failure, jobOn, leaseMs, vmOf } from './driven-world';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const noon = Date.parse('2026-05-01T12:00:00Z');

class Stage implements AsyncDisposable {
  readonly clock: DrivenClock;
  readonly world: DrivenWorld;
  readonly agent: Agent;
  readonly events: AgentEvent[] = [];
  memory: Remembered = new Map();
  readonly ended: Promise<void>;

  constructor(
    pools: readonly DrivenPool[],
    changes: Partial<AgentParts> = {},
    clock = new DrivenClock(noon + 20 * minute),
  ) {
    this.clock = clock;
    this.world = new DrivenWorld(clock, ...pools);
    let runs = 0;
    this.agent = new Agent({
      world: this.world,
      clock,
      settings: defaultSettings,
      report: (event) => this.events.push(event),
      newRunId: () => `run-${String((runs += 1))}`,
      remembered: new Map(),
      remember: (jobs) => (this.memory = jobs),
      ...changes,
    });
    this.ended = this.agent.run();
  }

  /** "12:00:00 job" for each run, by the pool's clock. */
  get runs(): readonly string[] {
    return this.world.runs.map(({ atMs, job }) => `${new Date(atMs).toISOString().slice(11, 19)} ${job}`);
  }

  told(kind: AgentEvent['kind']): readonly AgentEvent[] {
    return this.events.filter((event) => event.kind === kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.stop();
    await this.clock.advance(minute);
    await this.ended;
  }
}

test('a job that was never run starts at once, and then on its hours', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'hourly'));
  await using stage = new Stage([pool]);
  await stage.clock.advance(3 * hour);
  expect(stage.runs).toEqual(['12:20:00 hourly', '13:00:00 hourly', '14:00:00 hourly', '15:00:00 hourly']);
});

test('time is that of the pool, whatever our clock says', async () => {
  const pool = new DrivenPool('lyon', 5 * hour);
  pool.define(jobOn(pool, 'hourly'));
  await using stage = new Stage([pool]);
  await stage.clock.advance(hour);
  expect(stage.runs).toEqual(['17:20:00 hourly', '18:00:00 hourly']);
});

test('after a pause of days, one run makes up for all', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'hourly'));
  const first = new Stage([pool]);
  await first.clock.advance(10 * minute);
  await first[Symbol.asyncDispose]();
  const later = new DrivenClock(noon + 50 * hour + 20 * minute);
  await using stage = new Stage([pool], {}, later);
  await stage.clock.advance(hour);
  expect(stage.runs).toEqual(['14:20:00 hourly', '15:00:00 hourly']);
  expect(stage.told('run-starting')[0]).toMatchObject({ cause: 'catch-up' });
});

test('a job is never run twice at once; what it misses meanwhile is told', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'quick', { schedule: { kind: 'every', intervalMs: minute } }));
  await using stage = new Stage([pool]);
  stage.world.runMs = 150 * second;
  await stage.clock.advance(10 * minute);
  expect(stage.world.runningMax).toBe(1);
  expect(stage.runs.slice(0, 3)).toEqual(['12:20:00 quick', '12:23:00 quick', '12:26:00 quick']);
  expect(stage.told('skipped')[0]).toMatchObject({
    reason: 'running',
    text: /lasted from 2026-05-01T12:20:00/,
  });
});

test('what Terraform changes is followed within a minute', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'changing', { enabled: false }));
  await using stage = new Stage([pool]);
  await stage.clock.advance(hour);
  expect(stage.runs).toEqual([]);
  pool.define(jobOn(pool, 'changing'), 2);
  await stage.clock.advance(minute);
  expect(stage.runs).toHaveLength(1);
  pool.remove('changing');
  await stage.clock.advance(3 * hour);
  expect(stage.runs).toHaveLength(1);
  expect(stage.events.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['job-found', 'job-changed', 'job-gone']),
  );
});

test('an RPO starts as early as runs take: no point is ever too old', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(
    jobOn(pool, 'promised', { rpoMs: 30 * minute, schedule: { kind: 'every', intervalMs: 6 * hour } }),
  );
  await using stage = new Stage([pool]);
  stage.world.runMs = 8 * minute;
  await stage.clock.advance(3 * hour);
  expect(stage.told('violation-began')).toEqual([]);
  expect(stage.world.runs.length).toBeGreaterThan(6);
  expect(stage.told('run-starting').at(-1)).toMatchObject({ cause: 'rpo' });
});

test('the reserve is known after a restart without history, from the points on the pool', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(
    jobOn(pool, 'promised', { rpoMs: 30 * minute, schedule: { kind: 'every', intervalMs: 6 * hour } }),
  );
  const first = new Stage([pool]);
  first.world.runMs = 8 * minute;
  await first.clock.advance(hour);
  await first[Symbol.asyncDispose]();
  await using stage = new Stage([pool], {}, first.clock);
  stage.world.runMs = 8 * minute;
  await stage.clock.advance(2 * hour);
  expect(stage.told('violation-began')).toEqual([]);
});

test('a violation is told apart from a failed run, once, and so is its end', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'promised', { rpoMs: 30 * minute }));
  await using stage = new Stage([pool]);
  await stage.clock.advance(5 * minute);
  stage.world.outcome = failure('SR_FULL', 'later');
  await stage.clock.advance(2 * hour);
  expect(stage.told('violation-began')).toMatchObject([
    { vm: { uuid: vmOf('promised'), name: 'db1' }, rpoMs: 30 * minute },
  ]);
  expect(
    stage.told('run-ended').filter((event) => 'outcome' in event && event.outcome === 'failed').length,
  ).toBeGreaterThan(2);
  stage.world.outcome = null;
  await stage.clock.advance(hour);
  expect(stage.told('violation-began')).toHaveLength(1);
  expect(stage.told('violation-ended')).toHaveLength(1);
});

test('a failing job is tried again after growing pauses, and others go on', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(
    jobOn(pool, 'failing', {
      source: { poolName: 'gone', poolUuid: null },
      schedule: { kind: 'every', intervalMs: 5 * second },
    }),
  );
  pool.define(jobOn(pool, 'fine', { schedule: { kind: 'every', intervalMs: 5 * minute } }));
  await using stage = new Stage([pool]);
  stage.world.sourcesDown.add('gone');
  await stage.clock.advance(hour);
  const failures = stage.told('run-failed');
  expect(failures.length).toBeGreaterThan(4);
  expect(failures.length).toBeLessThan(12);
  expect(stage.runs).toHaveLength(13);
  expect(stage.told('skipped')).toContainEqual(expect.objectContaining({ reason: 'backing-off' }));
});

test('a target that is down is asked with pauses, holds up nobody, and is caught up with', async () => {
  const down = new DrivenPool('lyon');
  const fine = new DrivenPool('nice');
  down.define(jobOn(down, 'on-lyon'));
  fine.define(jobOn(fine, 'on-nice'));
  down.down = true;
  await using stage = new Stage([down, fine]);
  await stage.clock.advance(hour);
  expect(stage.runs).toEqual(['12:20:00 on-nice', '13:00:00 on-nice']);
  expect(stage.told('pool-down').length).toBeLessThan(75);
  down.down = false;
  await stage.clock.advance(2 * minute);
  expect(stage.runs.at(-1)).toMatch(/ on-lyon$/);
});

test('runs at once are bounded in all and per pool; a pool that is busy keeps nobody else waiting', async () => {
  const pools = [new DrivenPool('lyon'), new DrivenPool('nice')];
  for (const pool of pools) {
    for (const name of ['a', 'b', 'c'])
      pool.define(
        jobOn(pool, `${name}-${pool.name}`, {
          source: { poolName: `source-${name}-${pool.name}`, poolUuid: null },
        }),
      );
  }
  await using stage = new Stage(pools, {
    settings: { ...defaultSettings, concurrency: { total: 3, perPool: 2 } },
  });
  await stage.clock.advance(30 * second);
  expect(stage.world.running).toBe(3);
  const targets = stage.world.runs.map(({ job }) => job.split('-')[1]);
  expect(Math.max(...['lyon', 'nice'].map((name) => targets.filter((one) => one === name).length))).toBe(2);
  await stage.clock.advance(10 * minute);
  expect(stage.world.runs).toHaveLength(6);
  expect(stage.world.runningMax).toBe(3);
});

test('of two agents one runs it; the other sees that it was done', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'shared'));
  const clock = new DrivenClock(noon + 20 * minute);
  await using one = new Stage([pool], {}, clock);
  await using other = new Stage([pool], {}, clock);
  await clock.advance(5 * hour);
  expect(
    [one, other]
      .flatMap(({ events }) => events)
      .filter((event) => event.kind === 'run-ended' && event.outcome === 'replicated'),
  ).toHaveLength(6);
});

test('an agent that died in the middle is taken over when its lease has run out', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'daily', { schedule: { kind: 'every', intervalMs: 24 * hour } }));
  const holder = { run: 'of-the-dead', who: 'a dead agent', takenAtMs: noon + 20 * minute, leaseMs };
  pool.otherConfig[lockKey({ jobId: 'daily', vmUuid: vmOf('daily') }, 1)] = encodeHolder(holder);
  await using stage = new Stage([pool]);
  await stage.clock.advance(119 * second);
  expect(stage.runs).toEqual([]);
  await stage.clock.advance(2 * second);
  expect(stage.runs).toEqual(['12:22:00 daily']);
  expect(stage.told('run-starting')).toMatchObject([{ cause: 'take-over' }]);
  await stage.clock.advance(11 * hour);
  expect(stage.runs).toHaveLength(1);
});

test('being stopped ends a run that is under way, starts no other, and leaves everything', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'long'));
  const stage = new Stage([pool]);
  stage.world.runMs = 10 * hour;
  await stage.clock.advance(minute);
  stage.agent.stop();
  await stage.clock.advance(0);
  await stage.ended;
  expect(stage.told('run-ended')).toMatchObject([{ outcome: 'cancelled' }]);
  expect(stage.told('stopped')).toEqual([{ kind: 'stopped', clean: true }]);
  expect([stage.world.closed, stage.clock.sleeping]).toEqual([true, 0]);
});

test('a run that does not let itself be stopped is left behind in time', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'stuck'));
  const stage = new Stage([pool]);
  stage.world.run = () => new Promise(() => undefined);
  await stage.clock.advance(minute);
  stage.agent.stop();
  await stage.clock.advance(defaultSettings.stopWithinMs);
  await stage.ended;
  expect(stage.told('stopped')).toEqual([{ kind: 'stopped', clean: false }]);
});

test('pools that leave the pools file are left, new ones are found', async () => {
  const [lyon, nice] = [new DrivenPool('lyon'), new DrivenPool('nice')];
  lyon.define(jobOn(lyon, 'on-lyon'));
  nice.define(jobOn(nice, 'on-nice'));
  await using stage = new Stage([lyon]);
  await stage.clock.advance(minute);
  stage.world.pools.splice(0, 1, nice);
  stage.agent.watchPools();
  await stage.clock.advance(hour);
  expect(stage.runs).toEqual(['12:20:00 on-lyon', '12:21:00 on-nice', '13:00:00 on-nice']);
});

test('a job that cannot be read, or was copied from another pool, is told and not run', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'copied', { target: { poolName: 'nice', poolUuid: 'another', srUuid: 'sr' } }));
  pool.define(
    jobOn(pool, 'never', { schedule: { kind: 'cron', expression: '61 * * * *', timeZone: 'UTC' } }),
  );
  pool.otherConfig['xenrepl:job:broken:1'] = '{}';
  await using stage = new Stage([pool]);
  await stage.clock.advance(3 * hour);
  expect(stage.runs).toEqual([]);
  expect(stage.told('job-unreadable').map((event) => 'what' in event && event.what)).toEqual([
    'job "copied" (copied)',
    'xenrepl:job:broken:1 of pool.other_config',
    'schedule of job "never" (never)',
  ]);
});

test('what it remembers is history: durations, the last run, the last skip, the next start', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(
    jobOn(pool, 'hourly', { blackouts: [{ days: [], from: '13:00', to: '13:30', timeZone: 'UTC' }] }),
  );
  await using stage = new Stage([pool]);
  await stage.clock.advance(50 * minute);
  const remembered = [...stage.memory.values()][0];
  expect(remembered).toMatchObject({
    name: 'hourly',
    durationsMs: [minute],
    lastRun: { outcome: 'replicated' },
    lastSkip: { reason: 'blackout', text: 'blackout until 2026-05-01T13:30:00.000Z' },
    nextStart: { atMs: noon + 90 * minute, cause: 'catch-up' },
  });
});

test('a memory that cannot be written is told, and costs nothing but history', async () => {
  const pool = new DrivenPool('lyon');
  pool.define(jobOn(pool, 'hourly'));
  await using stage = new Stage([pool], {
    remember: () => {
      throw new Error('no space left');
    },
  });
  await stage.clock.advance(hour);
  expect(stage.told('memory-lost')[0]).toMatchObject({ message: 'no space left' });
  expect(stage.runs).toHaveLength(2);
});
