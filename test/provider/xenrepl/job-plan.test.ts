import { ProviderServer, UNKNOWN, show } from '../../../lib/provider/framework';
import type { Diagnostic, Path, ValueObject } from '../../../lib/provider/framework';
import type { Session } from '../../../lib/provider/xenrepl/session';
import { FakePool, FakeWorld, ids } from './fake-pools';

/** A configuration as Terraform sends it: every attribute there, most of them null. */
const config: ValueObject = {
  ...Object.fromEntries(
    Object.keys(new FakeWorld().provider().resources['xenrepl_job']?.schema.attributes ?? {}).map((name) => [
      name,
      null,
    ]),
  ),
  name: 'web',
  source_pool: 'paris',
  target_pool: 'munich',
  target_sr: 'nas',
  vm_uuids: [ids.web],
};

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});

async function serverOf(settings: ValueObject = {}): Promise<ProviderServer<Session>> {
  const server = new ProviderServer(world.provider());
  const { diagnostics } = await server.configure(settings);
  expect(diagnostics).toEqual([]);
  return server;
}

async function plan(more: ValueObject, prior: ValueObject | null = null, settings: ValueObject = {}) {
  const server = await serverOf(settings);
  return server.plan('xenrepl_job', { prior, config: { ...config, ...more } });
}

/** The state after a creation in this world. */
async function created(more: ValueObject = {}): Promise<ValueObject> {
  const server = await serverOf();
  const { planned } = await server.plan('xenrepl_job', { prior: null, config: { ...config, ...more } });
  const { state } = await server.apply('xenrepl_job', {
    prior: null,
    planned,
    config: { ...config, ...more },
  });
  if (state === null) throw new Error('nothing was created');
  return state;
}

function brief(diagnostics: readonly Diagnostic[]): readonly (readonly [string, string, Path?])[] {
  return diagnostics.map(({ severity, summary, path }) =>
    path ? [severity, summary, path] : [severity, summary],
  );
}

describe('creation, before anything is made', () => {
  test('identity and look-ups are known where the pools answer', async () => {
    const { planned, diagnostics } = await plan({});
    expect(diagnostics).toEqual([]);
    expect(planned).toMatchObject({
      job_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/) as unknown,
      source_pool_uuid: ids.paris,
      target_pool_uuid: ids.munich,
      target_sr_uuid: ids.nas,
      schedule_id: UNKNOWN,
      revision: UNKNOWN,
    });
  });

  test('a live definition is only a warning: this may be the second half of a replacement', async () => {
    const state = await created();
    const { diagnostics } = await plan({});
    expect(brief(diagnostics)).toEqual([['warning', 'Replication Job "web" Exists Already']]);
    expect(diagnostics[0]?.detail).toContain(`munich/${show(state['job_id'])}`);
  });

  const wrong: readonly (readonly [string, ValueObject, readonly [string, Path], string])[] = [
    [
      'an SR that is not there',
      { target_sr: 'nsa' },
      ['Unknown Storage Repository', ['target_sr']],
      '"isos", "nas", "twin"',
    ],
    [
      'a name that two SRs bear',
      { target_sr: 'twin' },
      ['Unknown Storage Repository', ['target_sr']],
      ids.twin2,
    ],
    ['an ISO library', { target_sr: 'isos' }, ['Unknown Storage Repository', ['target_sr']], 'ISO library'],
    [
      'a target pool of another name',
      { target_pool: 'rome' },
      ['Unknown Pool', ['target_pool']],
      '"paris", "munich"',
    ],
    [
      'a source pool of another name',
      { source_pool: 'rome' },
      ['Unknown Pool', ['source_pool']],
      '"paris", "munich"',
    ],
    [
      'a VM that is not there',
      { vm_uuids: [ids.web, ids.nas] },
      ['Unsuitable VM', ['vm_uuids', 1]],
      'There is no VM',
    ],
    ['a snapshot', { vm_uuids: [ids.snapshot] }, ['Unsuitable VM', ['vm_uuids', 0]], 'is a snapshot'],
    [
      'a target network that is not there',
      { network_map: { 'LAN Paris': 'WAN' } },
      ['Unknown Network', ['network_map', { key: 'LAN Paris' }]],
      '"LAN Munich"',
    ],
  ];
  test.each(wrong)('%s is an error at its argument', async (_title, more, [summary, path], detail) => {
    const { diagnostics } = await plan(more);
    expect(brief(diagnostics)).toEqual([['error', summary, path]]);
    expect(diagnostics[0]?.detail).toContain(detail);
  });

  test('a source network that is not there does no harm', async () => {
    const { diagnostics } = await plan({ network_map: { LAN: 'LAN Munich' } });
    expect(brief(diagnostics)).toEqual([['warning', 'Unknown Network', ['network_map', { key: 'LAN' }]]]);
  });

  test('missing permissions on both pools are an error that names role and pool', async () => {
    world.munich.permission = new Set(['vm.start']);
    const { diagnostics } = await plan({});
    expect(brief(diagnostics)).toEqual([['error', 'Missing Permissions']]);
    expect(diagnostics[0]?.detail).toContain(
      'pool.add_to_other_config on pool "munich" (role pool-operator has it)',
    );
  });

  test('where the source is away, at least the target is asked', async () => {
    world.munich.permission = new Set(['vm.start']);
    world.paris.failure = world.paris.silence();
    const { diagnostics } = await plan({});
    expect(brief(diagnostics)).toEqual([
      ['warning', 'Source Pool "paris" Is Unreachable', ['source_pool']],
      ['error', 'Missing Permissions'],
    ]);
  });

  test('what a connection warns of is shown', async () => {
    world.warning = 'nothing is verified';
    const { diagnostics } = await plan({});
    expect(diagnostics).toContainEqual(
      expect.objectContaining({ severity: 'warning', detail: 'nothing is verified' }),
    );
  });
});

