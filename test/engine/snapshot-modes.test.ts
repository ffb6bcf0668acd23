/** Snapshots at rest, and of several VMs at one moment. */
import { jobDefaults } from '../../lib/planner/job';
import { encode } from '../../lib/planner/keys';
import { compareNewest, leftovers } from './inspect';
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
});
