import { keepLatest } from '../../../lib/planner/job';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ref } from '../../../lib/xapi';
import { compareNewest, disksOf, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';
import { attach, carried, carry, makeDisk, seedJobOf, takeSnapshot, unknownJob } from './carried';
import type { Carried } from './carried';
import { exported, Folder, imported } from './carried-files';
import { configsOf, leftUnchanged } from './states';

const mib = 1024 ** 2;

describe('a seed that was carried by hand', () => {
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

  describe('attached', () => {
    test('makes the next run a delta into the carried VM, equal byte for byte', async () => {
      const job = await site.job({ initialCopy: 'seed' });
      const seed = await carried(site);
      expect((await site.run(job)).report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
      await attach(site, seed, seedJobOf(job));
      await guestWrites(site.source.control, 'db1', 1, [{ atBytes: 8 * mib, lengthBytes: 100, fill: 0x33 }]);

      const { report } = await site.run(job);

      expect(report.vms[0]?.outcome).toMatchObject({
        kind: 'replicated',
        copyKind: 'delta',
        replica: { uuid: seed.vm },
      });
      expect(report.vms[0]?.disks.map(({ device, changedBytes }) => [device, changedBytes])).toEqual([
        ['0', 0],
        ['1', 2 * mib],
      ]);
      for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
      expect(await leftovers(site)).toEqual([]);
    });

    describe('keeps its source snapshot', () => {
      /** One run that fails at its end, then one that does not. */
      async function keptAfterRuns(seed: Carried): Promise<readonly boolean[]> {
        const job = await site.job({ retention: keepLatest(1) });
        await attach(site, seed, seedJobOf(job));
        await site.target.control.addFault({
          match: { method: 'VM.snapshot' },
          effect: { kind: 'error', code: 'SR_BACKEND_FAILURE_44' },
          max: 9,
        });
        await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 512, fill: 0x44 }]);
        expect((await site.run(job)).report.ok).toBe(false);
        const beforeNewer = await configsOf(site, 'source', seed.snapshot);
        await site.target.control.clearFaults();
        expect((await site.run(job)).report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
        // Another one, so that it is not the newest but one either.
        expect((await site.run(job)).report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
        return [beforeNewer !== null, (await configsOf(site, 'source', seed.snapshot)) !== null];
      }

      test('for good, where a person took it', async () => {
        expect(await keptAfterRuns(await carried(site))).toEqual([true, true]);
        expect(await leftovers(site)).toEqual([]);
      });

      test('until a newer base is committed, where an export took it', async () => {
        using folder = new Folder();
        const { manifest } = (await exported(site, folder.path)).report;
        const { report } = await imported(site, { kind: 'folder', path: folder.path });
        const seed = { snapshot: manifest.snapshot.uuid, vm: report.vm.uuid };
        expect(await keptAfterRuns(seed)).toEqual([true, false]);
        expect(await leftovers(site)).toEqual([]);
      });
    });

    test('bears the keys by which Xen Orchestra goes on in place, and no others', async () => {
      const seed = await carried(site);
      const { report } = await attach(site, seed, unknownJob);

      const recorded = recordedKeys();
      const [snapshot, live, point] = [
        await configsOf(site, 'source', seed.snapshot),
        await configsOf(site, 'target', seed.vm),
        await configsOf(site, 'target', report.recoveryPoint),
      ];
      expect(snapshot?.xoKeys).toEqual(recorded.sourceSnapshot);
      expect(snapshot?.diskXoKeys).toEqual([recorded.sourceDisk, recorded.sourceDisk]);
      expect(point?.xoKeys).toEqual(recorded.point);
      expect(point?.diskXoKeys).toEqual([recorded.pointDisk, recorded.pointDisk]);
      // As after any run of either tool: the only key of the layout that a live replica bears.
      expect(live?.xoKeys).toEqual(['xo:backup:sr']);
      expect(live?.diskXoKeys).toEqual([['xo:backup:sr'], ['xo:backup:sr']]);
    });

    test('pairs each disk with its source by the values of the keys', async () => {
      const seed = await carried(site);
      const { report } = await attach(site, seed, { ...unknownJob, scheduleId: 'evening' });

      const vm = await site.source.control.vmUuid('db1');
      const shared = {
        'xo:backup:job': unknownJob.jobId,
        'xo:backup:schedule': 'evening',
        'xo:backup:vm': vm,
      };
      const snapshot = await configsOf(site, 'source', seed.snapshot);
      const point = await configsOf(site, 'target', report.recoveryPoint);
      const datetime = snapshot?.config['xo:backup:datetime'];
      expect(datetime).toMatch(/^\d{8}T\d\d:\d\d:\d\dZ$/);
      expect(snapshot?.config).toMatchObject({
        ...shared,
        'xo:backup:exported': 'true',
        'xo:backup:deltaChainLength': '0',
      });
      expect(point?.config).toMatchObject({
        ...shared,
        'xo:backup:datetime': datetime,
        'xo:backup:sr': report.srUuid,
        'xo:copy_of': seed.snapshot,
      });
      const sourceDisks = await disksOf(site, 'source', seed.snapshot);
      for (const [device, uuid] of sourceDisks) {
        expect(snapshot?.disks.get(device)).toMatchObject({
          'xo:backup:datetime': datetime,
          'xo:backup:contentKey': uuid,
        });
        expect(point?.disks.get(device)).toMatchObject({
          'xo:backup:datetime': datetime,
          'xo:backup:contentKey': uuid,
          'xo:copy_of': uuid,
        });
      }
    });

    test('refuses to start, bears the tag, and HA does not start it', async () => {
      const seed = await carried(site);
      const target = await site.connect('target');
      const ref = await target.call('VM.get_by_uuid', [seed.vm]);
      await target.call('VM.set_ha_restart_priority', [ref, 'restart']);

      await attach(site, seed, unknownJob);

      const vm = await target.call('VM.get_record', [ref]);
      expect(Object.keys(vm.blocked_operations).sort()).toEqual(['start', 'start_on']);
      expect(vm).toMatchObject({ tags: ['Continuous Replication'], ha_restart_priority: '' });
      await expect(target.call('VM.start', [ref, false, false])).rejects.toMatchObject({
        code: 'OPERATION_BLOCKED',
      });
    });

    test('loses the keys that came along with the archive', async () => {
      const seed = await carried(site, {
        otherConfig: { 'xo:backup:job': 'bronze', 'xenrepl:commit': '{}', mac_seed: 'kept' },
      });
      await attach(site, seed, unknownJob);
      const live = await configsOf(site, 'target', seed.vm);
      expect(Object.keys(live?.config ?? {}).sort()).toEqual(['mac_seed', 'xenrepl:replica', 'xo:backup:sr']);
    });
  });

  describe('is refused, and nothing is changed', () => {
    async function refused(seed: { snapshot: string; vm: string }, said: string): Promise<void> {
      const before = await leftUnchanged(site);
      const job = seedJobOf(await site.job());
      await expect(attach(site, seed, job)).rejects.toMatchObject({
        code: 'seed-refused',
        message: expect.stringContaining(said) as string,
      });
      expect(await leftUnchanged(site)).toEqual(before);
    }

    test('when the snapshot is gone', async () => {
      const vm = await carry(site, await takeSnapshot(site));
      await refused(
        { snapshot: 'f0000000-0000-4000-8000-000000000000', vm },
        'pool "source" has no snapshot f0',
      );
    });

    test('when the target VM is gone', async () => {
      const snapshot = await takeSnapshot(site);
      await refused({ snapshot, vm: 'f0000000-0000-4000-8000-000000000000' }, 'pool "target" has no VM f0');
    });

    test('when the VM itself is named instead of its snapshot', async () => {
      const vm = await carry(site, await takeSnapshot(site));
      await refused({ snapshot: await site.source.control.vmUuid('db1'), vm }, '"db1"');
    });

    test('when a disk is missing, too much, at another position or of another size', async () => {
      const snapshot = await takeSnapshot(site);
      const lacking = await carry(site, snapshot, { without: ['1'] });
      await refused({ snapshot, vm: lacking }, "the snapshot's disk 1");
      const moved = await carry(site, snapshot, { at: { '1': '3' } });
      await refused({ snapshot, vm: moved }, "the target VM's disk 3");
      const grown = await carry(site, snapshot, { sizes: { '1': 66 * mib } });
      await refused({ snapshot, vm: grown }, `disk 1 has ${String(64 * mib)} bytes`);
    });

    test('when the target was started, even if it is halted again', async () => {
      const seed = await carried(site);
      const target = await site.connect('target');
      const ref = await target.call('VM.get_by_uuid', [seed.vm]);
      await target.callTask('VM.start', [ref, false, false]);
      await refused(seed, 'is Running');
      await target.callTask('VM.hard_shutdown', [ref]);
      await refused(seed, 'was started on this pool');
    });

    test('when the target is a template or a snapshot', async () => {
      const seed = await carried(site);
      const target = await site.connect('target');
      const ref = await target.call('VM.get_by_uuid', [seed.vm]);
      const snapshot = await target.callTask('VM.snapshot', [ref, 'of the target']);
      await refused({ ...seed, vm: await target.call('VM.get_uuid', [snapshot]) }, 'is a snapshot');
      await target.call('VM.set_is_a_template', [ref, true]);
      await refused(seed, 'is a template');
    });

    test('when another VM uses one of its disks', async () => {
      const seed = await carried(site);
      const target = await site.connect('target');
      const other = await carry(site, seed.snapshot, { without: ['0', '1'] });
      const otherRef = await target.call('VM.get_by_uuid', [other]);
      const disk = (await disksOf(site, 'target', seed.vm)).get('1') ?? '';
      await target.call('VBD.create', [
        {
          VM: otherRef,
          VDI: await target.call('VDI.get_by_uuid', [disk]),
          userdevice: '0',
          bootable: false,
          mode: 'RO',
          type: 'Disk',
          unpluggable: true,
          empty: false,
          other_config: {},
          qos_algorithm_type: '',
          qos_algorithm_params: {},
        },
      ]);
      await refused(seed, 'is attached to "SEED do not delete"');
    });

    test('when the job does not protect the VM', async () => {
      const seed = await carried(site);
      const job = seedJobOf(await site.job({ selection: { uuids: [], tags: ['others'] } }));
      await expect(attach(site, seed, job)).rejects.toThrow('job "site" does not protect VM "db1"');
    });

    test('when it is attached already, when another is, and when a run made a replica', async () => {
      const job = await site.job();
      const seed = await carried(site);
      await attach(site, seed, seedJobOf(job));
      await refused(seed, 'is attached to job "site" already');
      const second = { snapshot: await takeSnapshot(site), vm: await carry(site, seed.snapshot) };
      await refused(second, 'has a replica of this VM on that SR already');
      await expect(attach(site, seed, { ...unknownJob, jobId: 'silver' })).rejects.toThrow(
        `is the replica of VM ${await site.source.control.vmUuid('db1')} of job ${job.jobId}`,
      );
      await expect(
        attach(site, { ...second, snapshot: seed.snapshot }, { ...unknownJob, jobId: 'silver' }),
      ).rejects.toThrow(`belongs to another job: ${job.jobId}`);
    });

    test('while a run of the job holds the lock', async () => {
      const seed = await carried(site);
      const vm = await site.source.control.vmUuid('db1');
      const target = await site.connect('target');
      await target.call('pool.add_to_other_config', [
        target.ref,
        `xenrepl:lock:${unknownJob.jobId}:${vm}:1`,
        JSON.stringify({
          run: 'other',
          who: 'somebody',
          takenAtMs: await target.serverTime(),
          leaseMs: 120_000,
        }),
      ]);
      await expect(attach(site, seed, unknownJob)).rejects.toMatchObject({ code: 'locked' });
    });
  });

  test('disks on two SRs are refused, by the name of the disk', async () => {
    await using twoSrs = await Site.start(withSecondSr());
    const snapshot = await takeSnapshot(twoSrs);
    const vm = await carry(twoSrs, snapshot, { without: ['1'] });
    const target = await twoSrs.connect('target');
    const [other] = await target.call('SR.get_by_name_label', ['other-sr']);
    if (other === undefined) throw new Error('no second SR');
    await makeDisk(target, other, await target.call('VM.get_by_uuid', [vm]), '1', 64 * mib);
    await expect(attach(twoSrs, { snapshot, vm }, unknownJob)).rejects.toThrow(
      /disk 1, "carried 1" .* is on SR "other-sr"/,
    );
  });

  test('a snapshot taken after a disk was detached has no partner for it any more', async () => {
    const source = await site.connect('source');
    const seed = await carried(site);
    const ref = await source.call('VM.get_by_uuid', [seed.snapshot]);
    const { VBDs } = await source.call('VM.get_record', [ref]);
    await source.call('VBD.destroy', [VBDs[0] as Ref<'VBD'>]);
    await expect(attach(site, seed, unknownJob)).rejects.toThrow("the target VM's disk");
  });
});

function withSecondSr(): Parameters<typeof Site.start>[0] {
  const disk = (device: number, sizeBytes: number): { device: number; sizeBytes: number; sr: string } => ({
    device,
    sizeBytes,
    sr: 'source-sr',
  });
  const sr = (name: string): { name: string; type: 'ext'; sizeBytes: number } => ({
    name,
    type: 'ext',
    sizeBytes: 1024 * mib,
  });
  return {
    pools: [
      {
        name: 'source',
        hosts: [{ name: 'source-1' }],
        srs: [sr('source-sr')],
        networks: [],
        vms: [{ name: 'db1', disks: [disk(0, 32 * mib), disk(1, 64 * mib)] }],
      },
      {
        name: 'target',
        hosts: [{ name: 'target-1' }],
        srs: [sr('target-sr'), sr('other-sr')],
        networks: [],
        vms: [],
      },
    ],
  };
}

/** The keys found in pools where a seed was written by hand and Xen Orchestra then went on with a delta in place. */
function recordedKeys(): Record<'sourceSnapshot' | 'sourceDisk' | 'point' | 'pointDisk', readonly string[]> {
  interface Recorded {
    readonly is_a_snapshot: boolean;
    readonly other_config: Readonly<Record<string, string>>;
  }
  type Side = Record<'VM' | 'VDI', Record<string, Recorded>>;
  const path = join(__dirname, '..', '..', 'vectors', 'xo-chains', 'after-variant-c.json');
  const { source, target } = JSON.parse(readFileSync(path, 'utf8')) as Record<'source' | 'target', Side>;
  const keysIn = (records: Record<string, Recorded>): readonly string[] => {
    const found = Object.values(records).find(({ is_a_snapshot: is }) => is);
    return Object.keys(found?.other_config ?? {})
      .filter((key) => key.startsWith('xo:'))
      .sort();
  };
  return {
    sourceSnapshot: keysIn(source.VM),
    sourceDisk: keysIn(source.VDI),
    point: keysIn(target.VM),
    pointDisk: keysIn(target.VDI),
  };
}
