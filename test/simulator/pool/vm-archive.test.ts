import { connect } from 'node:net';
import { MIB, NULL, PoolUnderTest, smallPool, text, type Record } from '../pool-under-test';

const disk = { device: 0, sizeBytes: 8 * MIB, sr: 'storage' };
const guest = {
  name: 'guest',
  tags: ['t'],
  disks: [disk, { ...disk, device: 1 }],
  vifs: [{ network: 'network' }],
};

let source: PoolUnderTest;
let target: PoolUnderTest;
let vm: string;
let archive: Uint8Array<ArrayBuffer>;
beforeAll(async () => {
  source = await PoolUnderTest.start({ vms: [guest] });
  target = await PoolUnderTest.start({ ...smallPool, name: 'target' });
  const uuid = await source.pool.control.vmUuid('guest');
  vm = await source.ref('VM.get_by_uuid', uuid);
  await source.pool.control.writeDisk(
    await source.pool.control.diskOf(uuid, 1),
    3 * MIB,
    Buffer.from('on disk 1'),
  );
  await source.call('VM.add_to_other_config', vm, 'mark', 'yes');
  await source.call('VM.add_to_blocked_operations', vm, 'start', 'no');
  archive = await exported(vm);
});
afterAll(async () => {
  await source.close();
  await target.close();
});

async function exported(ref: string, path = '/export'): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(`${source.url}${path}?session_id=${source.session}&ref=${ref}`, {
    headers: { connection: 'close' },
  });
  return new Uint8Array(await response.arrayBuffer());
}

/** Uploads an archive; gives the record of the finished task. */
async function imported(
  pool: PoolUnderTest,
  body: Uint8Array<ArrayBuffer>,
  query = '',
  path = '/import',
): Promise<Record> {
  const task = await pool.ref('task.create', 'import', '');
  await upload(pool.url, `${path}?session_id=${pool.session}&task_id=${task}${query}`, body);
  const { token } = (await pool.call('event.from', ['task'], '', 0.0)) as { token: string };
  if ((await pool.call('task.get_status', task)) === 'pending')
    await pool.call('event.from', [`task/${task}`], token, 30.0);
  return pool.record('task', task);
}

