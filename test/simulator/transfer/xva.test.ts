import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { deviceOf } from '../../../lib/simulator/transfer/copier';
import { ChunkReader } from '../../../lib/simulator/transfer/import-xva';
import { archiveIds, ovaXml } from '../../../lib/simulator/transfer/ova';
import type { ExportedObject, TransferVdi, VmExport, VmImportOptions } from '../../../lib/simulator/transfer';
import { TarReader } from '../../../lib/simulator/transfer/tar-reader';
import { xxh64 } from '../../../lib/simulator/transfer/xxh64';
import { describeWithTool } from '../../foreign-tools';
import { pattern } from '../storage/open-store';
import { send } from './client';
import type { TestPool } from './transfer-pool';
import { TransferServer } from './transfer-server';

const MIB = 1024 * 1024;
const NULL_REF = 'OpaqueRef:NULL';

function ref(digit: number): string {
  return `OpaqueRef:00000000-0000-4000-8000-00000000000${digit}`;
}

function record(fields: Record<string, string>): string {
  const members = Object.entries(fields).map(
    ([name, value]) => `<member><name>${name}</name><value>${value}</value></member>`,
  );
  return `<value><struct>${members.join('')}</struct></value>`;
}

/** A VM with one disk and one network card, as far as the archive looks at it. */
const OBJECTS: ExportedObject[] = [
  {
    class: 'VM',
    ref: ref(1),
    recordXml: record({ name_label: 'vm', affinity: NULL_REF, metrics: NULL_REF, snapshots: ref(9) }),
  },
  { class: 'VBD', ref: ref(2), recordXml: record({ VM: ref(1), VDI: ref(5) }) },
  { class: 'VIF', ref: ref(3), recordXml: record({ VM: ref(1), network: ref(4) }) },
  { class: 'network', ref: ref(4), recordXml: record({ VIFs: ref(3) }) },
  { class: 'VDI', ref: ref(5), recordXml: record({ SR: ref(6) }) },
  { class: 'SR', ref: ref(6), recordXml: record({ name_label: 'sr' }) },
];

function exported(disk: TransferVdi, pool: TestPool): VmExport {
  return {
    vmRef: ref(1),
    vmUuid: 'vm',
    version: { hostname: 'h', export_vsn: '2' },
    objects: OBJECTS,
    disks: [{ ...disk, ref: ref(5) }],
    end: () => pool.events.push('export ended'),
  };
}

/** A server with a VM whose disk of 8 MiB holds something in its third MiB only. */
async function startWithVm(): Promise<TransferServer> {
  const server = await TransferServer.start();
  const { pool } = server;
  const disk = await pool.addVdi('disk', 8 * MIB);
  await pool.store.write('disk', 2 * MIB, pattern('A', 4096, 8));
  pool.exports.set(ref(1), () => Promise.resolve(exported(disk, pool)));
  return server;
}

/** Lets the pool make one disk, `copy`, for whatever disk the archive names. */
async function expectImport(pool: TestPool, archiveName = 'Ref:4'): Promise<VmImportOptions[]> {
  const copy = await pool.addVdi('copy', 8 * MIB);
  const asked: VmImportOptions[] = [];
  pool.imports = (options) => {
    asked.push(options);
    return Promise.resolve({
      disks: new Map([[archiveName, copy]]),
      vmRefs: [ref(7)],
      commit: () => Promise.resolve(void pool.events.push('committed')),
      rollback: () => Promise.resolve(void pool.events.push('rolled back')),
    });
  };
  return asked;
}

function members(archive: Buffer): string[] {
  return execFileSync('tar', ['tf', '-'], { input: archive, encoding: 'utf8' }).trim().split('\n');
}

describe('the names in an archive', () => {
  it('count VM, cards with their networks, then disks with their SR', () => {
    expect([...archiveIds(OBJECTS)]).toEqual([
      [ref(1), 'Ref:0'],
      [ref(3), 'Ref:1'],
      [ref(4), 'Ref:2'],
      [ref(2), 'Ref:3'],
      [ref(5), 'Ref:4'],
      [ref(6), 'Ref:5'],
    ]);
  });

  it('replace refs to exported objects only; affinity gets one even when it is null', () => {
    const xml = ovaXml({}, OBJECTS);
    expect(xml).toContain('<name>affinity</name><value>Ref:6</value>');
    expect(xml).toContain(`<name>metrics</name><value>${NULL_REF}</value>`);
    expect(xml).toContain(`<name>snapshots</name><value>${ref(9)}</value>`);
    expect(xml).toContain('<name>VDI</name><value>Ref:4</value>');
  });
});

