import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectSimulator, type FaultEffect } from '../../lib/simulator';
import { describeWithTool } from '../foreign-tools';
import { PoolUnderTest } from './pool-under-test';

let pool: PoolUnderTest;
beforeAll(async () => {
  pool = await PoolUnderTest.start({
    vms: [{ name: 'guest', disks: [{ device: 0, sizeBytes: 8 * 1024 ** 2, sr: 'storage' }], running: true }],
  });
});
afterEach(() => pool.pool.control.clearFaults());
afterAll(() => pool.close());

describe('faults', () => {
  it('fails the calls that a rule names, after those it lets pass, as often as it says', async () => {
    const id = await pool.pool.control.addFault({
      match: { method: 'VM.create' },
      skip: 1,
      max: 2,
      effect: { kind: 'error', code: 'HOST_OFFLINE', params: ['host'] },
    });
    await pool.createVm();
    for (let hit = 0; hit < 2; hit++) await expect(pool.createVm()).rejects.toThrow('HOST_OFFLINE host');
    await pool.createVm();
    const [counter] = await pool.pool.control.faultCounters();
    expect(counter).toMatchObject({ id, seen: 4, hits: 2 });
  });

  it('finds an object by uuid, ref or name, and background calls too', async () => {
    const vm = await pool.createVm({ name_label: 'target' });
    for (const object of [vm, await pool.ref('VM.get_uuid', vm), 'target']) {
      await pool.pool.control.addFault({
        match: { method: 'VM.snapshot', object },
        effect: { kind: 'error', code: 'X' },
      });
      const task = await pool.ref('Async.VM.snapshot', vm, 's');
      while ((await pool.call('task.get_status', task)) === 'pending') await pool.call('VM.get_all');
      expect(await pool.call('task.get_error_info', task)).toEqual(['X']);
    }
    const other = await pool.createVm({ name_label: 'other' });
    await pool.pool.control.addFault({
      match: { method: 'VM.snapshot', object: 'target' },
      effect: { kind: 'error', code: 'X' },
    });
    expect(await pool.ref('VM.snapshot', other, 's')).toContain('OpaqueRef:');
  });

  it('carries a call out and then says that it failed, or says nothing', async () => {
    const count = async (): Promise<number> => ((await pool.call('VM.get_all')) as string[]).length;
    const before = await count();
    const effects: FaultEffect[] = [
      { kind: 'error', code: 'INTERNAL_ERROR' },
      { kind: 'cut', afterBytes: 0 },
    ];
    for (const effect of effects) {
      await pool.pool.control.addFault({ match: { method: 'VM.create' }, effect: { kind: 'after', effect } });
      await expect(pool.createVm()).rejects.toThrow();
    }
    expect(await count()).toBe(before + 2);
  });

  it('delays by the clock of the pool', async () => {
    await pool.pool.control.addFault({
      match: { method: 'VM.get_all' },
      effect: { kind: 'delay', ms: 3_600_000 },
    });
    const slow = pool.call('VM.get_all');
    await pool.call('VM.get_all');
    await pool.pool.control.advanceClock(3_600_000);
    expect(await slow).toEqual(expect.any(Array));
  });

  it('reaches transfers: a failure behind the 200', async () => {
    await pool.pool.control.addFault({ match: { transfer: 'export' }, effect: { kind: 'late-failure' } });
    const task = await pool.ref('task.create', 'export', '');
    const vdi = await pool.createVdi();
    const query = `session_id=${pool.session}&task_id=${task}&vdi=${vdi}&format=vhd`;
    const response = await fetch(`${pool.url}/export_raw_vdi?${query}`, { headers: { connection: 'close' } });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
    expect(await pool.call('task.get_status', task)).toBe('failure');
  });

  it('refuses a rule that matches neither method nor transfer', async () => {
    await expect(pool.pool.control.addFault({ match: {}, effect: { kind: 'hang' } })).rejects.toThrow(
      'must match',
    );
  });
});

