import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describeWithTool } from '../../foreign-tools';
import { MIB, PoolUnderTest, text, type Record } from '../pool-under-test';
import { pattern } from '../storage/open-store';
import { frame, TERMINATOR } from './client';

const run = promisify(execFile);
const IO_ERROR = ['VDI_IO_ERROR', 'Device I/O errors'];

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'transfers-in-a-pool-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** curl over TLS; the certificate is self-signed as on a real host. */
async function curl(...args: readonly string[]): Promise<void> {
  await run('curl', ['--silent', '--show-error', '--fail', '--insecure', ...args]);
}

function target(pool: PoolUnderTest, path: string, query: { readonly [key: string]: string }): string {
  return `${pool.pool.url}${path}?${new URLSearchParams({ session_id: pool.session, ...query }).toString()}`;
}

/** Waits for the end of a task and gives its error, `[]` for success. */
async function errorOf(pool: PoolUnderTest, task: string): Promise<unknown> {
  while ((await pool.call('task.get_status', task)) === 'pending') await pool.call('pool.get_all');
  return pool.call('task.get_error_info', task);
}

/** Uploads frames by curl and gives the error of the task. */
async function upload(pool: PoolUnderTest, vdi: string, frames: Buffer): Promise<unknown> {
  const body = join(folder, 'frames');
  writeFileSync(body, frames);
  const task = await pool.ref('task.create', 'upload', '');
  await curl(
    '--upload-file',
    body,
    target(pool, '/import_raw_vdi', { vdi, chunked: 'true', task_id: task }),
  ).catch(
    // A reset behind the error page is no matter: the task decides.
    () => undefined,
  );
  return errorOf(pool, task);
}

async function contentOf(pool: PoolUnderTest, vdi: string): Promise<string> {
  return (await pool.pool.control.digestDisk(await pool.ref('VDI.get_uuid', vdi))).sha256;
}

describeWithTool('curl', () => {
  describeWithTool('qemu-img', () => {
    it('curl uploads over TLS, qemu-img reads the export to the same content', async () => {
      await using pool = disposable(await PoolUnderTest.start());
      const vdi = await pool.createVdi();
      const frames = [frame(0, pattern('A', 0, 5000)), frame(6 * MIB, pattern('B', 12288, 8)), TERMINATOR];
      expect(await upload(pool, vdi, Buffer.concat(frames))).toEqual([]);
      const [vhd, raw] = [join(folder, 'export.vhd'), join(folder, 'export.raw')];
      await curl('--output', vhd, target(pool, '/export_raw_vdi', { vdi, format: 'vhd' }));
      const image = `driver=vpc,file.driver=file,file.filename=${vhd},force_size_calc=current_size`;
      await run('qemu-img', ['convert', '--image-opts', image, '-O', 'raw', raw]);
      const expected = Buffer.alloc(8 * MIB);
      pattern('A', 0, 5000).copy(expected);
      pattern('B', 12288, 8).copy(expected, 6 * MIB);
      expect(readFileSync(raw).equals(expected)).toBe(true);
    });

    it('a VHD that qemu-img made is taken in', async () => {
      await using pool = disposable(await PoolUnderTest.start());
      const vdi = await pool.createVdi();
      const [raw, vhd] = [join(folder, 'made.raw'), join(folder, 'made.vhd')];
      writeFileSync(raw, pattern('Q', 0, 5000));
      truncateSync(raw, 8 * MIB);
      await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vpc', '-o', 'force_size=on', raw, vhd]);
      const task = await pool.ref('task.create', 'upload', '');
      await curl(
        '--upload-file',
        vhd,
        target(pool, '/import_raw_vdi', { vdi, format: 'vhd', task_id: task }),
      );
      expect(await errorOf(pool, task)).toEqual([]);
      await curl('--output', vhd, target(pool, '/export_raw_vdi', { vdi }));
      expect(readFileSync(vhd).equals(readFileSync(raw))).toBe(true);
    });
  });

  describeWithTool('nbdcopy', () => {
    it('nbdcopy reads what get_nbd_info names', async () => {
      await using pool = disposable(await PoolUnderTest.start());
      const vdi = await pool.createVdi();
      await upload(pool, vdi, Buffer.concat([frame(MIB, pattern('A', 0, 8)), TERMINATOR]));
      for (const network of (await pool.call('network.get_all')) as string[]) {
        await pool.call('network.add_purpose', network, 'insecure_nbd');
      }
      const [info] = (await pool.call('VDI.get_nbd_info', vdi)) as Record[];
      const port = pool.pool.hosts[0]?.nbdPort ?? 0;
      const copy = join(folder, 'nbd.raw');
      const name = encodeURIComponent(text(info?.['exportname']));
      await run('nbdcopy', [`nbd://${new URL(pool.pool.url).hostname}:${port}/${name}`, copy]);
      const expected = Buffer.alloc(8 * MIB);
      pattern('A', 0, 8).copy(expected, MIB);
      expect(readFileSync(copy).equals(expected)).toBe(true);
    });
  });

  it('tar lists an XVA; another pool takes it in, disk and all', async () => {
    await using source = disposable(await PoolUnderTest.start());
    await using other = disposable(await PoolUnderTest.start({ name: 'other' }));
    const vm = await source.createVm({ name_label: 'carried' });
    const vdi = await source.createVdi();
    await source.createVbd(vm, vdi);
    await upload(source, vdi, Buffer.concat([frame(3 * MIB, pattern('A', 0, 8)), TERMINATOR]));
    const xva = join(folder, 'vm.xva');
    await curl('--output', xva, target(source, '/export', { ref: vm }));
    const { stdout } = await run('tar', ['tf', xva]);
    expect(stdout.split('\n')[0]).toBe('ova.xml');

    const task = await other.ref('task.create', 'import', '');
    await curl('--upload-file', xva, target(other, '/import', { task_id: task }));
    expect(await errorOf(other, task)).toEqual([]);
    const [imported] = (await other.call('VM.get_by_name_label', 'carried')) as string[];
    const [vbd] = (await other.record('VM', text(imported)))['VBDs'] as string[];
    const copy = await other.ref('VBD.get_VDI', text(vbd));
    expect(await contentOf(other, copy)).toBe(await contentOf(source, vdi));
  });
});

