/** When a job starts next, and why not now: one line a case. Times are minutes after a Friday's noon, in UTC. */
import fc from 'fast-check';
import { aheadMs, backOffMs, decideStart } from '../../lib/planner/agent-schedule';
import type { StartQuestion } from '../../lib/planner/agent-schedule';
import { jobDefaults, keepLatest } from '../../lib/planner/job';
import type { JobDefinition, TimeWindow } from '../../lib/planner/job';
import type { LastRun, VmActivity } from '../../lib/planner/job-activity';
import { everyInterval } from '../../lib/planner/occurrences';

const noon = Date.parse('2026-05-01T12:00:00Z');
const minute = 60_000;
const at = (minutes: number): number => noon + minutes * minute;

function job(changes: Partial<JobDefinition> = {}): JobDefinition {
  return {
    ...jobDefaults,
    schemaVersion: 1,
    jobId: 'job',
    scheduleId: 'schedule',
    name: 'nightly',
    enabled: true,
    source: { poolName: 'paris', poolUuid: null },
    target: { poolName: 'lyon', poolUuid: 'pool', srUuid: 'sr' },
    selection: { uuids: [], tags: ['protect'] },
    schedule: { kind: 'every', intervalMs: 60 * minute },
    retention: keepLatest(3),
    networkMap: {},
    onUnmappedNetwork: 'fail',
    onMissingBase: 'fail',
    onDivergence: 'fail',
    concurrency: 1,
    ...changes,
  };
}

function vm(
  takenAt: number | null,
  lastRun: Partial<LastRun> & Pick<LastRun, 'kind'> = { kind: 'none' },
): VmActivity {
  return {
    vmUuid: 'vm',
    name: 'db1',
    protectedNow: true,
    newest:
      takenAt === null
        ? null
        : {
            takenAtMs: at(takenAt),
            committedAtMs: at(takenAt) + 1000,
            kind: 'delta',
            runId: 'run',
          },
    verification: null,
    lastRun: { startedAtMs: at(takenAt ?? 0), who: 'another agent', untilMs: at(1), ...lastRun } as LastRun,
  };
}

function ask(nowMinutes: number, changes: Partial<StartQuestion> = {}): StartQuestion {
  return {
    job: job(),
    nowMs: at(nowMinutes),
    vms: [vm(0)],
    nextOccurrence: everyInterval(60 * minute),
    knownSinceMs: at(-1000),
    lastStartMs: null,
    lastEndMs: null,
    failure: null,
    expectedRunMs: 0,
    sourceDown: null,
    ...changes,
  };
}

/** "start at +60: schedule", "start at +75: schedule, put off: blackout", "none: disabled" */
function told(question: StartQuestion): string {
  const decision = decideStart(question);
  if (decision.kind === 'none') return `none: ${decision.why}`;
  const minutes = (decision.atMs - noon) / minute;
  const vms = decision.onlyVms === null ? '' : `, only ${decision.onlyVms.join(' ')}`;
  const off = decision.putOff === null ? '' : `, put off: ${decision.putOff.reason}`;
  return `start at ${minutes >= 0 ? '+' : ''}${String(minutes)}: ${decision.cause}${vms}${off}`;
}

const lunch: TimeWindow = { days: [], from: '12:30', to: '13:30', timeZone: 'UTC' };
const failed = { count: 1, atMs: at(0), code: 'HOST_OFFLINE', retry: 'later', vmUuids: [] } as const;

