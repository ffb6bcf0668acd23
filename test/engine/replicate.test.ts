import { keepLatest } from '../../lib/planner/job';
import { compareNewest, disksOf, leftovers } from './inspect';
import { guestWrites, Site } from './site';

const mib = 1024 ** 2;

describe('replicating a VM with two disks', () => {
  let site: Site;

  beforeEach(async () => {
    site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 }]);
    await guestWrites(site.source.control, 'db1', 1, [
      { atBytes: 40 * mib + 512, lengthBytes: 4096, fill: 0x22 },
    ]);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  test('the first run is a full, equal byte for byte, and leaves nothing behind', async () => {
    const { report } = await site.run(await site.job());

    expect(report.vms.map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'replicated', copyKind: 'full' },
    ]);
    const disks = await compareNewest(site, report);
    expect(disks).toHaveLength(2);
    for (const { source, target } of disks) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('a full sends what is not zero, and no zeros', async () => {
    const { report } = await site.run(await site.job());

    const sent = report.vms[0]?.disks.map(({ device, sentBytes }) => [device, sentBytes]) ?? [];
    const frame = 12;
    expect(Object.fromEntries(sent)).toEqual({
      '0': 3 * mib + 2 * frame + frame,
      '1': 65_536 + frame + frame,
    });
  });

  test('the second run is a delta of what the guest wrote in between', async () => {
    const job = await site.job();
    await site.run(job);
    await guestWrites(site.source.control, 'db1', 0, [
      { atBytes: 8 * mib, lengthBytes: 100, fill: 0x33 },
      // Zeros over data must arrive as zeros: a staging disk is a clone, nothing may be left out.
      { atBytes: 0, lengthBytes: 1 * mib, fill: 0x00 },
    ]);

    const { report } = await site.run(job);

    expect(report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'delta' });
    expect(report.vms[0]?.disks.map(({ device, changedBytes }) => [device, changedBytes])).toEqual([
      ['0', 4 * mib],
      ['1', 0],
    ]);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('retention keeps the newest recovery points, and one source snapshot', async () => {
    const job = await site.job({ retention: keepLatest(2) });
    for (let round = 1; round <= 4; round += 1) {
      await guestWrites(site.source.control, 'db1', 1, [
        { atBytes: round * mib, lengthBytes: 512, fill: round },
      ]);
      const { report } = await site.run(job);
      expect(report.ok).toBe(true);
    }
    const target = await site.connect('target');
    const source = await site.connect('source');
    const snapshots = async (pool: typeof target): Promise<number> =>
      Object.values(await pool.call('VM.get_all_records', [])).filter((vm) => vm.is_a_snapshot).length;
    expect(await snapshots(target)).toBe(2);
    expect(await snapshots(source)).toBe(1);
    expect(await leftovers(site)).toEqual([]);
  });

  test('the replica refuses to start, keeps its identity from run to run, and a clone of its newest point starts', async () => {
    const job = await site.job();
    const first = (await site.run(job)).report.vms[0]?.outcome;
    const second = (await site.run(job)).report.vms[0]?.outcome;
    if (first?.kind !== 'replicated' || second?.kind !== 'replicated') throw new Error('not replicated');
    expect(second.replica.uuid).toBe(first.replica.uuid);

    const target = await site.connect('target');
    const replica = await target.call('VM.get_by_uuid', [second.replica.uuid]);
    await expect(target.call('VM.start', [replica, false, false])).rejects.toMatchObject({
      code: 'OPERATION_BLOCKED',
    });

    const point = await target.call('VM.get_by_uuid', [second.point.uuid]);
    const clone = await target.callTask('VM.clone', [point, 'recovered']);
    await target.callTask('VM.start', [clone, false, false]);
    expect(await target.call('VM.get_power_state', [clone])).toBe('Running');
  });

  test('settings and network cards are carried over, HA and affinity are not', async () => {
    const { report } = await site.run(await site.job());
    const outcome = report.vms[0]?.outcome;
    if (outcome?.kind !== 'replicated') throw new Error('not replicated');
    const [source, target] = [await site.connect('source'), await site.connect('target')];
    const original = await source.call('VM.get_record', [
      await source.call('VM.get_by_uuid', [await site.source.control.vmUuid('db1')]),
    ]);
    const replica = await target.call('VM.get_record', [
      await target.call('VM.get_by_uuid', [outcome.replica.uuid]),
    ]);

    expect(replica.name_label).toBe('db1');
    expect(replica.memory_static_max).toBe(original.memory_static_max);
    expect(replica.VCPUs_max).toBe(original.VCPUs_max);
    expect(replica.platform).toEqual(original.platform);
    expect([...replica.tags].sort()).toEqual(['Continuous Replication', 'protect']);
    expect(replica.ha_restart_priority).toBe('');
    const [card] = await Promise.all(replica.VIFs.map((vif) => target.call('VIF.get_record', [vif])));
    expect(card?.MAC).toBe('02:00:00:00:00:01');
    expect((await target.call('network.get_record', [card?.network as never])).name_label).toBe('dr-lan');
  });

  test('a replica that somebody wrote to is a conflict, and is overwritten only when told so', async () => {
    const job = await site.job();
    const first = await site.run(job);
    const outcome = first.report.vms[0]?.outcome;
    if (outcome?.kind !== 'replicated') throw new Error('not replicated');
    const disks = await disksOf(site, 'target', outcome.replica.uuid);
    await site.target.control.writeDisk(disks.get('0') ?? '', 4096, Buffer.alloc(512, 0x77));

    const refused = await site.run(job);
    expect(refused.report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
    expect(JSON.stringify(refused.report.vms[0]?.outcome)).toContain(
      'was written to since its newest recovery point',
    );

    const overwritten = await site.run({ ...job, onDivergence: 'overwrite' });
    expect(overwritten.report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'delta' });
    for (const { source, target } of await compareNewest(site, overwritten.report))
      expect(target).toBe(source);
  });

  test('a base that is gone on the source stops the run, and sends everything only when told so', async () => {
    const job = await site.job();
    const { report } = await site.run(job);
    const outcome = report.vms[0]?.outcome;
    if (outcome?.kind !== 'replicated') throw new Error('not replicated');
    const source = await site.connect('source');
    const snapshot = await source.call('VM.get_by_uuid', [outcome.sourceSnapshot.uuid]);
    for (const [, vdi] of await disksOf(site, 'source', outcome.sourceSnapshot.uuid)) {
      await source.call('VDI.destroy', [await source.call('VDI.get_by_uuid', [vdi])]);
    }
    await source.call('VM.destroy', [snapshot]);

    const refused = await site.run(job);
    expect(refused.report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });

    const full = await site.run({ ...job, onMissingBase: 'full' });
    expect(full.report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'full' });
    expect(full.report.vms[0]?.notes.join(' ')).toContain('its source snapshot is gone');
    for (const { source: wanted, target } of await compareNewest(site, full.report))
      expect(target).toBe(wanted);
    expect(await leftovers(site)).toEqual([]);
  });

  test('a disk that was added is copied in full, the others go on with a delta', async () => {
    const job = await site.job();
    await site.run(job);
    const source = await site.connect('source');
    const vm = await source.call('VM.get_by_uuid', [await site.source.control.vmUuid('db1')]);
    const [sr] = await source.call('SR.get_by_name_label', ['source-sr']);
    const vdi = await source.call('VDI.create', [
      {
        name_label: 'added',
        name_description: '',
        SR: sr as never,
        virtual_size: 4 * mib,
        type: 'user',
        sharable: false,
        read_only: false,
        other_config: {},
        xenstore_data: {},
        sm_config: {},
        tags: [],
      },
    ]);
    await source.call('VBD.create', [
      {
        VM: vm,
        VDI: vdi,
        userdevice: '5',
        bootable: false,
        mode: 'RW',
        type: 'Disk',
        unpluggable: true,
        empty: false,
        other_config: {},
        qos_algorithm_type: '',
        qos_algorithm_params: {},
      },
    ]);
    await guestWrites(site.source.control, 'db1', 5, [{ atBytes: 1 * mib, lengthBytes: 4096, fill: 0x55 }]);

    const { report } = await site.run(job);

    expect(report.vms[0]?.disks.map(({ device, copyKind }) => [device, copyKind])).toEqual(
      expect.arrayContaining([
        ['0', 'delta'],
        ['1', 'delta'],
        ['5', 'full'],
      ]),
    );
    for (const { source: wanted, target } of await compareNewest(site, report)) expect(target).toBe(wanted);
  });

  test('segments: a long import is cut, and each piece is confirmed by a task of its own', async () => {
    const { report, events } = await site.run(await site.job(), {
      limits: { bytesMax: 1 * mib, durationMaxMs: 60_000 },
    });
    expect(report.ok).toBe(true);
    expect(events.filter(({ kind }) => kind === 'segment-confirmed').length).toBeGreaterThanOrEqual(3);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  });
});