describe('a disaster at the source', () => {
  test('creation goes on without its uuid', async () => {
    world.paris.failure = world.paris.silence();
    const state = await created();
    expect(state).toMatchObject({ source_pool_uuid: null, revision: 1 });
  });

  test('a plan that changes nothing changes nothing', async () => {
    const state = await created();
    world.paris.failure = world.paris.silence();
    const { planned, diagnostics } = await plan({}, state);
    expect(planned).toEqual(state);
    expect(brief(diagnostics)).toEqual([['warning', 'Source Pool "paris" Is Unreachable', ['source_pool']]]);
  });

  test('its return is no reason for a change, but is taken along with the next one', async () => {
    world.paris.failure = world.paris.silence();
    const state = await created();
    world.paris.failure = null;
    expect((await plan({}, state)).planned).toEqual(state);
    expect((await plan({ concurrency: 5 }, state)).planned).toMatchObject({ source_pool_uuid: ids.paris });
  });

  test('credentials it refuses stop a creation, and are a warning afterwards', async () => {
    const state = await created();
    world.paris.failure = world.paris.refuse('SESSION_AUTHENTICATION_FAILED');
    const title = 'Source Pool "paris" Cannot Be Asked';
    expect(brief((await plan({}, state)).diagnostics)).toEqual([['warning', title, ['source_pool']]]);
    expect(brief((await plan({ name: 'b', job_id: 'b' })).diagnostics)).toEqual([
      ['error', title, ['source_pool']],
    ]);
  });

  test('VMs that were lost with it are warnings', async () => {
    const state = await created();
    world.paris.vms = [];
    const { planned, diagnostics } = await plan({}, state);
    expect(planned).toEqual(state);
    expect(brief(diagnostics)).toEqual([['warning', 'Unsuitable VM', ['vm_uuids', 0]]]);
  });

  test('the job can be destroyed without asking it', async () => {
    const state = await created();
    world.paris.failure = world.paris.silence();
    world.paris.calls.length = 0;
    const server = await serverOf();
    const { state: left } = await server.apply('xenrepl_job', { prior: state, planned: null, config: null });
    expect(left).toBeNull();
    expect(world.paris.calls).toEqual([]);
  });
});

