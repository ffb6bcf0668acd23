/** Snapshots at rest, and of several VMs at one moment. */
import { jobDefaults } from '../../lib/planner/job';
import { encode } from '../../lib/planner/keys';
import { Neighbours } from '../../lib/engine';
import type { Clock, RunEvent } from '../../lib/engine';
import type { Ref } from '../../lib/xapi';
import { quickClock } from '../faults/clock';
import { compareNewest, leftovers } from './inspect';
import { methods, nbdSpec, tracked } from './nbd-site';
import { defaultSpec, guestWrites, Site } from './site';

const mib = 1024 ** 2;
const snapshot = jobDefaults.snapshot;

async function powerState(site: Site, vm: string): Promise<string> {
  const source = await site.connect('source');
  const ref = await source.call('VM.get_by_uuid', [await site.source.control.vmUuid(vm)]);
  return source.call('VM.get_power_state', [ref]);
}

async function keysOn(site: Site, vm: string): Promise<readonly string[]> {
  const source = await site.connect('source');
  const ref = await source.call('VM.get_by_uuid', [await site.source.control.vmUuid(vm)]);
  const config = await source.call('VM.get_other_config', [ref]);
  return Object.keys(config).filter((key) => key.startsWith('xenrepl:'));
}

test('offline: the VM is down for its snapshot, runs again afterwards, and bears no mark', async () => {
  await using site = await Site.start();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: mib, fill: 7 }]);
  const { report } = await site.run(await site.job({ snapshot: { ...snapshot, mode: 'offline' } }));
  expect(report.ok).toBe(true);
  for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  expect([await powerState(site, 'db1'), await keysOn(site, 'db1')]).toEqual(['Running', []]);
  expect(await leftovers(site)).toEqual([]);
});

test('offline: where the snapshot fails, the VM is started again all the same', async () => {
  await using site = await Site.start();
  const effect = { kind: 'error', code: 'SR_FULL', params: ['1', '2'] } as const;
  await site.source.control.addFault({ match: { method: 'VM.snapshot' }, max: 9, effect });
  const { report } = await site.run(await site.job({ snapshot: { ...snapshot, mode: 'offline' } }));
  expect(report.ok).toBe(false);
  expect([await powerState(site, 'db1'), await keysOn(site, 'db1')]).toEqual(['Running', []]);
});

test('offline: a VM that a dead run left down is started before anything else', async () => {
  await using site = await Site.start();
  const job = await site.job({ snapshot: { ...snapshot, mode: 'offline' } });
  const source = await site.connect('source');
  const uuid = await site.source.control.vmUuid('db1');
  const ref = await source.call('VM.get_by_uuid', [uuid]);
  const mark = encode.shutdown({ v: 1, self: uuid, job: job.jobId, run: 'dead' });
  for (const [key, value] of Object.entries(mark))
    await source.call('VM.add_to_other_config', [ref, key, value]);
  await source.callTask('VM.clean_shutdown', [ref]);
  const { report } = await site.run(job);
  expect(report.ok).toBe(true);
  expect(report.vms[0]?.warnings).toEqual([
    'a run that died had shut the VM down for its snapshot: starting it',
  ]);
  expect([await powerState(site, 'db1'), await keysOn(site, 'db1')]).toEqual(['Running', []]);
});

/** Lets the run's waits go by quickly, and does something at the first one of that length. */
function clockWith(ms: number, change: () => Promise<void>): Clock {
  let changed: Promise<void> | null = null;
  return {
    ...quickClock,
    sleep: async (waitMs, signal) => {
      if (waitMs === ms) await (changed ??= change());
      return quickClock.sleep(waitMs, signal);
    },
  };
}

const shutdownFails = {
  match: { method: 'VM.clean_shutdown' },
  effect: { kind: 'error', code: 'VM_SHUTDOWN_TIMEOUT', params: ['OpaqueRef:vm', '1200'] },
} as const;

async function vmRef(site: Site, vm: string): Promise<Ref<'VM'>> {
  const source = await site.connect('source');
  return source.call('VM.get_by_uuid', [await site.source.control.vmUuid(vm)]);
}

