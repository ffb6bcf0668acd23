// How fast a simulated pool takes in and gives out disks over TLS, and what that costs: the server runs in a process of its
// own, and its CPU time is read before and after. Usage: node bench/simulator-throughput.mjs [MiB, default 1024]
import { build } from 'esbuild';
import { fork } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';

const sizeMib = Number(process.argv[2] ?? 1024);
const folder = mkdtempSync(join(tmpdir(), 'simulator-throughput-'));
const bundle = join(folder, 'simulator.cjs');
await build({
  entryPoints: ['lib/simulator/index.ts'],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
});
writeFileSync(
  join(folder, 'server.cjs'),
  `const { startSimulator } = require('./simulator.cjs');
  let peak = 0;
  const watch = setInterval(() => { peak = Math.max(peak, process.memoryUsage().rss); }, 250);
  startSimulator({ seed: 1, pools: [{ name: 'pool', hosts: [{ name: 'host' }], networks: [],
    srs: [{ name: 'sr', type: 'ext', sizeBytes: 64 * 2 ** 30 }],
    vms: [{ name: 'vm', disks: [{ device: 0, sizeBytes: ${sizeMib} * 2 ** 20, sr: 'sr' }] }] }] }).then(async (simulator) => {
    const pool = simulator.pool('pool');
    const vdi = await pool.control.diskOf(await pool.control.vmUuid('vm'), 0);
    process.send({ url: pool.url, username: pool.username, password: pool.password, vdi });
    process.on('message', async (message) => {
      if (message === 'cpu') process.send({ ...process.cpuUsage(), peak });
      else { clearInterval(watch); await simulator.close(); process.disconnect(); }
    });
  });`,
);
const server = fork(join(folder, 'server.cjs'));
const next = () => new Promise((resolve) => server.once('message', resolve));
const cpu = async () => {
  const answer = next();
  server.send('cpu');
  const { user, system, peak } = await answer;
  return { seconds: (user + system) / 1e6, peakMib: Math.round(peak / 2 ** 20) };
};
const { url, username, password, vdi } = await next();
const target = new URL(url);
const basic = Buffer.from(`${username}:${password}`).toString('base64');
const block = randomFillSync(Buffer.alloc(2 ** 21));

const open = (head) =>
  new Promise((resolve) => {
    const socket = connect(
      { host: target.hostname, port: Number(target.port || 443), rejectUnauthorized: false },
      () => {
        socket.write(`${head} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${basic}\r\n\r\n`);
        resolve(socket);
      },
    );
  });
const closed = (socket) => new Promise((resolve) => socket.on('close', resolve));

async function put(query, frames) {
  const socket = await open(`PUT /import_raw_vdi?vdi=${vdi}&${query}`);
  socket.resume();
  const end = closed(socket);
  for (const bytes of frames)
    if (!socket.write(bytes)) await new Promise((resolve) => socket.once('drain', resolve));
  await end;
}

function* framed() {
  for (let offset = 0; offset < sizeMib * 2 ** 20; offset += block.length) {
    const header = Buffer.alloc(12);
    header.writeBigUInt64LE(BigInt(offset), 0);
    header.writeUInt32LE(block.length, 8);
    yield header;
    yield block;
  }
  yield Buffer.alloc(12);
}

async function get(query) {
  const socket = await open(`GET /export_raw_vdi?vdi=${vdi}&${query}`);
  let bytes = 0;
  socket.on('data', (chunk) => (bytes += chunk.length));
  await closed(socket);
  return bytes;
}

async function measure(name, work) {
  const before = await cpu();
  const start = process.hrtime.bigint();
  await work();
  const elapsed = Number(process.hrtime.bigint() - start) / 1e9;
  const { seconds, peakMib } = await cpu();
  const used = seconds - before.seconds;
  const mb = (sizeMib * 2 ** 20) / 1e6;
  console.log(
    `${name.padEnd(24)} ${(mb / elapsed).toFixed(0).padStart(5)} MB/s, ${(mb / used).toFixed(0).padStart(5)} MB/s per core of the server, peak ${peakMib} MiB`,
  );
}

await measure('import framed, new', () => put('chunked=true', framed()));
await measure('import framed, again', () => put('chunked=true', framed()));
await measure('export vhd', () => get('format=vhd'));
await measure('export raw', () => get('format=raw'));
server.send('stop');
await new Promise((resolve) => server.once('exit', resolve));
rmSync(folder, { recursive: true, force: true });