describe('XXH64', () => {
  it.each([
    ['', 'ef46db3751d8e999'],
    ['abc', '44bc2cf5ad770999'],
    ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
  ])('of %j', (text, sum) => {
    expect(xxh64(Buffer.from(text))).toBe(sum);
  });

  it('of a chunk of zeros is what the real server wrote', () => {
    expect(xxh64(Buffer.alloc(MIB)).toUpperCase()).toBe('87D2A1B6E1163EF1');
  });
});

describe('an export', () => {
  it('is a tar that leaves out chunks of zeros but for the first and the last', async () => {
    await using server = await startWithVm();
    const task_id = server.pool.addTask();
    const answer = await send(server, 'GET', '/export', { ref: ref(1), task_id });
    expect(answer.head).toEqual([
      'HTTP/1.0 200 OK',
      'Connection: close',
      'Cache-Control: no-cache, no-store',
      `task-id: ${task_id}`,
      'Server: xapi/0.0',
      'content-type: application/octet-stream',
      'Content-Disposition: attachment; filename="export.xva"',
    ]);
    expect(members(answer.body)).toEqual([
      'ova.xml',
      ...[0, 2, 7].flatMap((number) => [`Ref:4/0000000${number}`, `Ref:4/0000000${number}.xxhash`]),
    ]);
    expect(server.pool.task(task_id)).toMatchObject({ status: 'success', result: '' });
    expect(server.pool.attached).toEqual([]);
    expect(server.pool.events).toContain('export ended');
  });

  it('has SHA-1 sums on releases before 8.3', async () => {
    await using server = await startWithVm();
    server.pool.apiMinor = 15;
    const { body } = await send(server, 'GET', '/export', { ref: ref(1) });
    expect(members(body)).toContain('Ref:4/00000000.checksum');
  });

  describe.each([
    ['true', 'gzip'],
    ['zstd', 'zstd'],
  ])('with use_compression=%s', (use_compression, tool) => {
    describeWithTool(tool, () => {
      it('is read by the usual tool', async () => {
        await using server = await startWithVm();
        const plain = await send(server, 'GET', '/export', { ref: ref(1) });
        const packed = await send(server, 'GET', '/export', { ref: ref(1), use_compression });
        expect(packed.body.length).toBeLessThan(plain.body.length);
        const unpacked = execFileSync(tool, ['-d'], { input: packed.body, maxBuffer: 64 * MIB });
        expect(unpacked.equals(plain.body)).toBe(true);
      });
    });
  });

  it('of an unknown VM closes without a byte', async () => {
    await using server = await startWithVm();
    const task_id = server.pool.addTask();
    const answer = await send(server, 'GET', '/export', { ref: ref(8), task_id });
    expect(answer.statuses).toEqual([]);
    expect(server.pool.task(task_id).error_info).toEqual(['NO_HOSTS_AVAILABLE']);
  });

  it('without a VM is an error page and leaves the task pending', async () => {
    await using server = await startWithVm();
    const task_id = server.pool.addTask();
    const answer = await send(server, 'GET', '/export', { task_id });
    expect(answer.body.toString()).toContain('Not_found');
    expect(server.pool.task(task_id).status).toBe('pending');
  });

  it('ends when its task is cancelled', async () => {
    await using server = await startWithVm();
    const task_id = server.pool.addTask();
    server.pool.events.push(`cancel ${task_id}`);
    await send(server, 'GET', '/export', { ref: ref(1), task_id });
    expect(server.pool.task(task_id).error_info).toEqual(['TASK_CANCELLED', task_id]);
  });

  it('of metadata has a length and no disk', async () => {
    await using server = await startWithVm();
    const answer = await send(server, 'GET', '/export_metadata', { ref: ref(1) });
    expect(answer.head).toContain(`Content-Length: ${answer.body.length}`);
    expect(members(answer.body)).toEqual(['ova.xml']);
  });
});