describe('a target that does not answer', () => {
  test('fails by default, with the pool and the way out, and keeps the state', async () => {
    const state = await created();
    world.munich.failure = world.munich.silence();
    const server = await serverOf();
    const { state: kept, diagnostics } = await server.read('xenrepl_job', state);
    expect(kept).toEqual(state);
    expect(brief(diagnostics)).toEqual([['error', 'Unable to Read Replication Job "web"']]);
    expect(diagnostics[0]?.detail).toContain('Pool "munich" is unreachable');
    expect(diagnostics[0]?.detail).toContain('on_unreachable = "warn"');
  });

  test('keeps state and plan with on_unreachable = "warn"', async () => {
    const state = await created();
    world.munich.failure = world.munich.silence();
    const server = await serverOf({ on_unreachable: 'warn' });
    const read = await server.read('xenrepl_job', state);
    expect(read.state).toEqual(state);
    expect(brief(read.diagnostics)).toEqual([['warning', 'Target Pool "munich" Is Unreachable']]);
    const { planned, diagnostics } = await plan({}, state, { on_unreachable: 'warn' });
    expect(planned).toEqual(state);
    expect(brief(diagnostics)).toEqual([['warning', 'Target Pool "munich" Is Unreachable', ['target_pool']]]);
  });

  test('lets a change be planned with "warn", but not be applied', async () => {
    const state = await created();
    world.munich.failure = world.munich.silence();
    const { planned } = await plan({ concurrency: 5 }, state, { on_unreachable: 'warn' });
    expect(planned).toMatchObject({ concurrency: 5, revision: UNKNOWN, target_sr_uuid: ids.nas });
    const server = await serverOf({ on_unreachable: 'warn' });
    const applied = await server.apply('xenrepl_job', { prior: state, planned, config });
    expect(applied.state).toEqual(state);
    expect(brief(applied.diagnostics)).toEqual([['error', 'Unable to Update Replication Job "web"']]);
  });

  test('a change of target_pool waits: nobody can tell a rename from a move', async () => {
    const state = await created();
    world.pools.set('munich-dr', world.munich);
    world.munich.failure = world.munich.silence();
    const { diagnostics } = await plan({ target_pool: 'munich-dr' }, state, { on_unreachable: 'warn' });
    expect(brief(diagnostics)).toEqual([['error', 'Unable to Plan Replication Job "web"']]);
  });

  test('is not forgotten by a destroy', async () => {
    const state = await created();
    world.munich.failure = world.munich.silence();
    const server = await serverOf({ on_unreachable: 'warn' });
    const { state: kept, diagnostics } = await server.apply('xenrepl_job', {
      prior: state,
      planned: null,
      config: null,
    });
    expect(kept).toEqual(state);
    expect(diagnostics[0]?.detail).toContain('terraform state rm');
  });

  test('is asked once for many jobs', async () => {
    const state = await created();
    world.munich.failure = world.munich.silence();
    world.connects = 0;
    const server = await serverOf({ on_unreachable: 'warn' });
    await Promise.all(Array.from({ length: 20 }, () => server.read('xenrepl_job', state)));
    await server.read('xenrepl_job', state);
    expect(world.connects).toBe(1);
  });

  test('is asked again after a while: an apply can take hours', async () => {
    const state = await created();
    world.munich.failure = world.munich.silence();
    const server = await serverOf({ on_unreachable: 'warn' });
    await server.read('xenrepl_job', state);
    world.munich.failure = null;
    world.nowMs = 60_000;
    expect((await server.read('xenrepl_job', state)).diagnostics).toEqual([]);
  });
});

describe('answers that prove nothing', () => {
  test.each([
    ['a missing permission', 'RBAC_PERMISSION_DENIED'],
    ['refused credentials', 'SESSION_AUTHENTICATION_FAILED'],
    ['an internal error', 'INTERNAL_ERROR'],
  ])('%s keeps the state, also with "warn"', async (_title, code) => {
    const state = await created();
    world.munich.failing.set('pool.get_other_config', world.munich.refuse(code, 'pool.get_other_config'));
    const server = await serverOf({ on_unreachable: 'warn' });
    const { state: kept, diagnostics } = await server.read('xenrepl_job', state);
    expect(kept).toEqual(state);
    expect(brief(diagnostics)).toEqual([['error', 'Unable to Read Replication Job "web"']]);
    expect(diagnostics[0]?.detail).toContain(code);
  });

  test.each(['tls', 'http', 'protocol'] as const)(
    'a host that answers wrongly (%s) is not "unreachable"',
    async (kind) => {
      const state = await created();
      world.munich.failure = world.munich.silence(kind);
      const server = await serverOf({ on_unreachable: 'warn' });
      const { state: kept, diagnostics } = await server.read('xenrepl_job', state);
      expect(kept).toEqual(state);
      expect(diagnostics.map(({ severity }) => severity)).toEqual(['error']);
    },
  );

  test('a definition that cannot be read is not an absent one', async () => {
    const state = await created();
    world.munich.otherConfig[`xenrepl:job:${show(state['job_id'])}:2`] = '{"schemaVersion":2}';
    const server = await serverOf();
    const { state: kept, diagnostics } = await server.read('xenrepl_job', state);
    expect(kept).toEqual(state);
    expect(diagnostics[0]?.detail).toContain('schema version 2 is not known');
  });

  test('another pool under the same name is not asked about the job', async () => {
    const state = await created();
    world.pools.set('munich', new FakePool('munich', ids.nas));
    const server = await serverOf();
    for (const answer of [
      await server.read('xenrepl_job', state),
      await server.apply('xenrepl_job', { prior: state, planned: null, config: null }),
    ]) {
      expect(answer.state).toEqual(state);
      expect(brief(answer.diagnostics)).toEqual([
        ['error', 'Pool "munich" Is Another Pool', ['target_pool']],
      ]);
    }
    expect(brief((await plan({}, state)).diagnostics)).toEqual([
      ['error', 'Pool "munich" Is Another Pool', ['target_pool']],
    ]);
  });

  test('only a pool without the definition, or with its tombstone, makes it gone', async () => {
    const state = await created();
    const server = await serverOf();
    await server.apply('xenrepl_job', { prior: state, planned: null, config: null });
    expect((await server.read('xenrepl_job', state)).state).toBeNull();
    for (const key of Object.keys(world.munich.otherConfig))
      Reflect.deleteProperty(world.munich.otherConfig, key);
    expect((await server.read('xenrepl_job', state)).state).toBeNull();
  });
});

