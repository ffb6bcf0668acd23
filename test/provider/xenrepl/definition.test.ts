import fc from 'fast-check';
import type { ValueObject } from '../../../lib/provider/framework';
import { planValues } from '../../../lib/provider/framework/plan-values';
import { settle } from '../../../lib/provider/framework/settle';
import { formatInterval, parseInterval } from '../../../lib/provider/xenrepl/interval';
import { toDefinition, toState } from '../../../lib/provider/xenrepl/job/definition';
import { jobSchema } from '../../../lib/provider/xenrepl/job/schema';
import { decodeJobs, encodeJob, jobKey } from '../../../lib/planner/job-keys';

const { attributes } = jobSchema;
const none = Object.fromEntries(Object.keys(attributes).map((name) => [name, null]));

const text = fc.string({ minLength: 1, maxLength: 12 });
const uuid = fc.uuid().chain((lower) => fc.constantFrom(lower, lower.toUpperCase()));
const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: null });

const timeZone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York');
const length = fc.constantFrom('90s', '15m', '60m', '1h', '24h', '1d');
const timeOfDay = fc.constantFrom('00:00', '06:30', '22:00', '23:59');
const window = {
  days: maybe(fc.uniqueArray(fc.constantFrom('mon', 'wed', 'sun'), { maxLength: 3 })),
  from: timeOfDay,
  to: timeOfDay,
  time_zone: maybe(timeZone),
};

/** Any configuration that passes validation, in the spelling of any user. */
const configuration: fc.Arbitrary<ValueObject> = fc
  .record({
    name: text,
    source_pool: text,
    target_pool: text,
    target_sr: fc.oneof(text, uuid),
    enabled: maybe(fc.boolean()),
    vm_uuids: maybe(fc.uniqueArray(uuid, { maxLength: 3, selector: (one) => one.toLowerCase() })),
    vm_tags: maybe(fc.array(text, { maxLength: 3 })),
    schedule: maybe(
      fc.oneof(
        fc
          .constantFrom('15m', '60m', '1h', '24h', '1d', '1440m')
          .map((every) => ({ every, cron: null, time_zone: null })),
        fc
          .constantFrom(null, 'Europe/Berlin')
          .map((zone) => ({ every: null, cron: '0 22 * * *', time_zone: zone })),
      ),
    ),
    retention: maybe(
      fc.record({
        latest: maybe(fc.integer({ min: 1, max: 100 })),
        hourly: maybe(fc.integer({ min: 0, max: 24 })),
        daily: maybe(fc.integer({ min: 0, max: 24 })),
        weekly: maybe(fc.integer({ min: 0, max: 24 })),
        monthly: maybe(fc.integer({ min: 0, max: 24 })),
        time_zone: maybe(timeZone),
        source_latest: maybe(fc.integer({ min: 1, max: 9 })),
      }),
    ),
    initial_copy: maybe(fc.constantFrom('auto', 'seed')),
    rpo: maybe(length),
    jitter: maybe(length),
    blackouts: maybe(fc.array(fc.record(window), { maxLength: 3 })),
    snapshot: maybe(
      fc.record({
        mode: maybe(fc.constantFrom('disk', 'quiesce', 'memory', 'offline')),
        group_skew: maybe(fc.constantFrom('500ms', '5s', '60s', '1m')),
      }),
    ),
    transfer: maybe(
      fc.record({
        method: maybe(fc.constantFrom('auto', 'export', 'nbd')),
        enable_cbt: maybe(fc.boolean()),
        drop_snapshot_data: maybe(fc.boolean()),
        verify: maybe(fc.constantFrom('none', 'sampled', 'full')),
      }),
    ),
    limits: maybe(
      fc.record({
        bytes_per_second: maybe(fc.integer({ min: 1 })),
        windows: maybe(
          fc.array(fc.record({ ...window, bytes_per_second: maybe(fc.integer({ min: 1 })) }), {
            maxLength: 3,
          }),
        ),
        nice: maybe(fc.boolean()),
        transfers_per_pool: maybe(fc.integer({ min: 1, max: 64 })),
        transfers_per_sr: maybe(fc.integer({ min: 1, max: 64 })),
      }),
    ),
    max_chain_depth: maybe(fc.integer({ min: 2, max: 30 })),
    network_map: maybe(
      fc
        .uniqueArray(fc.tuple(fc.oneof(text, uuid), fc.oneof(text, uuid)), {
          maxLength: 3,
          selector: ([key]) => key.toLowerCase(),
        })
        .map((entries) => Object.fromEntries(entries.filter(([key]) => key !== '__proto__'))),
    ),
    on_missing_base: maybe(fc.constantFrom('fail', 'full')),
    on_divergence: maybe(fc.constantFrom('fail', 'overwrite')),
    on_unmapped_network: maybe(fc.constantFrom('fail', 'omit')),
    concurrency: maybe(fc.integer({ min: 1, max: 16 })),
    delete_replicas_on_destroy: maybe(fc.boolean()),
  })
  .map((arguments_) => ({ ...none, ...arguments_ }));