describe('what a pool does around a transfer', () => {
  it('quirk 9: the disk cannot be destroyed while it is written; a VBD of the control domain shows why', async () => {
    await using pool = disposable(await PoolUnderTest.start());
    const vdi = await pool.createVdi();
    const url = new URL(pool.url);
    const socket = connect({ host: url.hostname, port: Number(url.port) }).on('error', () => undefined);
    socket.write(
      `PUT /import_raw_vdi?session_id=${pool.session}&vdi=${vdi}&chunked=true HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    await once(socket, 'data');
    await attached(pool, vdi);
    expect(await pool.failure('VDI.destroy', vdi)).toEqual(['VDI_IN_USE', vdi, 'destroy']);
    const closed = once(socket, 'close');
    socket.end(TERMINATOR);
    await closed;
    expect(await pool.call('VDI.get_VBDs', vdi)).toEqual([]);
    await pool.call('VDI.destroy', vdi);
  });

  describeWithTool('curl', () => {
    it('quirk 35: room that runs out is SR_BACKEND_FAILURE_44 for a new thick disk, VDI_IO_ERROR in an upload', async () => {
      const srs = [{ name: 'storage', type: 'ext' as const, sizeBytes: 8 * MIB }];
      await using thin = disposable(await PoolUnderTest.start({ srs }));
      const vdi = await thin.createVdi({ virtual_size: 16 * MIB });
      const frames = [0, 1, 2, 3, 4].map((block) => frame(block * 2 * MIB, pattern('A', 0, 4096)));
      expect(await upload(thin, vdi, Buffer.concat([...frames, TERMINATOR]))).toEqual(IO_ERROR);
      const uuid = await thin.ref('VDI.get_uuid', vdi);
      const kept = Buffer.from(await thin.pool.control.readDisk(uuid, 0, 2 * MIB));
      expect(kept.equals(pattern('A', 0, 4096))).toBe(true);

      await using thick = disposable(
        await PoolUnderTest.start({ srs: [{ ...srs[0], name: 'lvm', type: 'lvm', sizeBytes: 32 * MIB }] }),
      );
      await thick.createVdi({ virtual_size: 16 * MIB });
      expect(
        (await thick.failure('VDI.create', { ...(await vdiOfSameSr(thick)), virtual_size: 16 * MIB }))[0],
      ).toBe('SR_BACKEND_FAILURE_44');
    });

    it('quirk 10: a member without the SR sends the transfer to one that has it; curl follows', async () => {
      await using pool = disposable(
        await PoolUnderTest.start({
          hosts: [{ name: 'host1' }, { name: 'host2' }],
          srs: [{ name: 'storage', type: 'nfs', sizeBytes: 1024 * MIB, hosts: ['host2'] }],
        }),
      );
      const vdi = await pool.createVdi();
      const copy = join(folder, 'redirected.raw');
      await curl('--location', '--output', copy, target(pool, '/export_raw_vdi', { vdi }));
      expect(readFileSync(copy).length).toBe(8 * MIB);
    });
  });
});

/** Ends the simulator when the test ends, however it ends. */
function disposable(pool: PoolUnderTest): PoolUnderTest & AsyncDisposable {
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.close() });
}

async function attached(pool: PoolUnderTest, vdi: string): Promise<void> {
  while (((await pool.call('VDI.get_VBDs', vdi)) as string[]).length === 0) continue;
}

async function vdiOfSameSr(pool: PoolUnderTest): Promise<Record> {
  return {
    SR: await pool.only('SR'),
    name_label: 'second',
    type: 'user',
    sharable: false,
    read_only: false,
    other_config: {},
  };
}
