// Shows that the simulator behaves as the real server did: replays every recorded scenario against a fresh pool over plain
// HTTP (as recorded), over TLS, and with its JSON-RPC calls sent as XML-RPC; then runs the named quirks. Ends with 1 when
// anything differs that is not on the list below.
import { build } from 'esbuild';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect as connectTls } from 'node:tls';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Steps in which the simulator refuses what harmed data on the real server: it is stricter there, on purpose.
const cutRawUpload =
  'a plain raw upload cut short ended in success with stale bytes on the disk; here the task fails';
const refused = new Map([
  ['08-put-raw 26', cutRawUpload],
  ['08-put-raw 27', cutRawUpload],
  ['08-put-raw 30', cutRawUpload],
  ['08-put-raw 31', cutRawUpload],
  ['08-put-raw 35', cutRawUpload],
]);
const standIn =
  'the recording shows the replaced storage plugin, a simulated hypervisor or the licence set-up';

const python = process.env.XENREPL_PYTHON ?? '/usr/bin/python3';
const only = process.argv[2] ?? '';
const folder = mkdtempSync(join(tmpdir(), 'xenrepl-conformance-'));
const bundle = join(folder, 'simulator.cjs');
await build({
  entryPoints: ['lib/simulator/index.ts'],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  logLevel: 'warning',
});
const { startSimulator } = createRequire(import.meta.url)(bundle);

const spec = {
  seed: 1,
  pools: [
    {
      name: 'conformance',
      wrongPasswordDelayMs: 100,
      hosts: [{ name: 'host1' }],
      srs: [{ name: 'storage', type: 'ext', sizeBytes: 64 * 2 ** 30 }],
      networks: [{ name: 'network' }],
      vms: [],
    },
  ],
};

let failed = false;
const skipped = new Map();
const runs = [
  ['plain HTTP, as recorded', 'recorded', false],
  ['TLS', 'recorded', true],
  ['XML-RPC in place of JSON-RPC', 'xmlrpc', false],
];
// Side by side, each with a pool of its own: most of the time the recordings wait.
const results = await Promise.all(runs.map(([, transport, secure]) => replayOnFreshPool(transport, secure)));
runs.forEach(([title], index) => report(title, results[index]));
rmSync(folder, { recursive: true, force: true });

console.log('\nSteps skipped by name:');
for (const [name, reason] of [...skipped].sort()) console.log(`  ${name.padEnd(58)} ${reason}`);

if (only === '') quirks();
process.exitCode = failed ? 1 : 0;

async function replayOnFreshPool(transport, secure) {
  const simulator = await startSimulator(spec, { plainHttp: true });
  const pool = simulator.pool('conformance');
  const tunnel = secure ? await startTunnel(new URL(pool.url)) : null;
  const url = tunnel?.url ?? pool.plainUrl;
  const nbd = await startNbdRelay(pool.hosts[0], new URL(url).hostname);
  try {
    return await replay(url, transport, nbd.port);
  } finally {
    await nbd.close();
    await tunnel?.close();
    await simulator.close();
  }
}

function report(title, lines) {
  const scenarios = lines.filter((line) => line.seconds !== undefined);
  const different = lines.filter((line) => line.differences !== undefined);
  const counted = different.filter((line) => reasonToSkip(line) === null);
  const steps = scenarios.reduce((sum, line) => sum + line.steps, 0);
  for (const line of different) {
    const reason = reasonToSkip(line);
    if (reason !== null) skipped.set(`${line.scenario} step ${line.step} ${line.name}`, reason);
  }
  for (const line of counted)
    for (const text of line.differences)
      console.log(`${line.scenario} step ${line.step} ${line.name}: ${text}`);
  const differences = counted.reduce((sum, line) => sum + line.differences.length, 0);
  console.log(`${title}: scenarios: ${scenarios.length} steps: ${steps} differences: ${differences}`);
  if (differences > 0 || scenarios.length === 0) failed = true;
}

function reasonToSkip(line) {
  if (line.oracle === 'stand-in') return standIn;
  return refused.get(`${line.scenario} ${line.step}`) ?? null;
}

/** Runs the scenarios; gives the lines that the replayer prints. */
function replay(url, transport, nbdPort) {
  const parameters = [
    'scripts/conformance.py',
    url,
    '--transport',
    transport,
    '--only',
    only,
    '--nbd-port',
    String(nbdPort),
  ];
  const child = spawn(python, parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) failed = true;
      resolve(
        output
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line)),
      );
    });
  });
}

/** The replayer speaks plain HTTP: this carries its bytes over TLS. */
function startTunnel(target) {
  const options = {
    host: target.hostname,
    port: Number(target.port),
    rejectUnauthorized: false,
    allowHalfOpen: true,
  };
  return startRelay(() => connectTls(options));
}

/** The replayer expects the NBD server on the host it speaks HTTP with. */
function startNbdRelay(host, address) {
  const target = { host: new URL(host.url).hostname, port: host.nbdPort, allowHalfOpen: true };
  return startRelay(() => connect(target), address);
}

function startRelay(open, address = '127.0.0.1') {
  const sockets = new Set();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const other = open();
    for (const [from, to] of [
      [socket, other],
      [other, socket],
    ]) {
      sockets.add(from);
      from.on('close', () => sockets.delete(from));
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  });
  return new Promise((resolve) => {
    server.listen({ host: address, port: 0 }, () => {
      const { port } = server.address();
      resolve({
        port,
        url: `http://${address}:${port}`,
        close: () =>
          new Promise((closed) => {
            for (const socket of sockets) socket.destroy();
            server.close(closed);
          }),
      });
    });
  });
}

/** The quirks of the real server, each a test whose name starts with its number. */
function quirks() {
  const file = join(tmpdir(), `xenrepl-quirks-${process.pid}.json`);
  const jest = spawnSync(
    process.execPath,
    ['node_modules/.bin/jest', 'test/simulator', '-t', 'quirk \\d+', '--json', '--outputFile', file],
    { encoding: 'utf8' },
  );
  const results = JSON.parse(readFileSync(file, 'utf8'));
  rmSync(file);
  const names = results.testResults.flatMap((suite) =>
    suite.assertionResults.filter((test) => test.status !== 'pending'),
  );
  const numbers = new Set(names.map((test) => /quirk (\d+)/.exec(test.fullName)?.[1]));
  const broken = names.filter((test) => test.status === 'failed');
  for (const test of broken) console.log(`FAILED ${test.fullName}`);
  console.log(`\nnamed quirks: ${numbers.size} (${names.length} tests), failed: ${broken.length}`);
  if (jest.status !== 0) failed = true;
}
