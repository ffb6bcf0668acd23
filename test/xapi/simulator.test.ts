import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool, type DiskExport, type PoolEndpoint, type Ref, type VdiRecord } from '../../lib/xapi';
import { Rpc } from '../../lib/xapi/rpc';
import { Session } from '../../lib/xapi/session';
import { openTransfer } from '../../lib/xapi/transfer-request';
import { Trust } from '../../lib/xapi/trust';
import { startSimulator, type FaultEffect, type SimulatedPool, type Simulator } from '../../lib/simulator';

const MIB = 1024 * 1024;
const DISK_BYTES = 8 * MIB;
/** Footer, header, one free sector, table, then bitmap and data of each block of 2 MiB, footer. */
const VHD_BYTES = 2048 + 512 + 4 * (512 + 2 * MIB) + 512;

/** Against pools that do what real ones do, on hosts of their own with disks of their own. */
describe('a simulated pool', () => {
  let folder: string;
  let simulator: Simulator;
  let simulated: SimulatedPool;
  let pool: Pool;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xenrepl-xapi-'));
    const contentFile = join(folder, 'disk.raw');
    await writeFile(contentFile, Buffer.alloc(DISK_BYTES, 'content of the disk '));
    const disk = { sizeBytes: DISK_BYTES, contentFile };
    const hosts = [{ name: 'first' }, { name: 'second' }];
    simulator = await startSimulator({
      pools: [
        {
          name: 'paris',
          release: '8.3',
          hosts,
          srs: [
            { name: 'shared', type: 'nfs', sizeBytes: 1024 * MIB },
            { name: 'local', type: 'ext', sizeBytes: 1024 * MIB, hosts: ['second'] },
          ],
          networks: [{ name: 'lan' }],
          users: [{ name: 'backup', password: 'secret', role: 'vm-admin' }],
          vms: [
            { name: 'web', disks: [{ ...disk, device: 0, sr: 'shared' }] },
            { name: 'db', disks: [{ ...disk, device: 0, sr: 'local' }] },
          ],
        },
        {
          name: 'old',
          release: '6.5',
          hosts: [{ name: 'only' }],
          srs: [],
          networks: [],
          vms: [{ name: 'a', disks: [] }],
        },
      ],
    });
    simulated = simulator.pool('paris');
  });

  afterAll(async () => {
    await simulator.close();
    await rm(folder, { recursive: true });
  });

  beforeEach(async () => {
    pool = await Pool.connect(endpoint());
    await simulated.control.resetCounters();
  });

  afterEach(async () => {
    await simulated.control.clearFaults();
    await pool.disconnect();
  });

  function endpoint(changes: Partial<PoolEndpoint> = {}, of: SimulatedPool = simulated): PoolEndpoint {
    return {
      name: of.name,
      url: of.url,
      username: of.username,
      password: () => Promise.resolve(of.password),
      tls: { kind: 'fingerprints', sha256: of.hosts.map((host) => host.fingerprint) },
      legacyTls: false,
      ...changes,
    };
  }

  async function diskOf(vm: string): Promise<{ readonly ref: Ref<'VDI'>; readonly record: VdiRecord }> {
    const uuid = await simulated.control.diskOf(await simulated.control.vmUuid(vm), 0);
    const ref = await pool.call('VDI.get_by_uuid', [uuid]);
    return { ref, record: await pool.call('VDI.get_record', [ref]) };
  }

  async function openExport(vm: string, options: { signal?: AbortSignal } = {}): Promise<DiskExport> {
    const { ref, record } = await diskOf(vm);
    return pool.openExport({ vdi: ref, sr: record.SR, label: 'a test' }, options);
  }

  async function drain(download: DiskExport): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for await (const piece of download.body) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  }

  async function leftTasks(): Promise<readonly string[]> {
    return Object.values(await pool.call('task.get_all_records', [])).map((task) => task.name_label);
  }

  async function transferFault(transfer: 'export' | 'import', effect: FaultEffect): Promise<void> {
    await simulated.control.addFault({ match: { transfer }, effect });
  }

  it('gives over XML-RPC what it gives over JSON-RPC', async () => {
    const classes = [
      'VM',
      'VDI',
      'VBD',
      'VIF',
      'SR',
      'PBD',
      'host',
      'pool',
      'network',
      'host_metrics',
    ] as const;
    const read = async (transport: 'json-rpc' | 'xml-rpc'): Promise<Record<string, unknown>> => {
      const rpc = new Rpc({ endpoint: endpoint(), trust: new Trust(endpoint()), transport });
      await rpc.login();
      const session = new Session(rpc, 'paris');
      const records: Record<string, unknown> = {};
      for (const name of classes) records[name] = await session.call(`${name}.get_all_records`, []);
      await session.logout(1000);
      await rpc.close();
      return records;
    };
    const [xml, json] = [await read('xml-rpc'), await read('json-rpc')];
    expect(withoutTypesOfUnusedFields(xml)).toEqual(withoutTypesOfUnusedFields(json));
    for (const answers of [xml, json]) {
      const disks = Object.values(answers['VDI'] as Record<string, VdiRecord>);
      expect(disks.map((record) => typeof record.virtual_size)).toEqual(disks.map(() => 'number'));
    }
  });

  /** Integers that no declared field holds stay text over XML-RPC; heartbeats move on between two reads. */
  function withoutTypesOfUnusedFields(records: Record<string, unknown>): unknown {
    return JSON.parse(
      JSON.stringify(records, (key, value: unknown) =>
        key === 'last_updated' ? null : typeof value === 'number' ? String(value) : value,
      ),
    );
  }

  it('of the oldest release that is taken can be read', async () => {
    // It speaks TLS 1.0 only.
    const old = await Pool.connect(endpoint({ legacyTls: true }, simulator.pool('old')));
    expect(old.apiVersion).toEqual({ major: 2, minor: 3 });
    const [vm] = Object.values(await old.call('VM.get_all_records', [])).filter(
      (record) => record.name_label === 'a',
    );
    expect(typeof vm?.memory_static_max).toBe('number');
    await expect(old.call('VM.get_by_uuid', ['none'])).rejects.toMatchObject({ code: 'UUID_INVALID' });
    await old.disconnect();
  });

  it('is reached through a member', async () => {
    const member = simulated.hosts.find((host) => host.url !== simulated.url);
    const other = await Pool.connect(endpoint({ url: member?.url ?? '' }));
    expect(other.coordinator).toBe(pool.coordinator);
    await other.disconnect();
  });

  it('tells what a user with a role may do', async () => {
    expect(await pool.permissions()).toBe('all');
    const limited = await Pool.connect(endpoint({ username: 'backup' }));
    const permissions = await limited.permissions();
    expect(permissions === 'all' || permissions.has('vm.snapshot')).toBe(true);
    expect(permissions).not.toBe('all');
    await limited.disconnect();
  });

  it('runs operations as tasks and leaves none behind', async () => {
    const vm = await pool.call('VM.get_by_uuid', [await simulated.control.vmUuid('web')]);
    const snapshot = await pool.callTask('VM.snapshot', [vm, 'now']);
    expect((await pool.call('VM.get_record', [snapshot])).is_a_snapshot).toBe(true);
    await pool.callTask('VM.destroy', [snapshot]);
    await expect(pool.callTask('VM.destroy', [snapshot])).rejects.toMatchObject({
      code: 'HANDLE_INVALID',
      method: 'VM.destroy',
    });
    expect(await leftTasks()).toEqual([]);
  });

  it('keeps its own time', async () => {
    const before = await pool.serverTime();
    await simulated.control.advanceClock(3_600_000);
    expect((await pool.serverTime()) - before).toBeGreaterThanOrEqual(3_600_000);
  });

  describe('downloads', () => {
    it('from the coordinator give a whole VHD', async () => {
      const download = await openExport('web');
      const vhd = await drain(download);
      await download.finish();
      expect(vhd.length).toBe(VHD_BYTES);
      expect(vhd.subarray(0, 512)).toEqual(vhd.subarray(-512));
      expect(vhd.subarray(2048 + 512 + 512, 2048 + 512 + 512 + 20).toString()).toBe('content of the disk ');
      expect(await leftTasks()).toEqual([]);
    });

    it('come straight from the member that alone has the storage, proved by the coordinator', async () => {
      const coordinator = simulated.hosts.find((host) => host.url === simulated.url);
      await pool.disconnect();
      pool = await Pool.connect(
        endpoint({ tls: { kind: 'fingerprints', sha256: [coordinator?.fingerprint ?? ''] } }),
      );
      const download = await openExport('db');
      expect((await drain(download)).length).toBe(VHD_BYTES);
      await download.finish();
      expect((await simulated.control.counters()).calls['host.get_server_certificate']).toBe(1);
    });

    it('with a base give only what differs', async () => {
      const { ref, record } = await diskOf('web');
      const base = await pool.call('VDI.clone', [ref, {}]);
      await simulated.control.writeDisk(record.uuid, 2 * MIB, Buffer.from('changed'));
      const download = await pool.openExport({ vdi: ref, sr: record.SR, base, label: 'a test' });
      expect((await drain(download)).length).toBe(VHD_BYTES - 3 * (512 + 2 * MIB));
      await download.finish();
    });

    it.each<FaultEffect>([
      { kind: 'cut', afterBytes: 3 * MIB },
      { kind: 'error-page', afterBytes: 3 * MIB },
      { kind: 'late-failure' },
    ])('that fail as %j are never taken for good ones', async (effect) => {
      await transferFault('export', effect);
      const download = await openExport('web');
      const failed = drain(download).then(() => download.finish());
      await expect(failed).rejects.toMatchObject({ code: 'VDI_IO_ERROR', retry: 'later' });
      await download.abort();
      expect(await leftTasks()).toEqual([]);
    });

    it('that stall end with their signal', async () => {
      await transferFault('export', { kind: 'stall', afterBytes: 3 * MIB });
      const controller = new AbortController();
      const download = await openExport('web', { signal: controller.signal });
      let bytes = 0;
      const reading = (async () => {
        for await (const piece of download.body) {
          bytes += piece.length;
          if (bytes >= 2 * MIB) controller.abort();
        }
      })();
      await expect(reading).rejects.toMatchObject({ kind: 'aborted' });
      await download.abort();
      expect(await leftTasks()).toEqual([]);
    });

    it('sent to a host without the storage follow its redirect', async () => {
      const { ref } = await diskOf('db');
      const trust = new Trust(endpoint());
      const task = await pool.call('task.create', ['redirected', '']);
      const coordinator = new URL(simulated.url);
      const address = { hostname: coordinator.hostname, port: Number(coordinator.port) };
      const hosts = Object.entries(await pool.call('host.get_all_records', [])).map(([host, record]) => ({
        ref: host as Ref<'host'>,
        name: record.name_label,
        address: record.address,
        isCoordinator: host === pool.coordinator,
        plugged: true,
        enabled: true,
        live: true,
      }));
      const host = hosts.find((candidate) => candidate.isCoordinator);
      if (host === undefined) throw new Error('no coordinator');
      const opened = await openTransfer({
        target: { method: 'GET', path: '/export_raw_vdi', query: { format: 'vhd', vdi: ref } },
        credentials: { session_id: pool.sessionRef, task_id: task },
        host,
        hosts,
        coordinator: address,
        dial: { poolName: 'paris', trust, secure: true },
        receivedBy: 'this-thread',
        headTimeoutMs: 10_000,
      });
      expect(opened.head?.status).toBe(200);
      expect(`https://${opened.server}`).toBe(
        simulated.hosts.find((candidate) => candidate.name === 'second')?.url,
      );
      opened.wire.destroy();
      await pool.call('task.destroy', [task]);
    });
  });

  describe('uploads', () => {
    it('write at any offset and nothing else, and leave neither task nor attachment', async () => {
      const { ref, record } = await diskOf('db');
      const upload = await pool.openImport({ vdi: ref, sr: record.SR, label: 'a test' });
      const frame = Buffer.alloc(64 * 1024, 'new ');
      for (const offset of [6 * MIB, 0]) await upload.write(offset, frame);
      await upload.finish();
      const read = async (offset: number): Promise<string> =>
        Buffer.from(await simulated.control.readDisk(record.uuid, offset, 8)).toString();
      expect(await Promise.all([read(0), read(64 * 1024 - 8), read(6 * MIB)])).toEqual(
        Array(3).fill('new new '),
      );
      expect(await read(6 * MIB + 64 * 1024)).not.toBe('new new ');
      expect(await leftTasks()).toEqual([]);
      expect((await pool.call('VDI.get_record', [ref])).VBDs).toHaveLength(1);
    });

    it.each<FaultEffect>([
      { kind: 'cut', afterBytes: 3 * MIB },
      { kind: 'late-failure' },
      { kind: 'error-page', afterBytes: 3 * MIB },
    ])('that fail as %j never count', async (effect) => {
      const { ref, record } = await diskOf('web');
      await transferFault('import', effect);
      const upload = await pool.openImport({ vdi: ref, sr: record.SR, label: 'a test' });
      const failed = (async () => {
        for (let offset = 0; offset < DISK_BYTES; offset += MIB)
          await upload.write(offset, Buffer.alloc(MIB, 'x'));
        await upload.finish();
      })();
      await expect(failed).rejects.toMatchObject({ code: 'VDI_IO_ERROR', retry: 'later' });
      await upload.abort();
      expect(await leftTasks()).toEqual([]);
    });

    it('beyond the end of the disk fail with the reason of the task', async () => {
      const { ref, record } = await diskOf('web');
      const upload = await pool.openImport({ vdi: ref, sr: record.SR, label: 'a test' });
      const failed = upload.write(DISK_BYTES, Buffer.alloc(MIB)).then(() => upload.finish());
      await expect(failed).rejects.toMatchObject({ code: 'VDI_IO_ERROR' });
      await upload.abort();
    });

    it('that are aborted leave nothing behind', async () => {
      const { ref, record } = await diskOf('web');
      const upload = await pool.openImport({ vdi: ref, sr: record.SR, label: 'a test' });
      await upload.write(0, Buffer.alloc(MIB, 'x'));
      await upload.abort();
      expect(await leftTasks()).toEqual([]);
    });
  });

  describe('when things go wrong around a call', () => {
    it('a change that was made although its answer was lost has an unknown outcome', async () => {
      const effect: FaultEffect = { kind: 'after', effect: { kind: 'cut', afterBytes: 0 } };
      await simulated.control.addFault({ match: { method: 'pool.add_to_other_config' }, effect });
      const failed = pool.call('pool.add_to_other_config', [pool.ref, 'a test', 'value']);
      await expect(failed).rejects.toMatchObject({ kind: 'connection', retry: 'later' });
      await expect(failed).rejects.toThrow('look at the pool again before repeating it');
      expect((await pool.call('pool.get_other_config', [pool.ref]))['a test']).toBe('value');
    });

    it('a session that expired is renewed for the next read', async () => {
      await simulated.control.advanceClock(25 * 3_600_000);
      expect((await pool.call('pool.get_record', [pool.ref])).uuid).toBe(pool.uuid);
    });

    it('a restart of the toolstack is survived by reads', async () => {
      await simulated.control.restartCoordinator();
      expect((await pool.call('pool.get_record', [pool.ref])).uuid).toBe(pool.uuid);
    });

    it('an upload whose task does not survive a restart of the toolstack does not count', async () => {
      const { ref, record } = await diskOf('web');
      const upload = await pool.openImport({ vdi: ref, sr: record.SR, label: 'a test' });
      await upload.write(0, Buffer.alloc(MIB, 'x'));
      await simulated.control.restartCoordinator();
      await expect(upload.finish()).rejects.toMatchObject({ retry: 'later' });
      await upload.abort();
    });

    it('a coordinator that moved is found again', async () => {
      await simulated.control.moveCoordinator('second');
      expect((await pool.call('pool.get_record', [pool.ref])).uuid).toBe(pool.uuid);
      const download = await openExport('db');
      expect((await drain(download)).length).toBe(VHD_BYTES);
      await download.finish();
      await simulated.control.moveCoordinator('first');
    });
  });
});
