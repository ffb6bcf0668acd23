/** The agent over simulated pools: real calls, real locks, real disks; time is moved, not waited for. */
import { Agent } from '../../lib/agent/agent';
import type { AgentEvent } from '../../lib/agent/events';
import { PoolsWorld } from '../../lib/agent/pools-world';
import { defaultSettings } from '../../lib/agent/settings';
import { leaseMs, systemClock, writeJob } from '../../lib/engine';
import { encodeHolder, lockKey } from '../../lib/planner/lock-keys';
import { compareNewest } from '../engine/inspect';
import { defaultSpec, endpointOf, guestWrites, Site } from '../engine/site';

test('a run whose holder died is taken over when its lease has run out by the clock of the pool', async () => {
  await using site = await Site.start();
  const target = await site.connect('target');
  const vmUuid = await site.source.control.vmUuid('db1');
  const job = await site.job({
    schedule: { kind: 'every', intervalMs: 86_400_000 },
    rpoMs: 3_600_000,
    selection: { uuids: [vmUuid], tags: [] },
  });
  await writeJob(target, job);
  const holder = { run: 'of-the-dead', who: 'a dead agent', takenAtMs: await target.serverTime(), leaseMs };
  const lock = lockKey({ jobId: job.jobId, vmUuid }, 1);
  await target.call('pool.add_to_other_config', [target.ref, lock, encodeHolder(holder)]);

  const events: AgentEvent[] = [];
  let onEvent = (): void => undefined;
  const told = async (kind: AgentEvent['kind']): Promise<AgentEvent> => {
    for (;;) {
      const found = events.find((event) => event.kind === kind);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (onEvent = resolve));
    }
  };
  const world = new PoolsWorld({
    file: {
      path: 'pools.yaml',
      pools: new Map([site.source, site.target].map((pool) => [pool.name, endpointOf(pool)])),
    },
    clock: systemClock,
    who: 'the agent of the test',
    onWarning: () => undefined,
  });
  const agent = new Agent({
    world,
    clock: systemClock,
    settings: { ...defaultSettings, pollMs: 100 },
    report: (event) => {
      events.push(event);
      onEvent();
    },
    newRunId: () => 'of-the-living',
    remembered: new Map(),
    remember: () => undefined,
  });
  const ended = agent.run();

  expect(await told('skipped')).toMatchObject({
    reason: 'locked',
    text: expect.stringContaining('a dead agent') as string,
  });
  await site.target.control.advanceClock(leaseMs);
  expect(await told('run-starting')).toMatchObject({ cause: 'take-over' });
  const run = await told('run-ended');
  expect(run).toMatchObject({ outcome: 'replicated' });
  agent.stop();
  await ended;
  expect(events.at(-1)).toEqual({ kind: 'stopped', clean: true });
  expect(events.filter(({ kind }) => kind === 'run-starting')).toHaveLength(1);
  const disks = run.kind === 'run-ended' ? await compareNewest(site, run.report) : [];
  expect(disks).toHaveLength(2);
  for (const { source, target: copy } of disks) expect(copy).toBe(source);
});

test('two jobs at once see what each other takes of an SR, also where the pools file has two names for its pool', async () => {
  const mib = 1024 ** 2;
  const [source, target] = defaultSpec.pools;
  if (source === undefined || target === undefined) throw new Error('two pools expected');
  const disks = [{ device: 0, sizeBytes: 8 * mib, sr: 'source-sr' }];
  const vms = ['web1', 'web2'].map((name) => ({ name, tags: [name], disks }));
  const srs = target.srs.map((sr) => ({ ...sr, sizeBytes: 10 * mib }));
  await using site = await Site.start({
    ...defaultSpec,
    pools: [
      { ...source, vms },
      { ...target, srs },
    ],
  });
  for (const { name } of vms)
    await guestWrites(site.source.control, name, 0, [{ atBytes: 0, lengthBytes: 6 * mib, fill: 7 }]);
  const world = new PoolsWorld({
    file: {
      path: 'pools.yaml',
      pools: new Map([
        ['source', endpointOf(site.source)],
        ['target', endpointOf(site.target)],
        ['another name', endpointOf(site.target)],
      ]),
    },
    clock: systemClock,
    who: 'the agent of the test',
    onWarning: () => undefined,
  });
  const signal = new AbortController().signal;
  const jobs = await Promise.all(
    vms.map(({ name }, index) => {
      const jobId = `${String(index + 1).repeat(8)}-1111-4111-8111-111111111111`;
      return site.job({ jobId, name: `keeps ${name}`, selection: { uuids: [], tags: [name] } });
    }),
  );
  const reports = await Promise.all(
    jobs.map(async (job, index) => {
      await using from = await world.source(job, signal);
      const targetPool = index === 0 ? 'target' : 'another name';
      const runId = `run ${String(index)}`;
      return await world.run(from, { job, targetPool, runId, onlyVms: null, emit: () => undefined, signal });
    }),
  );
  await world.close();

  const waited = reports.flatMap(({ vms: all }) => all.flatMap(({ warnings }) => warnings));
  expect(waited).toEqual([expect.stringMatching(/^waits for space: .* \(VM "web." of job "keeps web./)]);
  const outcomes = reports.flatMap(({ vms: all }) => all.map(({ outcome }) => outcome.kind));
  expect(outcomes.sort()).toEqual(['blocked', 'replicated']);
});
