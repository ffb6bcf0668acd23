import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { send } from './client';
import type { StoredFile } from './transfer-pool';
import { TransferServer } from './transfer-server';

const MIB = 1024 * 1024;
/** Modification time of the images when the real tools streamed them: it stands in the headers of deltas. */
const IMAGES_MADE = 0x32957fcd + 946684800;

const CONTENT = {
  base: '1f773569bd6ec62019a40b7b50b3035dc783dc7db5cfcae3c35fce89923e2104',
  child: 'd2d8f5261160aaf4be42aa0d7f424b7a3fa0e2504765c5ff4ed76cd48c83d56b',
  grand: 'c9c4bab30be0ae8179648fbbb88c5d25325351d5aa7f864c6d14b9bf1cb64827',
};

function vector(name: string): Buffer {
  return gunzipSync(readFileSync(join(__dirname, '../../vectors/vhd', `${name}.gz`)));
}

function images(): StoredFile[] {
  return ['base.vhd', 'child.vhd', 'grand.vhd'].map((name) => ({
    name,
    bytes: vector(name),
    modifiedSeconds: IMAGES_MADE,
  }));
}

/** A server whose SR holds the three images of the recording, each a differencing one on the one before. */
async function startWithImages(): Promise<TransferServer> {
  const server = await TransferServer.start(undefined, images());
  server.pool.srUuid = 'xxxxx';
  for (const name of ['base', 'child', 'grand']) server.pool.record(name);
  return server;
}

/** The stream without what is new for each export: the unique id and, for that, the checksum of both footers. */
function withoutId(stream: Buffer): Buffer {
  for (const footer of [0, stream.length - 512]) stream.fill(0, footer + 64, footer + 84);
  return stream;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('images that the real library wrote', () => {
  it.each(['base', 'child', 'grand'] as const)('%s has the content it was given', async (name) => {
    await using server = await startWithImages();
    expect(await server.pool.store.digest(name)).toEqual({ sha256: CONTENT[name], sizeBytes: 16 * MIB });
  });
});

describe('VHD exports equal the real ones byte for byte, but for the id that is new each time', () => {
  it.each([
    ['s1_base_full.vhd', 'base', null],
    ['s2_child_full.vhd', 'child', null],
    ['http_full.vhd', 'child', null],
    ['s6_grand_full.vhd', 'grand', null],
    ['s3_child_rel_base.vhd', 'child', 'base'],
    ['s4_grand_rel_base.vhd', 'grand', 'base'],
    ['s5_grand_rel_child.vhd', 'grand', 'child'],
  ])('%s', async (recorded, vdi, base) => {
    await using server = await startWithImages();
    const query = { vdi, format: 'vhd', ...(base === null ? {} : { base }) };
    const { body } = await send(server, 'GET', '/export_raw_vdi', query);
    expect(digest(withoutId(body))).toBe(digest(withoutId(vector(recorded))));
  });

  it('s9_raw_to_vhd.vhd: of a volume that is no VHD every block is sent', async () => {
    await using server = await startWithImages();
    server.pool.record('child', { vhdBacked: false });
    const { body } = await send(server, 'GET', '/export_raw_vdi', { vdi: 'child', format: 'vhd' });
    expect(digest(withoutId(body))).toBe(digest(withoutId(vector('s9_raw_to_vhd.vhd'))));
  });

  it('an empty delta is 3072 bytes', async () => {
    await using server = await startWithImages();
    const { body } = await send(server, 'GET', '/export_raw_vdi', {
      vdi: 'child',
      format: 'vhd',
      base: 'child',
    });
    expect(body.length).toBe(vector('http_delta_empty.vhd').length);
  });

  it('a raw export with a base is as long as the disk, with zeros where nothing differs', async () => {
    await using server = await startWithImages();
    const { body } = await send(server, 'GET', '/export_raw_vdi', { vdi: 'child', base: 'base' });
    expect(digest(body)).toBe('b58824c8fad5742b3728fa1abfff8b7a3ef621c6ed6f9e3a4fe4467c2a9d0a81');
  });
});

describe('streams that the real tools emitted are taken in to the content they stand for', () => {
  it.each([
    ['base.vhd', null, CONTENT.base],
    ['child.vhd', 'base', CONTENT.child],
    ['grand.vhd', 'child', CONTENT.grand],
    ['s1_base_full.vhd', null, CONTENT.base],
    ['s2_child_full.vhd', null, CONTENT.child],
    ['s3_child_rel_base.vhd', 'base', CONTENT.child],
    ['s4_grand_rel_base.vhd', 'base', CONTENT.grand],
    ['s5_grand_rel_child.vhd', 'child', CONTENT.grand],
    ['s6_grand_full.vhd', null, CONTENT.grand],
    ['s9_raw_to_vhd.vhd', null, CONTENT.child],
    ['http_full.vhd', null, CONTENT.child],
    ['http_delta_s1_base_s0.vhd', 'base', CONTENT.child],
    ['http_delta_empty.vhd', 'child', CONTENT.child],
    ['c1_child_full.chunked', null, CONTENT.child],
    ['c2_child_rel_base_prezeroed.chunked', 'base', CONTENT.child],
    ['c3_child_full_prezeroed.chunked', null, CONTENT.child],
  ])('%s on %s', async (name, onto, content) => {
    await using server = await startWithImages();
    const { pool } = server;
    if (onto === null) await pool.addVdi('target', 16 * MIB);
    else {
      await pool.store.clone(onto, 'target', 'unused-base-copy');
      pool.record('target');
    }
    const body = vector(name);
    const form = name.endsWith('.vhd') ? { format: 'vhd' } : { chunked: 'true' };
    const task_id = pool.addTask();
    await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'target', task_id, ...form },
      {
        headers: [`Content-Length: ${body.length}`],
        body,
      },
    );
    expect(pool.task(task_id)).toMatchObject({
      status: 'success',
      result: '<value>OpaqueRef:target</value>',
    });
    expect((await pool.store.digest('target')).sha256).toBe(content);
  });

  it('odd_created.vhd: 5 MiB and a bit, rounded up by its maker', async () => {
    await using server = await TransferServer.start();
    await server.pool.addVdi('target', 6 * MIB);
    const body = vector('odd_created.vhd');
    await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'target', format: 'vhd' },
      {
        headers: [`Content-Length: ${body.length}`],
        body,
      },
    );
    expect((await server.pool.store.digest('target')).sha256).toBe(
      '7b957a789e1dc870733daeedaaa7c796ea8db468f269343ac848b6448f70f44e',
    );
  });

  it('bad_odd_raw_to_vhd_truncated.vhd is refused by the task', async () => {
    await using server = await TransferServer.start();
    await server.pool.addVdi('target', 6 * MIB);
    const body = vector('bad_odd_raw_to_vhd_truncated.vhd');
    const task_id = server.pool.addTask();
    await send(
      server,
      'PUT',
      '/import_raw_vdi',
      { vdi: 'target', format: 'vhd', task_id },
      {
        headers: [`Content-Length: ${body.length}`],
        body,
        finish: 'half',
      },
    );
    expect(server.pool.task(task_id).error_info).toEqual(['VDI_IO_ERROR', 'Device I/O errors']);
  });
});