describe('control over HTTP', () => {
  it('offers the same verbs as in process', async () => {
    const client = await connectSimulator(pool.simulator.controlUrl);
    expect(client.pools).toMatchObject([{ name: 'test', username: 'root', url: pool.pool.url }]);
    const control = client.control('test');
    const vdi = await control.diskOf(await control.vmUuid('guest'), 0);
    await control.writeDisk(vdi, 512, Buffer.from('written over HTTP'));
    expect(Buffer.from(await control.readDisk(vdi, 512, 17)).toString()).toBe('written over HTTP');
    expect(await control.digestDisk(vdi)).toEqual(await pool.pool.control.digestDisk(vdi));
    const id = await control.addFault({ match: { method: 'VM.start' }, effect: { kind: 'hang' } });
    expect((await pool.pool.control.faultCounters()).map((counter) => counter.id)).toEqual([id]);
    await control.removeFault(id);
    const { VM } = await control.inventory();
    expect(Object.values(VM ?? {}).map((vm) => vm['name_label'])).toContain('guest');
  });

  it('says what is known when a name is not', async () => {
    const client = await connectSimulator(pool.simulator.controlUrl);
    expect(() => client.control('nowhere')).toThrow('there is no pool "nowhere"; known: test');
    await expect(client.control('test').vmUuid('nobody')).rejects.toThrow('has 0 VMs named "nobody"');
    await expect(client.control('test').unplugSr('storage', 'host9')).rejects.toThrow('it has host1');
  });

  it('counts calls and bytes', async () => {
    await pool.pool.control.resetCounters();
    const vdi = await pool.createVdi();
    const query = `session_id=${pool.session}&vdi=${vdi}&format=raw`;
    const exported = await fetch(`${pool.url}/export_raw_vdi?${query}`, { headers: { connection: 'close' } });
    const bytes = (await exported.arrayBuffer()).byteLength;
    expect(await pool.pool.control.counters()).toMatchObject({
      calls: { 'SR.get_all': 1, 'VDI.create': 1 },
      bytesExported: bytes,
      bytesImported: 0,
    });
  });
});

describe('guests', () => {
  it('write to their disks while somebody looks, the same bytes for the same seed', async () => {
    const { control } = pool.pool;
    const vdi = await control.diskOf(await control.vmUuid('guest'), 0);
    const writer = { vdi, writesPerSecond: 1000, seed: 7 };
    const before = (await control.digestDisk(vdi)).sha256;
    const { token } = (await pool.call('event.from', ['vdi'], '', 0.0)) as { token: string };
    const id = await control.startWriter(writer);
    await control.advanceClock(1000);
    await pool.call('event.from', ['vdi'], token, 30.0);
    expect(await control.stopWriter(id)).toBeGreaterThan(0);
    expect((await control.digestDisk(vdi)).sha256).not.toBe(before);
    await expect(control.stopWriter(id)).rejects.toThrow('no guest writer');
  });

  it('fill disks by the gigabyte; what reads the same has the same digest, whatever is allocated', async () => {
    const { control } = pool.pool;
    const [filled, written] = await Promise.all(
      [await pool.createVdi(), await pool.createVdi()].map((ref) => pool.ref('VDI.get_uuid', ref)),
    );
    await control.fillDisk(filled ?? '', 1024 ** 2, 5000, 3);
    expect(await control.digestData(filled ?? '')).not.toEqual(await control.digestData(written ?? ''));
    const content = await control.readDisk(filled ?? '', 1024 ** 2, 5000);
    await control.writeDisk(written ?? '', 1024 ** 2, content);
    await control.writeDisk(written ?? '', 2 * 1024 ** 2, new Uint8Array(512));
    expect(await control.digestData(filled ?? '')).toEqual(await control.digestData(written ?? ''));
    expect(new Set(content).size).toBeGreaterThan(250);
  });

  describeWithTool('mkfs.ext4', () => {
    it('write and read files of their ext4 file system', async () => {
      const { control } = pool.pool;
      const folder = mkdtempSync(join(tmpdir(), 'xenrepl-test-'));
      try {
        const image = join(folder, 'ext4');
        writeFileSync(image, '');
        truncateSync(image, 16 * 1024 ** 2);
        execFileSync('mkfs.ext4', ['-q', '-F', image]);
        const disk = { device: 0, sizeBytes: 16 * 1024 ** 2, sr: 'storage', contentFile: image };
        const guest = await PoolUnderTest.start({
          name: 'ext4',
          vms: [{ name: 'guest', running: true, disks: [disk] }],
        });
        try {
          const files = guest.pool.control;
          const vdi = await files.diskOf(await files.vmUuid('guest'), 0);
          await files.writeGuestFile(vdi, '/srv/note.txt', Buffer.from('first'));
          await files.writeGuestFile(vdi, '/srv/note.txt', Buffer.from('second'));
          expect(Buffer.from(await files.readGuestFile(vdi, '/srv/note.txt')).toString()).toBe('second');
          await expect(files.readGuestFile(vdi, '/nothing')).rejects.toThrow('has no file /nothing');
        } finally {
          await guest.close();
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
      await expect(
        control.writeGuestFile(
          await control.diskOf(await control.vmUuid('guest'), 0),
          '/a',
          Buffer.from('a'),
        ),
      ).rejects.toThrow('/a could not be written');
    });
  });
});
