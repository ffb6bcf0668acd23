import { jobDefaults, keepLatest } from '../../lib/planner/job';
import fc from 'fast-check';
import type { JobDefinition, JobSchedule, TimeWindow, Weekday } from '../../lib/planner/job';
import { decodeJobs, encodeJob, isJobId, jobKey, supersededJobKeys } from '../../lib/planner/job-keys';
import { jobWith } from './literals';

const job = jobWith();

function stored(...revisions: readonly [number, string][]): Readonly<Record<string, string>> {
  return Object.fromEntries(revisions.map(([revision, value]) => [jobKey('gold', revision), value]));
}

/** Why the one entry cannot be read, or `read`. */
function complaint(value: unknown): string {
  const { jobs, unreadable } = decodeJobs(
    stored([1, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
  expect(jobs.size + unreadable.length).toBe(1);
  return unreadable[0]?.reason ?? 'read';
}

describe('what was stored is read again', () => {
  const word = fc.string({ minLength: 1 });
  const words = fc.array(fc.string());
  const positive = fc.integer({ min: 1 });
  const schedule: fc.Arbitrary<JobSchedule> = fc.oneof(
    fc.constant({ kind: 'manual' } as const),
    fc.record({ kind: fc.constant('every' as const), intervalMs: fc.integer({ min: 1000 }) }),
    fc.record({ kind: fc.constant('cron' as const), expression: word, timeZone: word }),
  );
  const rate = fc.option(positive, { nil: null });
  const timeWindow: fc.Arbitrary<TimeWindow> = fc.record({
    days: fc.subarray<Weekday>(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']),
    from: fc.constantFrom('00:00', '06:30', '23:59'),
    to: fc.constantFrom('00:00', '19:00', '24:00'),
    timeZone: word,
  });
  const definition: fc.Arbitrary<JobDefinition> = fc.record({
    schemaVersion: fc.constant<1>(1),
    jobId: fc.stringMatching(/^[\w.-]{1,64}$/),
    scheduleId: word,
    name: word,
    enabled: fc.boolean(),
    source: fc.record({ poolName: word, poolUuid: fc.option(word, { nil: null }) }),
    target: fc.record({ poolName: word, poolUuid: word, srUuid: word }),
    selection: fc.record({ uuids: words, tags: words }),
    schedule,
    retention: fc.record({
      latest: positive,
      hourly: fc.nat(),
      daily: fc.nat(),
      weekly: fc.nat(),
      monthly: fc.nat(),
      timeZone: word,
      sourceLatest: positive,
    }),
    networkMap: fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('constructor', 'toString')), word),
    onUnmappedNetwork: fc.constantFrom('fail', 'omit'),
    initialCopy: fc.constantFrom('auto', 'seed'),
    onMissingBase: fc.constantFrom('fail', 'full'),
    onDivergence: fc.constantFrom('fail', 'overwrite'),
    concurrency: positive,
    rpoMs: fc.option(fc.integer({ min: 1000 }), { nil: null }),
    jitterMs: fc.nat(),
    blackouts: fc.array(timeWindow),
    snapshot: fc.record({
      mode: fc.constantFrom('disk', 'quiesce', 'memory', 'offline'),
      groupSkewMs: fc.option(positive, { nil: null }),
    }),
    transfer: fc.record({
      method: fc.constantFrom('auto', 'export', 'nbd'),
      enableCbt: fc.boolean(),
      dropSnapshotData: fc.boolean(),
      verify: fc.constantFrom('none', 'sampled', 'full'),
    }),
    limits: fc.record({
      bytesPerSecond: rate,
      windows: fc.array(
        fc.tuple(timeWindow, rate).map(([window, bytesPerSecond]) => ({ ...window, bytesPerSecond })),
      ),
      nice: fc.boolean(),
      transfersPerPool: positive,
      transfersPerSr: positive,
    }),
    maxChainDepth: fc.integer({ min: 2 }),
  });

  test('whatever the job says, dead or alive', () => {
    fc.assert(
      fc.property(
        definition,
        fc.integer({ min: 1, max: 999_999_999 }),
        fc.boolean(),
        (one, revision, deleted) => {
          const map = { [jobKey(one.jobId, revision)]: encodeJob(one, deleted) };
          expect(decodeJobs(map)).toEqual({
            jobs: new Map([[one.jobId, { definition: one, revision, deleted }]]),
            unreadable: [],
          });
        },
      ),
    );
  });

  test('what the first versions wrote gets today’s defaults', () => {
    const { initialCopy, rpoMs, jitterMs, blackouts, snapshot, transfer, limits, maxChainDepth, ...old } =
      job;
    const later = { initialCopy, rpoMs, jitterMs, blackouts, snapshot, transfer, limits, maxChainDepth };
    const first = { ...old, retention: { latest: 3, sourceLatest: 1 } };
    expect(decodeJobs(stored([1, JSON.stringify(first)])).jobs.get('gold')?.definition).toEqual({
      ...old,
      ...later,
      ...jobDefaults,
      retention: keepLatest(3),
    });
  });

  test('a member that a later version adds does no harm', () => {
    expect(complaint({ ...job, colour: 'red' })).toBe('read');
  });
});

describe('of several revisions the highest counts', () => {
  const named = (name: string): string => encodeJob({ ...job, name }, false);

  test.each<[string, Readonly<Record<string, string>>, object]>([
    ['one', stored([1, named('a')]), { revision: 1, deleted: false, definition: { name: 'a' } }],
    [
      'a change, the old one not yet removed',
      stored([1, named('a')], [2, named('b')]),
      { revision: 2, definition: { name: 'b' } },
    ],
    ['in any order', stored([2, named('b')], [1, named('a')]), { revision: 2, definition: { name: 'b' } }],
    ['numbers are numbers', stored([9, named('a')], [10, named('b')]), { revision: 10 }],
    ['a tombstone', stored([1, named('a')], [2, encodeJob(job, true)]), { revision: 2, deleted: true }],
    ['revived', stored([2, encodeJob(job, true)], [3, named('a')]), { revision: 3, deleted: false }],
  ])('%s', (_, map, expected) => {
    expect(decodeJobs(map).jobs.get('gold')).toMatchObject(expected);
  });

  test('older ones are superseded, those of other jobs and other keys are not', () => {
    const map = {
      ...stored([1, '{}'], [2, '{}'], [3, '{}']),
      [jobKey('golden', 1)]: '{}',
      'xenrepl:job:gold:one': '{}',
      'xenrepl:lock:gold:vm:1': '{}',
    };
    expect(supersededJobKeys(map, 'gold', 3)).toEqual([jobKey('gold', 1), jobKey('gold', 2)]);
  });
});

describe('what cannot be read is reported, never skipped', () => {
  test.each<[string, unknown, string]>([
    ['garbage', 'garbage', 'the value is not JSON'],
    ['truncated', encodeJob(job, false).slice(0, -5), 'the value is not JSON'],
    ['no object', '5', 'the value is not an object'],
    ['null', 'null', 'the value is not an object'],
    ['a list', '[]', 'schema version undefined is not known to this version (1 is)'],
    ['a later schema', { ...job, schemaVersion: 2 }, 'schema version 2 is not known to this version (1 is)'],
    ['another job', { ...job, jobId: 'silver' }, 'the value names job silver, the key another'],
    ['name', { ...job, name: '' }, 'name is not a text'],
    ['enabled', { ...job, enabled: 'yes' }, 'enabled is neither true nor false'],
    ['enabled missing', { ...job, enabled: undefined }, 'enabled is neither true nor false'],
    ['deleted', { ...job, deleted: 'true' }, 'deleted is neither true nor false'],
    ['source', { ...job, source: [] }, 'source is not an object'],
    ['source pool', { ...job, source: { poolUuid: null } }, 'source.poolName is not a text'],
    ['target SR', { ...job, target: { ...job.target, srUuid: 7 } }, 'target.srUuid is not a text'],
    [
      'selection',
      { ...job, selection: { uuids: ['a', 1], tags: [] } },
      'selection.uuids is not a list of texts',
    ],
    [
      'retention',
      { ...job, retention: { ...job.retention, latest: 0 } },
      'retention.latest is not a whole number of at least 1',
    ],
    ['network map', { ...job, networkMap: { lan: 1 } }, 'networkMap.lan is not a text'],
    ['policy', { ...job, onDivergence: 'ask' }, 'onDivergence is none of fail, overwrite'],
    ['schedule', { ...job, schedule: { kind: 'weekly' } }, 'schedule.kind is none of manual, every, cron'],
    [
      'interval',
      { ...job, schedule: { kind: 'every', intervalMs: 999 } },
      'schedule.intervalMs is not a whole number of at least 1000',
    ],
    [
      'cron',
      { ...job, schedule: { kind: 'cron', expression: '* * * * *' } },
      'schedule.timeZone is not a text',
    ],
    ['concurrency', { ...job, concurrency: 1.5 }, 'concurrency is not a whole number of at least 1'],
  ])('%s', (_, value, expected) => {
    expect(complaint(value)).toBe(expected);
  });

  test.each([
    'xenrepl:job:gold',
    'xenrepl:job:gold:0',
    'xenrepl:job:gold:01',
    'xenrepl:job:gold:1:2',
    'xenrepl:job:go ld:1',
  ])('a key of another form: %s', (key) => {
    expect(decodeJobs({ [key]: encodeJob(job, false) }).unreadable).toEqual([
      { key, reason: 'the key is not of the form xenrepl:job:<job id>:<revision>' },
    ]);
  });

  test('a higher revision that cannot be read is reported beside the lower one that can', () => {
    const { jobs, unreadable } = decodeJobs(stored([1, encodeJob(job, false)], [2, '{']));
    expect(jobs.get('gold')?.revision).toBe(1);
    expect(unreadable).toEqual([{ key: jobKey('gold', 2), reason: 'the value is not JSON' }]);
  });

  test('no map whatever makes it throw', () => {
    const key = fc.oneof(
      fc.string(),
      fc.nat().map((n) => jobKey('gold', n)),
    );
    fc.assert(
      fc.property(fc.dictionary(key, fc.oneof(fc.string(), fc.json())), (map) => {
        const { jobs, unreadable } = decodeJobs(map);
        const ours = Object.keys(map).filter((name) => name.startsWith('xenrepl:job:'));
        expect(jobs.size + unreadable.length).toBe(ours.length);
      }),
    );
  });

  test('keys of others are not ours to read', () => {
    expect(decodeJobs({ 'xo:job:1': '{', 'xenrepl:lock:gold:vm:1': '{' })).toEqual({
      jobs: new Map(),
      unreadable: [],
    });
  });
});

test.each([
  ['gold', true],
  ['11111111-1111-4111-8111-111111111111', true],
  ['a.b_c-d', true],
  ['', false],
  ['a:b', false],
  ['a b', false],
  ['x'.repeat(65), false],
])('job id %s: %s', (text, expected) => {
  expect(isJobId(text)).toBe(expected);
});
