import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeWithPythonModule, describeWithTool, systemPython } from '../foreign-tools';
import { MIB, PoolUnderTest } from './pool-under-test';

/** What is used here of the npm package, whose own types know less. */
interface XenApiObject {
  readonly $ref: string;
  readonly $id: string;
  readonly name_label?: string;
  readonly power_state?: string;
  readonly VDI?: string;
  readonly $VBDs?: readonly XenApiObject[];
  readonly $snapshot_of?: XenApiObject;
}
interface XenApi {
  readonly objects: { readonly all: Readonly<Record<string, XenApiObject>> };
  readonly objectsFetched: Promise<void>;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  callAsync(method: string, ...parameters: readonly string[]): Promise<string>;
  barrier(ref: string): Promise<XenApiObject>;
  getResource(path: string, options: object): Promise<{ body: { arrayBuffer(): Promise<ArrayBuffer> } }>;
  getField(className: string, ref: string, field: string): Promise<unknown>;
  setField(className: string, ref: string, field: string, value: unknown): Promise<void>;
  setFieldEntry(className: string, ref: string, field: string, key: string, value: string): Promise<void>;
}
const { createClient } = jest.requireActual<{ readonly createClient: (options: object) => XenApi }>(
  'xen-api',
);

const run = promisify(execFile);

let pool: PoolUnderTest;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xenrepl-test-'));
  pool = await PoolUnderTest.start({
    hosts: [{ name: 'host1' }, { name: 'host2' }],
    vms: [{ name: 'guest', running: true, disks: [{ device: 0, sizeBytes: 8 * MIB, sr: 'storage' }] }],
  });
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true });
});

async function python3(program: string): Promise<string> {
  return (await run(systemPython, ['-c', program, pool.url])).stdout;
}

describe('npm xen-api', () => {
  /** Connects to the member of the pool: the client has to find the coordinator by itself. */
  it('finds the coordinator, mirrors all objects, calls in the background, moves disks', async () => {
    const xapi = createClient({
      url: pool.pool.hosts[1]?.url ?? '',
      auth: { user: 'root', password: 'secret' },
      allowUnauthorized: true,
    });
    await xapi.connect();
    try {
      await xapi.objectsFetched;
      const vm = Object.values(xapi.objects.all).find((object) => object.name_label === 'guest');
      const ref = vm?.$ref ?? '';
      expect(vm?.power_state).toBe('Running');
      const snapshotRef = await xapi.callAsync('VM.snapshot', ref, 'by xen-api');
      const snapshot = await xapi.barrier(snapshotRef);
      expect(snapshot.$snapshot_of?.$id).toBe(vm?.$id);
      const vdi = snapshot.$VBDs?.[0]?.VDI;
      const exported = await xapi.getResource('/export_raw_vdi/', { query: { format: 'vhd', vdi } });
      expect((await exported.body.arrayBuffer()).byteLength).toBeGreaterThan(2048);
      await xapi.setField('VM', ref, 'name_description', 'seen');
      expect(await xapi.getField('VM', ref, 'name_description')).toBe('seen');
      await xapi.setFieldEntry('VM', ref, 'other_config', 'key', 'value');
      expect(await xapi.getField('VM', ref, 'other_config')).toMatchObject({ key: 'value' });
      await xapi.callAsync('VM.destroy', snapshotRef);
    } finally {
      await xapi.disconnect();
    }
  });
});

describeWithTool('curl', () => {
  it('accepts the certificate of the host and logs in over JSON-RPC', async () => {
    const host = await pool.ref('host.get_by_uuid', await firstHostUuid());
    const pem = join(folder, 'host1.pem');
    writeFileSync(pem, await pool.ref('host.get_server_certificate', host));
    const call = { jsonrpc: '2.0', id: 1, method: 'session.login_with_password', params: ['root', 'secret'] };
    const { stdout } = await run('curl', [
      '-sS',
      '--cacert',
      pem,
      '-d',
      JSON.stringify(call),
      `${pool.pool.url}/jsonrpc`,
    ]);
    expect(stdout).toMatch(/^\{"jsonrpc":"2.0","result":"OpaqueRef:[\da-f-]{36}","id":1\}$/);
  });

  it('uploads a disk and downloads it again', async () => {
    const vdi = await pool.createVdi();
    const file = join(folder, 'disk.raw');
    writeFileSync(file, Buffer.alloc(8 * MIB, 'curl was here '));
    const query = `session_id=${pool.session}&vdi=${vdi}&format=raw`;
    await run('curl', ['-sS', '-k', '-T', file, `${pool.pool.url}/import_raw_vdi?${query}`]);
    const uuid = await pool.ref('VDI.get_uuid', vdi);
    const back = Buffer.from(await pool.pool.control.readDisk(uuid, 0, 14)).toString();
    expect(back).toBe('curl was here ');
    const { stdout } = await run('curl', [
      '-sS',
      '-k',
      '-D',
      '-',
      '-o',
      join(folder, 'back'),
      `${pool.pool.url}/export_raw_vdi?${query}`,
    ]);
    expect(stdout).toContain('content-type:application/octet-stream');
  });
});

describeWithPythonModule('xmlrpc.client', () => {
  it('xmlrpc.client sees what the documentation promises', async () => {
    const output = await python3(`
import sys, xmlrpc.client as x
s = x.ServerProxy(sys.argv[1])
session = s.session.login_with_password('root', 'secret', '1.0', 'python')['Value']
vm = s.VM.get_by_name_label(session, 'guest')['Value'][0]
record = s.VM.get_record(session, vm)['Value']
print(record['memory_static_max'], record['is_a_template'], type(record['snapshot_time']).__name__, record['HVM_shadow_multiplier'])
print(s.VM.start(session, vm, False, False)['ErrorDescription'][0])
print(s.session.logout(session))`);
    expect(output.split('\n')).toEqual([
      `${1024 * MIB} False DateTime 1.0`,
      'VM_BAD_POWER_STATE',
      "{'Status': 'Success', 'Value': ''}",
      '',
    ]);
  });
});

describeWithPythonModule('os_xenapi', () => {
  it('XenAPI.py, the SDK that came with the server, works', async () => {
    const output = await python3(`
import sys
from os_xenapi.client import XenAPI
s = XenAPI.Session(sys.argv[1])
s.xenapi.login_with_password('root', 'secret', '1.0', 'XenAPI.py')
vm = s.xenapi.VM.get_by_name_label('guest')[0]
task = s.xenapi.Async.VM.snapshot(vm, 'from python')
while s.xenapi.task.get_status(task) == 'pending': pass
print(s.xenapi.task.get_result(task)[:17])
try: s.xenapi.VM.get_record('OpaqueRef:NULL')
except XenAPI.Failure as failure: print(failure.details)
s.xenapi.session.logout()`);
    expect(output.split('\n')).toEqual([
      '<value>OpaqueRef:',
      "['HANDLE_INVALID', 'VM', 'OpaqueRef:NULL']",
      '',
    ]);
  });
});

async function firstHostUuid(): Promise<string> {
  const { host } = await pool.pool.control.inventory();
  const first = Object.values(host ?? {}).find((record) => record['name_label'] === 'host1');
  return String(first?.['uuid']);
}