const identity = {
  jobId: '0f0f0f0f-0f0f-5f0f-8f0f-0f0f0f0f0f0f',
  scheduleId: 's',
  sourcePoolUuid: null,
  targetPoolUuid: 'pool',
  srUuid: 'sr',
} as const;
const lookedUp = {
  job_id: identity.jobId,
  id: identity.jobId,
  schedule_id: 's',
  source_pool_uuid: null,
  target_pool_uuid: 'pool',
  target_sr_uuid: 'sr',
  revision: 1,
};

test('what is written to the pool reads back as exactly the state that was planned', () => {
  fc.assert(
    fc.property(configuration, (config) => {
      const planned: ValueObject = { ...planValues(attributes, config, null), ...lookedUp };
      const stored = { [jobKey(identity.jobId, 1)]: encodeJob(toDefinition(planned, identity), false) };
      const found = decodeJobs(stored).jobs.get(identity.jobId);
      if (found === undefined) throw new Error('the definition cannot be read');
      const state = settle(attributes, toState(found.definition, 1, planned), planned);
      expect(state).toEqual(planned);
      expect(planValues(attributes, config, state)).toEqual(state);
    }),
  );
});

test('a definition that was written before there were these choices reads as their defaults', () => {
  const written = {
    schemaVersion: 1,
    jobId: identity.jobId,
    scheduleId: 's',
    name: 'web',
    enabled: true,
    source: { poolName: 'paris', poolUuid: null },
    target: { poolName: 'munich', poolUuid: 'pool', srUuid: 'sr' },
    selection: { uuids: [], tags: ['dr'] },
    schedule: { kind: 'manual' },
    retention: { latest: 3, sourceLatest: 1 },
    networkMap: {},
    onUnmappedNetwork: 'fail',
    onMissingBase: 'fail',
    onDivergence: 'fail',
    concurrency: 2,
  };
  const found = decodeJobs({ [jobKey(identity.jobId, 1)]: JSON.stringify(written) }).jobs.get(identity.jobId);
  if (found === undefined) throw new Error('the definition cannot be read');
  const config = {
    ...none,
    name: 'web',
    source_pool: 'paris',
    target_pool: 'munich',
    target_sr: 'sr',
    vm_tags: ['dr'],
  };
  const planned: ValueObject = { ...planValues(attributes, config, null), ...lookedUp };
  // As it stands in a state of that time: what was no argument is null.
  const state = { ...planned, limits: null, snapshot: null, transfer: null, max_chain_depth: null };
  expect(settle(attributes, toState(found.definition, 1, state), state)).toEqual(planned);
});

test('after an import, with nothing known but the pool, the plan changes no more than the name of the SR', () => {
  fc.assert(
    fc.property(configuration, (config) => {
      const planned: ValueObject = { ...planValues(attributes, config, null), ...lookedUp };
      const before: ValueObject = {
        ...none,
        target_pool: planned['target_pool'] ?? null,
        job_id: identity.jobId,
      };
      const imported = settle(attributes, toState(toDefinition(planned, identity), 1, before), before);
      const next = planValues(attributes, config, imported);
      const changed = Object.keys(next).filter(
        (name) => JSON.stringify(next[name]) !== JSON.stringify(imported[name]),
      );
      // An empty list that is written out is not the same as none; whether replicas go is known to Terraform alone.
      const mayBeEmpty = ['vm_uuids', 'vm_tags', 'network_map', 'blackouts'];
      const allowed = ['target_sr', 'delete_replicas_on_destroy', ...mayBeEmpty];
      expect(changed.filter((name) => !allowed.includes(name))).toEqual([]);
      for (const name of mayBeEmpty.filter((one) => changed.includes(one))) {
        expect(Object.keys(config[name] as object)).toEqual([]);
      }
    }),
  );
});

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['15m', 900_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['365d', 31_536_000_000],
  ['366d', null],
  ['0m', null],
  ['1.5h', null],
  ['-1h', null],
  ['15', null],
  ['1w', null],
  ['', null],
])('interval "%s"', (spelled, intervalMs) => {
  expect(parseInterval(spelled)).toBe(intervalMs);
});

test('an interval reads back as it was', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 525_600 }), fc.constantFrom(1, 1000, 60_000), (amount, unitMs) => {
      expect(parseInterval(formatInterval(amount * unitMs))).toBe(amount * unitMs);
    }),
  );
});