test('offline: who stops the run while the guest shuts down finds it running in the end', async () => {
  await using site = await Site.start();
  const { control } = site.source;
  const job = await site.job({ snapshot: { ...snapshot, mode: 'offline' } });
  const effect = { kind: 'delay', ms: 3_600_000 } as const;
  await control.addFault({ match: { method: 'VM.clean_shutdown' }, effect });
  const stop = new AbortController();
  let ended = false;
  const running = site.run(job, { context: { signal: stop.signal } }).finally(() => (ended = true));
  const admin = await site.connect('source');
  while ((await control.faultCounters())[0]?.hits !== 1) {
    // A call over the network, so that the run gets its turn.
    await admin.call('VM.get_by_name_label', ['db1']);
    expect(ended).toBe(false);
  }
  stop.abort(new Error('Ctrl-C'));
  // Time enough for a run that does not wait for the guest.
  const ref = await vmRef(site, 'db1');
  for (let looks = 0; looks < 100; looks += 1)
    expect(await admin.call('VM.get_power_state', [ref])).toBe('Running');
  await control.advanceClock(3_600_000);
  const { report } = await running;
  expect(report.vms[0]?.outcome.kind).toBe('cancelled');
  expect(await leftovers(site)).toEqual([]);
  expect([await powerState(site, 'db1'), await keysOn(site, 'db1')]).toEqual(['Running', []]);
});

test('offline: a guest that goes down after all, its task having failed, is started again', async () => {
  await using site = await Site.start();
  const job = await site.job({ snapshot: { ...snapshot, mode: 'offline' } });
  const admin = await site.connect('source');
  const ref = await vmRef(site, 'db1');
  await site.source.control.addFault({ ...shutdownFails, max: 9 });
  const goDown = async (): Promise<void> => {
    await admin.callTask('VM.hard_shutdown', [ref]);
  };
  const { report } = await site.run(job, { context: { clock: clockWith(1_000, goDown) } });
  expect((await site.source.control.counters()).calls['VM.start']).toBe(1);
  expect([await powerState(site, 'db1'), await keysOn(site, 'db1')]).toEqual(['Running', []]);
  expect(report.vms[0]?.outcome).toMatchObject({ error: { code: 'VM_SHUTDOWN_TIMEOUT' } });
});

test('offline: a guest that does not listen is left alone, without a mark', async () => {
  await using site = await Site.start();
  const job = await site.job({ snapshot: { ...snapshot, mode: 'offline' } });
  await site.source.control.addFault({ ...shutdownFails, max: 9 });
  const { report } = await site.run(job, { context: { clock: quickClock } });
  expect(report.vms[0]?.outcome).toMatchObject({ error: { code: 'VM_SHUTDOWN_TIMEOUT' } });
  expect((await site.source.control.counters()).calls['VM.start']).toBeUndefined();
  expect([await powerState(site, 'db1'), await keysOn(site, 'db1')]).toEqual(['Running', []]);
});

test('offline: others have their turn on the SR while the guest shuts down', async () => {
  await using site = await Site.start();
  const { control } = site.source;
  const effect = { kind: 'delay', ms: 3_600_000 } as const;
  await control.addFault({ match: { method: 'VM.clean_shutdown' }, effect });
  const neighbours = new Neighbours();
  const job = await site.job({ snapshot: { ...snapshot, mode: 'offline' } });
  const admin = await site.connect('source');
  const [sr = ''] = await admin.call('SR.get_by_name_label', ['source-sr']);
  const running = site.run(job, { neighbours });
  while ((await control.faultCounters())[0]?.hits !== 1) await admin.call('VM.get_by_name_label', ['db1']);
  expect(await neighbours.storages.run([sr], () => powerState(site, 'db1'))).toBe('Running');
  await control.advanceClock(3_600_000);
  expect((await running).report.ok).toBe(true);
});