describe('apply', () => {
  test('a definition that stands is never reported as a failure', async () => {
    const server = await serverOf();
    const { planned } = await server.plan('xenrepl_job', { prior: null, config });
    let reads = 0;
    const call = world.munich.call.bind(world.munich);
    world.munich.call = (method, params) => {
      if (method === 'pool.get_other_config') reads += 1;
      // The third reading is the one after writing.
      return reads === 3 ? Promise.reject(world.munich.silence()) : call(method, params);
    };
    const { state, diagnostics } = await server.apply('xenrepl_job', { prior: null, planned, config });
    expect(state).toMatchObject({ name: 'web', revision: 1, target_sr: 'nas' });
    expect(brief(diagnostics)).toEqual([['warning', 'Job Not Read Back']]);
  });

  test('a failed write leaves nothing in the state', async () => {
    world.munich.failing.set('pool.add_to_other_config', world.munich.refuse('RBAC_PERMISSION_DENIED'));
    const server = await serverOf();
    const { planned } = await server.plan('xenrepl_job', { prior: null, config });
    const { state, diagnostics } = await server.apply('xenrepl_job', { prior: null, planned, config });
    expect(state).toBeNull();
    expect(brief(diagnostics)).toEqual([['error', 'Unable to Create Replication Job "web"']]);
    expect(diagnostics[0]?.detail).toContain('pool-operator');
  });

  test('an SR that means another one since the plan stops the apply', async () => {
    const server = await serverOf();
    const { planned } = await server.plan('xenrepl_job', { prior: null, config });
    world.munich.srs = [{ uuid: ids.twin1, name_label: 'nas', content_type: 'user' }];
    const { diagnostics } = await server.apply('xenrepl_job', { prior: null, planned, config });
    expect(diagnostics[0]?.detail).toContain(`is ${ids.twin1} now. Plan again`);
  });

  test('sessions are logged out at the end', async () => {
    const server = await serverOf();
    await server.plan('xenrepl_job', { prior: null, config });
    await server.close();
    expect([world.paris.disconnected, world.munich.disconnected]).toEqual([1, 1]);
  });
});

const every = { every: '1h', cron: null, time_zone: null };
const blackout = { days: ['sat'], from: '22:00', to: '06:00', time_zone: null };
const limits = {
  bytes_per_second: null,
  windows: null,
  nice: null,
  transfers_per_pool: null,
  transfers_per_sr: null,
};
const transfer = { method: null, enable_cbt: null, drop_snapshot_data: null, verify: null };

