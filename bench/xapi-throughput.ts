import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Pool, type PoolEndpoint, type Ref } from '../lib/xapi';
import { FakePool, SR, VDI } from '../test/xapi/fake-pool';

/*
 * How fast a disk is read and written over TLS on the loopback, with the other end in a process of its own that does nothing
 * but produce or swallow bytes:
 *
 *   npx esbuild bench/xapi-throughput.ts --bundle --platform=node --outfile=dist/bench/xapi-throughput.cjs
 *   node dist/bench/xapi-throughput.cjs [MiB]
 */
const MIB = 1024 * 1024;
const HEAD = 'HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-type: application/vhd\r\n\r\n';
const request = { vdi: VDI as Ref<'VDI'>, sr: SR as Ref<'SR'>, label: 'bench' };

async function serve(totalBytes: number): Promise<void> {
  const fake = await FakePool.start();
  fake.onTransfer = ({ method, socket, url }) => {
    const task = url.searchParams.get('task_id') ?? '';
    socket.write(HEAD);
    if (method === 'PUT') {
      let received = 0;
      socket.on('data', (piece: Buffer) => {
        received += piece.length;
        if (received > totalBytes) fake.endTask(task, 'success');
      });
      socket.resume();
      return;
    }
    const block = Buffer.alloc(2 * MIB, 7);
    let left = totalBytes;
    const pump = (): void => {
      while (left > 0) {
        left -= block.length;
        if (!socket.write(block)) {
          socket.once('drain', pump);
          return;
        }
      }
      fake.endTask(task, 'success');
      socket.end();
    };
    pump();
  };
  process.send?.({ url: fake.url(), fingerprint: fake.coordinator.certificate.fingerprint });
}

async function download(pool: Pool): Promise<number> {
  const disk = await pool.openExport(request);
  let bytes = 0;
  for await (const piece of disk.body) bytes += piece.length;
  await disk.finish();
  return bytes;
}

async function upload(pool: Pool, totalBytes: number, frameBytes: number): Promise<number> {
  const disk = await pool.openImport(request);
  const frame = Buffer.alloc(frameBytes, 7);
  for (let offset = 0; offset < totalBytes; offset += frameBytes) await disk.write(offset, frame);
  await disk.finish();
  return disk.bytesSent;
}

async function measure(name: string, action: () => Promise<number>): Promise<void> {
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  const bytes = await action();
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const rate = (perSeconds: number): string => `${Math.round(bytes / 1e6 / perSeconds)} MB/s`;
  const rssMib = Math.round(process.memoryUsage().rss / MIB);
  console.log(`${name}: ${rate(seconds)} (${rate(cpuSeconds)} per CPU second of ours), RSS ${rssMib} MiB`);
}

async function main(totalBytes: number): Promise<void> {
  const server: ChildProcess = fork(__filename, ['serve', String(totalBytes)]);
  const [{ url, fingerprint }] = (await once(server, 'message')) as [{ url: string; fingerprint: string }];
  const endpoint: PoolEndpoint = {
    name: 'bench',
    url,
    username: 'root',
    password: () => Promise.resolve('secret'),
    tls: { kind: 'fingerprints', sha256: [fingerprint] },
    legacyTls: false,
  };
  const pool = await Pool.connect(endpoint);
  for (const round of [1, 2]) {
    await measure(`${round}. read`, () => download(pool));
    for (const kib of [64, 2048])
      await measure(`${round}. write in frames of ${kib} KiB`, () => upload(pool, totalBytes, kib * 1024));
  }
  await pool.disconnect();
  server.kill();
}

const [role, size] = process.argv.slice(2);
void (role === 'serve' ? serve(Number(size)) : main(Number(role ?? 2048) * MIB));