/** Sends the body and ends the connection, as a client does that has no more to send. */
function upload(url: string, target: string, body: Uint8Array): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`PUT ${target} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.end(body);
    });
    socket.on('close', () => resolve()).on('error', () => socket.destroy());
    socket.resume();
  });
}

function vmIn(task: Record): string {
  expect(task).toMatchObject({ status: 'success' });
  return /OpaqueRef:[\da-f-]+/.exec(text(task['result']))?.[0] ?? '';
}

describe('archives of VMs', () => {
  it('carry a VM to another pool: settings, keys, disks by position; nothing blocked, MACs its own', async () => {
    const made = vmIn(await imported(target, archive));
    const [before, after] = [await source.record('VM', vm), await target.record('VM', made)];
    expect(after).toMatchObject({
      name_label: 'guest',
      tags: ['t'],
      is_a_template: false,
      blocked_operations: {},
    });
    expect(after['uuid']).not.toBe(before['uuid']);
    expect(after['other_config']).toMatchObject({ mark: 'yes' });
    expect((after['other_config'] as Record)['mac_seed']).not.toBe(
      (before['other_config'] as Record)['mac_seed'],
    );
    const { control } = target.pool;
    const disk1 = await control.diskOf(text(after['uuid']), 1);
    expect(Buffer.from(await control.readDisk(disk1, 3 * MIB, 9)).toString()).toBe('on disk 1');
    const [vif] = after['VIFs'] as string[];
    const networks = (await target.call('network.get_all')) as string[];
    expect(networks).toContain(await target.call('VIF.get_network', text(vif)));
  });

  it('keep uuid and MACs with restore; a VM that has the uuid is in the way unless forced', async () => {
    const made = vmIn(await imported(target, archive, '&restore=true'));
    const [before, after] = [await source.record('VM', vm), await target.record('VM', made)];
    expect(after['uuid']).toBe(before['uuid']);
    const macs = async (pool: PoolUnderTest, record: Record): Promise<unknown> =>
      pool.call('VIF.get_MAC', text((record['VIFs'] as string[])[0]));
    expect(await macs(target, after)).toBe(await macs(source, before));
    const again = await imported(target, archive, '&restore=true');
    expect(again['error_info']).toEqual(['VM_TO_IMPORT_IS_NOT_NEWER_VERSION', made, '0', '0']);
    const forced = vmIn(await imported(target, archive, '&restore=true&force=true'));
    expect((await target.failure('VM.get_uuid', made))[0]).toBe('HANDLE_INVALID');
    expect(await target.call('VM.get_uuid', forced)).toBe(before['uuid']);
  });

  it('make a template of a snapshot that travels alone', async () => {
    const snapshot = await source.ref('VM.snapshot', vm, 'snapshot');
    const made = vmIn(await imported(target, await exported(snapshot)));
    const expected = { name_label: 'snapshot', is_a_template: true, is_a_snapshot: false, snapshot_of: NULL };
    expect(await target.record('VM', made)).toMatchObject(expected);
  });

  it('bring snapshots along as such where only metadata travels, onto disks that are there', async () => {
    const metadata = await exported(vm, '/export_metadata');
    const task = await imported(source, metadata, '', '/import_metadata');
    const made = [...text(task['result']).matchAll(/OpaqueRef:[\da-f-]+/g)].map(([ref]) => ref);
    const records = await Promise.all(made.map((ref) => source.record('VM', ref)));
    const live = records.find((record) => record['is_a_snapshot'] === false);
    const taken = records.filter((record) => record['is_a_snapshot'] === true);
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.map((record) => record['snapshot_of'])).toContain(made[records.indexOf(live ?? {})]);
    expect((live?.['VBDs'] as string[]).length).toBe(2);
    for (const ref of made) await source.call('VM.destroy', ref);
  });

  it('leave nothing behind when they break off', async () => {
    const count = async (): Promise<readonly number[]> => {
      const { VM, VDI, VBD, network } = await target.pool.control.inventory();
      return [VM, VDI, VBD, network].map((objects) => Object.keys(objects ?? {}).length);
    };
    const before = await count();
    const cut = await imported(target, archive.slice(0, archive.length / 2));
    expect(cut).toMatchObject({ status: 'failure', error_info: ['IMPORT_ERROR_PREMATURE_EOF'] });
    expect(await count()).toEqual(before);
    const noArchive = await imported(target, new Uint8Array(1024).fill(65));
    expect(noArchive).toMatchObject({ status: 'failure' });
    expect(await count()).toEqual(before);
  });

  it('are refused while the VM runs', async () => {
    const running = await source.createVm({ name_label: 'running' });
    await source.call('VM.start', running, false, false);
    const answer = Buffer.from(await exported(running)).toString();
    expect(answer).toContain(`VM_BAD_POWER_STATE: [ ${running}; halted, suspended; running ]`);
    await source.call('VM.hard_shutdown', running);
  });
});

describe('copies', () => {
  it('of a disk have its content, also block by block onto another one', async () => {
    const uuid = await source.pool.control.vmUuid('guest');
    const vdi = await source.ref('VDI.get_by_uuid', await source.pool.control.diskOf(uuid, 1));
    const { control } = source.pool;
    const digest = async (ref: string): Promise<string> =>
      (await control.digestDisk(await source.ref('VDI.get_uuid', ref))).sha256;
    const copy = await source.ref('VDI.copy', vdi, await source.only('SR'), NULL, NULL);
    expect(await digest(copy)).toBe(await digest(vdi));
    const base = await source.ref('VDI.snapshot', vdi, {});
    await control.writeDisk(await source.ref('VDI.get_uuid', vdi), 0, Buffer.from('newer'));
    expect(await source.call('VDI.copy', vdi, NULL, base, copy)).toBe(copy);
    expect(await digest(copy)).toBe(await digest(vdi));
  });

  it('of a VM have disks of their own', async () => {
    await source.call('VM.set_blocked_operations', vm, {});
    const copy = await source.ref('VM.copy', vm, 'copy', NULL);
    expect(await source.record('VM', copy)).toMatchObject({ name_label: 'copy', is_a_snapshot: false });
    const copied = await source.pool.control.diskOf(await source.ref('VM.get_uuid', copy), 1);
    const original = await source.pool.control.diskOf(await source.ref('VM.get_uuid', vm), 1);
    expect(await source.pool.control.digestDisk(copied)).toEqual(
      await source.pool.control.digestDisk(original),
    );
    expect(copied).not.toBe(original);
  });
});