test('offline: a mark on a VM that runs is taken off once it is clear that it stays up', async () => {
  await using site = await Site.start();
  const job = await site.job({ snapshot: { ...snapshot, mode: 'offline' } });
  const source = await site.connect('source');
  const ref = await vmRef(site, 'db1');
  const uuid = await site.source.control.vmUuid('db1');
  for (const [key, value] of Object.entries(
    encode.shutdown({ v: 1, self: uuid, job: job.jobId, run: 'dead' }),
  ))
    await source.call('VM.add_to_other_config', [ref, key, value]);
  const { report } = await site.run({ ...job, snapshot }, { context: { clock: quickClock } });
  expect(report.ok).toBe(true);
  expect(report.vms[0]?.warnings).toEqual([
    'an earlier run had told the VM to shut down for its snapshot: watching whether it goes down',
  ]);
  expect((await site.source.control.counters()).calls['VM.start']).toBeUndefined();
  expect([await powerState(site, 'db1'), await keysOn(site, 'db1')]).toEqual(['Running', []]);
});

test.each([
  ['memory', 'its memory cannot be carried'],
  ['quiesce', 'the pool offers no quiesced snapshot of it'],
] as const)('%s: refused with the reason where it is not possible', async (mode, reason) => {
  await using site = await Site.start();
  const { report } = await site.run(await site.job({ snapshot: { ...snapshot, mode } }));
  expect(report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
  expect(JSON.stringify(report.vms[0]?.outcome)).toContain(reason);
});

describe('a group', () => {
  const [sourcePool, targetPool] = defaultSpec.pools;
  const [db1] = sourcePool?.vms ?? [];
  if (sourcePool === undefined || targetPool === undefined || db1 === undefined) throw new Error('no spec');
  const web1 = { ...db1, name: 'web1', vifs: [] };
  const spec = { ...defaultSpec, pools: [{ ...sourcePool, vms: [db1, web1] }, targetPool] };

  test('gets its snapshots together, though one VM is copied at a time', async () => {
    await using site = await Site.start(spec);
    const job = await site.job({ concurrency: 1, snapshot: { ...snapshot, groupSkewMs: 600_000 } });
    const { report, events } = await site.run(job);
    expect(report.ok).toBe(true);
    const order = events.flatMap((event) =>
      event.kind === 'step-finished' && event.step === 'snapshot-source'
        ? ['snapshot']
        : event.kind === 'disk-opened'
          ? ['copy']
          : [],
    );
    expect(order.slice(0, 2)).toEqual(['snapshot', 'snapshot']);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('offline: all its VMs are down before the first snapshot of them', async () => {
    const running = [db1, web1].map((vm) => ({ ...vm, running: true }));
    await using site = await Site.start({ ...spec, pools: [{ ...sourcePool, vms: running }, targetPool] });
    const job = await site.job({ snapshot: { mode: 'offline', groupSkewMs: 600_000 } });
    const calls: string[] = [];
    const wanted = ['Async.VM.clean_shutdown', 'VM.snapshot', 'Async.VM.start'];
    const onCall = (method: string): void => {
      if (wanted.includes(method)) calls.push(method);
    };
    const { report } = await site.run(job, { connect: { onCall } });
    expect(report.ok).toBe(true);
    expect(calls.slice(0, 3)).toEqual([wanted[0], wanted[0], wanted[1]]);
    expect(calls.filter((method) => method === 'Async.VM.start')).toHaveLength(2);
    expect(await leftovers(site)).toEqual([]);
  });

  test('is all or nothing: a member that cannot be snapshotted ends it for the other, with nothing left', async () => {
    await using site = await Site.start(spec);
    const job = await site.job({ snapshot: { ...snapshot, groupSkewMs: 600_000 } });
    const effect = { kind: 'error', code: 'SR_FULL', params: ['1', '2'] } as const;
    const object = await site.source.control.vmUuid('web1');
    await site.source.control.addFault({ match: { method: 'VM.snapshot', object }, max: 9, effect });
    const { report } = await site.run(job);
    const codes = report.vms.map(({ outcome }) => ('error' in outcome ? outcome.error.code : outcome.kind));
    expect(codes.sort()).toEqual(['SR_FULL', 'group-incomplete']);
    expect(await leftovers(site)).toEqual([]);
  });

  test('says of a member whose snapshot fails what it failed with, though it was tried again', async () => {
    await using site = await Site.start(spec);
    const job = await site.job({ snapshot: { ...snapshot, groupSkewMs: 600_000 } });
    const effect = { kind: 'error', code: 'SR_BACKEND_FAILURE_47', params: ['', 'SR busy', ''] } as const;
    await site.source.control.addFault({ match: { method: 'VM.snapshot' }, effect });
    const { report } = await site.run(job, { context: { clock: quickClock } });
    const codes = report.vms.map(({ outcome }) => ('error' in outcome ? outcome.error.code : outcome.kind));
    expect(codes.sort()).toEqual(['SR_BACKEND_FAILURE_47', 'group-incomplete']);
    expect(await leftovers(site)).toEqual([]);
  });

  test('outlives a broken upload: the VM goes on with the snapshot that it has', async () => {
    await using site = await Site.start(spec);
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 3 }]);
    const job = await site.job({ snapshot: { ...snapshot, groupSkewMs: 600_000 } });
    const effect = { kind: 'cut', afterBytes: mib } as const;
    await site.target.control.addFault({ match: { transfer: 'import' }, effect });
    const { report } = await site.run(job, { context: { clock: quickClock } });
    expect(report.ok).toBe(true);
    expect(report.vms.map(({ attempts }) => attempts).sort()).toEqual([1, 2]);
    expect((await site.source.control.counters()).calls['VM.snapshot']).toBe(2);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('falls back from NBD to export as any VM does', async () => {
    await using site = await Site.start(nbdSpec());
    const job = await site.job({ ...tracked(), snapshot: { ...snapshot, groupSkewMs: 600_000 } });
    await site.run(job);
    for (const device of [0, 1])
      await guestWrites(site.source.control, 'db1', device, [{ atBytes: mib, lengthBytes: 4096, fill: 4 }]);
    const effect = { kind: 'cut', afterBytes: 100 } as const;
    await site.source.control.addFault({ match: { transfer: 'nbd' }, max: 99, effect });
    const { report } = await site.run(job, { context: { clock: quickClock } });
    expect(report.ok).toBe(true);
    expect(methods(report)).toEqual(['0 delta export', '1 delta export']);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('leaves no snapshot where the copy fails for good', async () => {
    await using site = await Site.start(spec);
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 3 }]);
    const job = await site.job({ snapshot: { ...snapshot, groupSkewMs: 600_000 } });
    const effect = { kind: 'cut', afterBytes: mib } as const;
    await site.target.control.addFault({ match: { transfer: 'import' }, max: 99, effect });
    const { report } = await site.run(job, { context: { clock: quickClock } });
    const [first] = report.vms.filter(({ outcome }) => outcome.kind === 'failed');
    expect(first?.attempts).toBe(3);
    expect(await leftovers(site)).toEqual([]);
  });

  test('leaves no snapshot where the run is stopped before it tries again', async () => {
    await using site = await Site.start(spec);
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 3 }]);
    const job = await site.job({ snapshot: { ...snapshot, groupSkewMs: 600_000 } });
    await site.target.control.addFault({
      match: { transfer: 'import' },
      effect: { kind: 'cut', afterBytes: mib },
    });
    const stop = new AbortController();
    let retryInMs: number | null = null;
    const emit = (event: RunEvent): void => {
      if (event.kind === 'attempt-failed') retryInMs = event.retryInMs;
    };
    const clock: Clock = {
      ...quickClock,
      sleep: (ms, signal) => {
        if (ms === retryInMs) stop.abort(new Error('Ctrl-C'));
        return quickClock.sleep(ms, signal);
      },
    };
    await site.run(job, { context: { clock, signal: stop.signal, emit } });
    expect(stop.signal.aborted).toBe(true);
    expect(await leftovers(site)).toEqual([]);
  });
});