describe('an import', () => {
  it.each([null, 'true'])('takes back what an export gave (use_compression=%s)', async (use_compression) => {
    await using server = await startWithVm();
    const { pool } = server;
    const query = { ref: ref(1), ...(use_compression === null ? {} : { use_compression }) };
    const { body } = await send(server, 'GET', '/export', query);
    const asked = await expectImport(pool);
    const task_id = pool.addTask();
    await send(server, 'PUT', '/import', { task_id, restore: 'true' }, { body, finish: 'half' });
    expect(pool.task(task_id)).toMatchObject({
      status: 'success',
      result: `<value><array><data><value>${ref(7)}</value></data></array></value>`,
    });
    expect(asked[0]).toMatchObject({
      restore: true,
      force: false,
      srRef: 'OpaqueRef:sr',
      metadataOnly: false,
    });
    expect((await pool.store.digest('copy')).sha256).toBe((await pool.store.digest('disk')).sha256);
    expect(pool.events).toContain('object_creation=complete');
    expect(pool.events).toContain('committed');
  });

  it('reads an archive of the real server', async () => {
    await using server = await TransferServer.start();
    const asked = await expectImport(server.pool);
    const task_id = server.pool.addTask();
    await send(server, 'PUT', '/import', { task_id }, { body: vector('vm1.xva'), finish: 'half' });
    expect(server.pool.task(task_id).status).toBe('success');
    expect(asked[0]?.ovaXml).toContain('<name>export_vsn</name><value>2</value>');
  });

  it.each([
    [
      'cut in a chunk',
      (archive: Buffer) => archive.subarray(0, archive.length - MIB),
      'IMPORT_ERROR_PREMATURE_EOF',
    ],
    ['with a wrong sum', (archive: Buffer) => damaged(archive), 'IMPORT_ERROR_SOME_CHECKSUMS_FAILED'],
    ['without its description', (archive: Buffer) => archive.subarray(21504), 'IMPORT_ERROR_UNEXPECTED_FILE'],
  ])('of an archive %s fails and leaves nothing', async (_what, change, code) => {
    await using server = await TransferServer.start();
    await expectImport(server.pool);
    const task_id = server.pool.addTask();
    await send(server, 'PUT', '/import', { task_id }, { body: change(vector('vm1.xva')), finish: 'half' });
    expect(server.pool.task(task_id).error_info[0]).toBe(code);
    expect(server.pool.events).not.toContain('committed');
    expect(server.pool.attached).toEqual([]);
  });

  it('refuses HTTP chunked transfer coding', async () => {
    await using server = await TransferServer.start();
    const task_id = server.pool.addTask();
    await send(server, 'PUT', '/import', { task_id }, { headers: ['Transfer-Encoding: chunked'] });
    expect(server.pool.task(task_id).error_info).toEqual(['IMPORT_ERROR_CANNOT_HANDLE_CHUNKED']);
  });
});

describe('chunks as vhd-tool writes them', () => {
  it('t1.tar holds the content it stands for', async () => {
    await using server = await TransferServer.start();
    const disk = await server.pool.addVdi('disk', 16 * MIB);
    const bytes = vector('t1.tar');
    let at = 0;
    const tar = new TarReader({
      read(target) {
        const part = bytes.subarray(at, at + target.byteLength);
        target.set(part);
        at += part.length;
        return Promise.resolve(part.length);
      },
    });
    const chunks = new ChunkReader(tar, deviceOf(disk));
    for (let member = await tar.next(); member !== null; member = await tar.next()) await chunks.take(member);
    expect((await server.pool.store.digest('disk')).sha256).toBe(
      'd2d8f5261160aaf4be42aa0d7f424b7a3fa0e2504765c5ff4ed76cd48c83d56b',
    );
  });
});

function vector(name: string): Buffer {
  return gunzipSync(readFileSync(join(__dirname, '../../vectors/vhd', `${name}.gz`)));
}

/** Another byte in the first chunk of vm1.xva. */
function damaged(archive: Buffer): Buffer {
  archive[21504 + 512 + 5] = 1;
  return archive;
}
