import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator, type PoolSpec } from '../../lib/simulator';
import { MIB, PoolUnderTest, smallPool, text, type Record } from './pool-under-test';

const guest: PoolSpec['vms'] = [
  { name: 'guest', running: true, disks: [{ device: 0, sizeBytes: 8 * MIB, sr: 'storage' }] },
];

describe('state folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'xenrepl-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('keeps objects, disks, certificates and addresses over a restart; sessions and tasks go', async () => {
    const first = await PoolUnderTest.start({ vms: guest }, { stateDir: folder });
    const { url, hosts, control } = first.pool;
    const vm = await control.vmUuid('guest');
    const disk = await control.diskOf(vm, 0);
    await control.writeDisk(disk, MIB, Buffer.from('kept'));
    const ref = await first.ref('VM.get_by_uuid', vm);
    const snapshot = await first.ref('VM.snapshot', ref, 'snapshot');
    await first.call('VM.add_to_other_config', ref, 'key', 'value');
    await first.close();

    const second = await PoolUnderTest.start({ vms: [] }, { stateDir: folder });
    try {
      expect(second.pool.url).toBe(url);
      expect(second.pool.hosts[0]?.fingerprint).toBe(hosts[0]?.fingerprint);
      expect(await second.record('VM', ref)).toMatchObject({
        uuid: vm,
        power_state: 'Running',
        snapshots: [snapshot],
      });
      expect((await second.call('VM.get_other_config', ref)) as Record).toMatchObject({ key: 'value' });
      expect(Buffer.from(await second.pool.control.readDisk(disk, MIB, 4)).toString()).toBe('kept');
      await expect(second.raw('VM.get_all', [first.session])).rejects.toThrow('SESSION_INVALID');
      const made = await second.createVm();
      expect([ref, snapshot]).not.toContain(made);
      expect(await second.call('VDI.clone', await second.ref('VDI.get_by_uuid', disk), {})).toContain(
        'OpaqueRef:',
      );
    } finally {
      await second.close();
    }
  });

  it('is for its owner alone: the keys of the hosts are in it', async () => {
    const pool = await PoolUnderTest.start({}, { stateDir: folder });
    await pool.close();
    expect(statSync(join(folder, 'test', 'pool.json')).mode & 0o077).toBe(0);
  });
});

describe('start', () => {
  it('gives the same uuids and refs for the same seed, others for another one', async () => {
    const refsOf = async (seed: number): Promise<readonly string[]> => {
      const simulator = await startSimulator({ seed, pools: [{ ...smallPool, vms: guest }] });
      const { VM, VDI } = await simulator.pool('test').control.inventory();
      await simulator.close();
      return [
        ...Object.keys(VM ?? {}),
        ...Object.values(VDI ?? {}).map((vdi) => text(vdi['uuid'] as string)),
      ];
    };
    const first = await refsOf(1);
    expect(await refsOf(1)).toEqual(first);
    expect(await refsOf(2)).not.toEqual(first);
  });

  it('names what is wrong with a spec', async () => {
    const misspelt = { ...smallPool, networkz: [] };
    await expect(startSimulator({ pools: [misspelt] })).rejects.toThrow('networkz');
    const unknownSr = {
      ...smallPool,
      vms: [{ name: 'vm', disks: [{ device: 0, sizeBytes: MIB, sr: 'nowhere' }] }],
    };
    await expect(startSimulator({ pools: [unknownSr] })).rejects.toThrow(
      'has no SR named "nowhere"; it has "storage"',
    );
    await expect(startSimulator({ pools: [smallPool, smallPool] })).rejects.toThrow('two pools');
  });
});