/** Arguments of how, how often and how fast, each wrong in one way. */
const wrongTuning: readonly (readonly [string, ValueObject, Path])[] = [
  ['fewer than no tier', { retention: { latest: null, daily: -1 } }, ['retention', 'daily']],
  ['a zone of retention that is none', { retention: { time_zone: 'Mars' } }, ['retention', 'time_zone']],
  ['an initial copy that is none', { initial_copy: 'mail' }, ['initial_copy']],
  ['an RPO without a unit', { rpo: '60' }, ['rpo']],
  ['an RPO of seconds', { rpo: '30s' }, ['rpo']],
  ['an RPO that the pace cannot keep', { rpo: '59m', schedule: every }, ['rpo']],
  [
    'an RPO that the cron cannot keep',
    { rpo: '23h', schedule: { every: null, cron: '0 22 * * *', time_zone: 'Europe/Berlin' } },
    ['rpo'],
  ],
  ['a jitter as long as the pace', { jitter: '60m', schedule: every }, ['jitter']],
  ['a day that is none', { blackouts: [{ ...blackout, days: ['sun', 'so'] }] }, ['blackouts', 0, 'days']],
  ['a day twice', { blackouts: [{ ...blackout, days: ['sat', 'sat'] }] }, ['blackouts', 0, 'days']],
  ['an hour of one digit', { blackouts: [{ ...blackout, from: '6:00' }] }, ['blackouts', 0, 'from']],
  ['an hour too late', { blackouts: [{ ...blackout, to: '24:01' }] }, ['blackouts', 0, 'to']],
  ['a begin at the end', { blackouts: [{ ...blackout, from: '24:00' }] }, ['blackouts', 0, 'from']],
  [
    'a zone of a window that is none',
    { blackouts: [{ ...blackout, time_zone: 'Mars' }] },
    ['blackouts', 0, 'time_zone'],
  ],
  ['never or always', { blackouts: [blackout, { ...blackout, to: '22:00' }] }, ['blackouts', 1]],
  ['a snapshot that is none', { snapshot: { mode: 'warm', group_skew: null } }, ['snapshot', 'mode']],
  ['a skew without a unit', { snapshot: { mode: null, group_skew: '5' } }, ['snapshot', 'group_skew']],
  ['a method that is none', { transfer: { ...transfer, method: 'fax' } }, ['transfer', 'method']],
  [
    'data dropped that the method needs',
    { transfer: { ...transfer, method: 'export', drop_snapshot_data: true } },
    ['transfer', 'drop_snapshot_data'],
  ],
  [
    'tracking that the method does not use',
    { transfer: { ...transfer, method: 'export', enable_cbt: true } },
    ['transfer', 'enable_cbt'],
  ],
  ['a verification that is none', { transfer: { ...transfer, verify: 'some' } }, ['transfer', 'verify']],
  ['a rate of nothing', { limits: { ...limits, bytes_per_second: 0 } }, ['limits', 'bytes_per_second']],
  [
    'half a byte',
    { limits: { ...limits, windows: [{ ...blackout, bytes_per_second: 0.5 }] } },
    ['limits', 'windows', 0, 'bytes_per_second'],
  ],
  ['no stream', { limits: { ...limits, transfers_per_sr: 0 } }, ['limits', 'transfers_per_sr']],
  ['more points than a chain has room for', { retention: { latest: 27 } }, ['retention', 'latest']],
  [
    'more points than the chain of this job has room for',
    { retention: { latest: 3 }, max_chain_depth: 4 },
    ['retention', 'latest'],
  ],
  ['chains too deep for storage', { max_chain_depth: 31 }, ['max_chain_depth']],
];