const cases: readonly (readonly [string, string, StartQuestion])[] = [
  ['a disabled job never starts', 'none: disabled', ask(5, { job: job({ enabled: false }) })],
  ['a manual one neither', 'none: manual', ask(5, { job: job({ schedule: { kind: 'manual' } }) })],
  ['after a run, the next occurrence', 'start at +60: schedule', ask(5)],
  ['an interval that never ran is due at once', 'start at -1000: schedule', ask(5, { vms: [vm(null)] })],
  [
    'a timetable that never ran waits for its time',
    'start at +30: schedule',
    ask(5, {
      job: job({ schedule: { kind: 'cron', expression: '', timeZone: 'UTC' } }),
      vms: [],
      knownSinceMs: at(5),
      nextOccurrence: everyInterval(30 * minute),
    }),
  ],
  ['a pause of ten hours is one start, for the first time missed', 'start at +60: catch-up', ask(600)],
  ['and after that run the rest is done with', 'start at +660: schedule', ask(601, { vms: [vm(600)] })],
  [
    'a run that lasted over its next time waits for the one after',
    'start at +120: schedule',
    ask(70, { lastEndMs: at(65) }),
  ],
  ['a calendar that has ended', 'none: no-occurrence', ask(5, { nextOccurrence: () => null })],
  [
    'in a blackout: when it ends',
    'start at +90: schedule, put off: blackout',
    ask(5, { job: job({ blackouts: [lunch] }) }),
  ],
  [
    'what is late waits for the end of the blackout too',
    'start at +90: catch-up, put off: blackout',
    ask(62, { vms: [vm(-300)], job: job({ blackouts: [lunch] }) }),
  ],
  [
    'an RPO starts as early as runs take, with reserve',
    'start at +17.5: rpo',
    ask(5, { job: job({ rpoMs: 30 * minute }), expectedRunMs: 10 * minute }),
  ],
  [
    'an RPO longer than the interval changes nothing',
    'start at +60: schedule',
    ask(5, { job: job({ rpoMs: 90 * minute }) }),
  ],
  [
    'the VM with the oldest point decides',
    'start at +8.5: rpo',
    ask(5, { job: job({ rpoMs: 30 * minute }), vms: [vm(0), vm(-9)], expectedRunMs: 10 * minute }),
  ],
  [
    'a VM without any point is due at once',
    'start at +5: rpo',
    ask(5, { job: job({ rpoMs: 30 * minute }), vms: [vm(0), vm(null)] }),
  ],
  [
    'a blackout in which the point would get too old: the run ends before it begins',
    'start at +17.5: rpo',
    ask(5, { job: job({ rpoMs: 50 * minute, blackouts: [lunch] }), expectedRunMs: 10 * minute }),
  ],
  [
    'but it is not run again and again until it begins',
    'start at +90: rpo, put off: blackout',
    ask(28, {
      job: job({ rpoMs: 50 * minute, blackouts: [lunch] }),
      vms: [vm(18)],
      expectedRunMs: 10 * minute,
    }),
  ],
  [
    'another agent is at it: when its lease ends',
    'start at +64: schedule, put off: locked',
    ask(61, { vms: [vm(0, { kind: 'held', untilMs: at(64) })] }),
  ],
  ['it died: at once', 'start at +1: take-over', ask(5, { vms: [vm(0, { kind: 'interrupted' })] })],
  [
    'unless we have been at it since',
    'start at +60: schedule',
    ask(5, { lastStartMs: at(2), vms: [vm(0, { kind: 'interrupted' })] }),
  ],
  [
    'it let go without a point: tried once more',
    'start at +1.5: retry',
    ask(1, { vms: [vm(0, { kind: 'unfinished', startedAtMs: at(1) })] }),
  ],
  ['after a failure: after a pause', 'start at +0.5: retry', ask(0, { failure: failed })],
  [
    'only what failed',
    'start at +0.5: retry, only db2',
    ask(0, { failure: { ...failed, vmUuids: ['db2'] } }),
  ],
  ['after the third: four times that', 'start at +2: retry', ask(0, { failure: { ...failed, count: 3 } })],
  [
    'where somebody has to decide: at the next time',
    'start at +60: schedule',
    ask(0, { failure: { ...failed, retry: 'never' } }),
  ],
  [
    'a short interval does not override the pause after failures',
    'start at +2: schedule, put off: backing-off',
    ask(1, { failure: { ...failed, count: 3, retry: 'never' }, nextOccurrence: everyInterval(minute) }),
  ],
  [
    'a source that does not answer',
    'start at +61: schedule, put off: source-down',
    ask(60, { sourceDown: { untilMs: at(61), why: 'gone' } }),
  ],
];

test.each(cases)('%s: %s', (_, wanted, question) => {
  expect(told(question)).toBe(wanted);
});

test('where runs take longer than the RPO, they follow each other with a breath between', () => {
  const question = ask(10, {
    job: job({ rpoMs: minute }),
    vms: [vm(9)],
    expectedRunMs: 5 * minute,
    lastEndMs: at(10),
  });
  const decision = decideStart(question);
  expect(decision).toMatchObject({ kind: 'start', cause: 'rpo', atMs: at(10) + 1000 });
});

test('the pause after failures doubles up to half an hour', () => {
  expect([1, 2, 3, 6, 7, 100].map(backOffMs)).toEqual([
    30_000, 60_000, 120_000, 960_000, 1_800_000, 1_800_000,
  ]);
});

test('the reserve before an RPO is a quarter of a run, and two seconds at least', () => {
  expect([0, 1000, 60_000].map(aheadMs)).toEqual([2000, 3000, 75_000]);
});

test('whatever happened: after a run has ended, the next start is in the future', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 500 }),
      fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: null }),
      fc.integer({ min: 0, max: 1_000_000 }),
      (now, interval, rpo, expectedRunMs) => {
        const decision = decideStart(
          ask(now, {
            job: job({ rpoMs: rpo === null ? null : rpo * 1000 }),
            vms: [vm(now)],
            lastEndMs: at(now),
            nextOccurrence: everyInterval(interval * 1000),
            expectedRunMs,
          }),
        );
        expect(decision.kind === 'start' && decision.atMs > at(now)).toBe(true);
      },
    ),
  );
});