describe('arguments', () => {
  const wrong: readonly (readonly [string, ValueObject, Path])[] = [
    ['an empty name', { name: '' }, ['name']],
    ['no VM at all', { vm_uuids: [], vm_tags: null }, ['vm_uuids']],
    ['a VM by name', { vm_uuids: ['web'] }, ['vm_uuids']],
    ['a VM twice', { vm_uuids: [ids.web, ids.web.toUpperCase()] }, ['vm_uuids']],
    ['an empty tag', { vm_tags: [''] }, ['vm_tags']],
    ['no retention', { retention: { latest: 0, source_latest: null } }, ['retention', 'latest']],
    ['half a point', { retention: { latest: 1.5, source_latest: null } }, ['retention', 'latest']],
    ['too many at once', { concurrency: 17 }, ['concurrency']],
    ['a policy that is none', { on_missing_base: 'guess' }, ['on_missing_base']],
    ['a job id with a colon', { job_id: 'a:b' }, ['job_id']],
    [
      'an interval without a unit',
      { schedule: { every: '15', cron: null, time_zone: null } },
      ['schedule', 'every'],
    ],
    ['seconds', { schedule: { every: '30s', cron: null, time_zone: null } }, ['schedule', 'every']],
    ['two years', { schedule: { every: '730d', cron: null, time_zone: null } }, ['schedule', 'every']],
    [
      'a cron of six fields',
      { schedule: { every: null, cron: '0 0 22 * * *', time_zone: null } },
      ['schedule', 'cron'],
    ],
    [
      'a cron that is none',
      { schedule: { every: null, cron: '61 * * * *', time_zone: null } },
      ['schedule', 'cron'],
    ],
    [
      'a cron that never comes',
      { schedule: { every: null, cron: '0 0 30 2 *', time_zone: null } },
      ['schedule', 'cron'],
    ],
    [
      'a zone that is none',
      { schedule: { every: null, cron: '0 0 * * *', time_zone: 'Mars' } },
      ['schedule', 'time_zone'],
    ],
    [
      'a zone for a pace',
      { schedule: { every: '1h', cron: null, time_zone: 'UTC' } },
      ['schedule', 'time_zone'],
    ],
    ['two schedules', { schedule: { every: '1h', cron: '0 0 * * *', time_zone: null } }, ['schedule']],
    ['a schedule without one', { schedule: { every: null, cron: null, time_zone: null } }, ['schedule']],
  ];
  test.each([...wrong, ...wrongTuning])('%s is an error at its path', async (_title, more, path) => {
    const server = await serverOf();
    const { diagnostics } = await server.validateResource('xenrepl_job', { ...config, ...more });
    expect(diagnostics.map((diagnostic) => [diagnostic.severity, diagnostic.path])).toEqual([
      ['error', path],
    ]);
  });

  test('the reason is told', async () => {
    const server = await serverOf();
    const more = { rpo: '30m', schedule: every };
    const { diagnostics } = await server.validateResource('xenrepl_job', { ...config, ...more });
    expect(diagnostics[0]?.detail).toBe(
      'rpo is 30m, but runs start every 1h: between two of them the newest recovery point is older than that. ' +
        'Let the job run more often, or promise less.',
    );
  });

  test.each<[string, ValueObject]>([
    ['a promise as long as the pace', { rpo: '60m', jitter: '59m', schedule: every }],
    ['a night and a day', { rpo: '24h', schedule: { every: null, cron: '0 22 * * *', time_zone: null } }],
    ['a promise that nobody schedules', { rpo: '5m' }],
    ['as many points as a chain has room for', { retention: { latest: 26 } }],
    ['a whole day', { blackouts: [{ ...blackout, from: '00:00', to: '24:00' }] }],
    ['windows that are not known', { blackouts: UNKNOWN, limits: { ...limits, windows: UNKNOWN } }],
  ])('%s is accepted', async (_title, more) => {
    const server = await serverOf();
    const { diagnostics } = await server.validateResource('xenrepl_job', { ...config, ...more });
    expect(diagnostics).toEqual([]);
  });

  test('tiers that together may need more layers than a chain has room for are warned of', async () => {
    const server = await serverOf();
    const more = { retention: { latest: 7, hourly: 24, time_zone: null } };
    const { diagnostics } = await server.validateResource('xenrepl_job', { ...config, ...more });
    expect(brief(diagnostics)).toEqual([['warning', 'Retention May Outgrow the Chain', ['retention']]]);
    expect(diagnostics[0]?.detail).toContain('up to 31 recovery points');
  });

  test('snapshots with memory, which are refused for every running VM, are warned of', async () => {
    const server = await serverOf();
    const more = { snapshot: { mode: 'memory', group_skew: null } };
    const { diagnostics } = await server.validateResource('xenrepl_job', { ...config, ...more });
    expect(brief(diagnostics)).toEqual([['warning', 'Running VMs Will Be Refused', ['snapshot', 'mode']]]);
  });

  test('whatever is unknown may still turn out well', async () => {
    const server = await serverOf();
    const unknown: ValueObject = Object.fromEntries(Object.keys(config).map((name) => [name, UNKNOWN]));
    expect((await server.validateResource('xenrepl_job', unknown)).diagnostics).toEqual([]);
    const schedule: ValueObject = { every: UNKNOWN, cron: '0 0 * * *', time_zone: UNKNOWN };
    const answer = await server.validateResource('xenrepl_job', { ...config, schedule });
    expect(answer.diagnostics).toEqual([]);
  });

  test.each<[string, ValueObject]>([['a pools file that cannot be read', { pools_file: 'elsewhere.yaml' }]])(
    '%s is an error of the provider',
    async (_title, settings) => {
      const server = new ProviderServer(world.provider());
      const { diagnostics } = await server.configure(settings);
      expect(brief(diagnostics)).toEqual([['error', 'Unable to Load Pools File', ['pools_file']]]);
    },
  );
});
