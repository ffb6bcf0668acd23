// Measures how long the provider takes from spawn to its handshake line, against a bare `node -e 0`, interleaved in one
// run, as Terraform starts it: with mutual TLS.
//
//   node scripts/measure-provider-start.mjs [--runs N] [--max RATIO] [--json] [BUNDLE]
//
// Prints medians and their ratio; with --json every measurement and nothing else. With --max it fails where the ratio is greater.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '21' }, max: { type: 'string' }, json: { type: 'boolean' } },
});
const bundle = positionals[0] ?? 'dist/bundle/provider.cjs';
if (!existsSync(bundle)) throw new Error(`${bundle} is not there: run npm run build first`);

const environment = {
  ...process.env,
  TF_PLUGIN_MAGIC_COOKIE: 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2',
  PLUGIN_PROTOCOL_VERSIONS: '5,6',
  PLUGIN_CLIENT_CERT: clientCertificate(),
};

const bareMs = [];
const providerMs = [];
await toExit(['-e', '0']);
await toFirstLine([bundle]);
for (let run = 0; run < Number(values.runs); run += 1) {
  bareMs.push(await toExit(['-e', '0']));
  providerMs.push(await toFirstLine([bundle]));
}
const ratio = median(providerMs) / median(bareMs);
if (values.json) console.log(JSON.stringify({ bareMs, providerMs }));
else {
  console.log(`node ${process.versions.node}, ${values.runs} runs each, interleaved, medians`);
  console.log(`bare node -e 0         ${median(bareMs).toFixed(1)} ms`);
  console.log(`provider to handshake  ${median(providerMs).toFixed(1)} ms`);
  console.log(`ratio                  ${ratio.toFixed(2)}`);
}
if (values.max !== undefined && ratio > Number(values.max)) {
  console.error(`The provider starts too slowly: at most ${values.max} times a bare node`);
  process.exitCode = 1;
}

function toExit(args) {
  return measured(args, (child, done) => child.once('exit', done));
}

async function toFirstLine(args) {
  return measured(args, (child, done) => {
    child.stdout.once('data', (line) => {
      if (!line.toString().startsWith('1|6|unix|')) throw new Error(`not a handshake: ${line}`);
      done();
      child.kill('SIGTERM');
    });
  });
}

/** Resolves when the process has ended as well, so that runs do not disturb each other. */
function measured(args, watch) {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const child = spawn(process.execPath, args, {
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let tookMs = null;
    watch(child, () => (tookMs = performance.now() - startedMs));
    child.once('error', reject);
    child.once('close', () => (tookMs === null ? reject(new Error('no handshake')) : resolve(tookMs)));
  });
}

function median(numbers) {
  return numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)];
}

/** Nobody connects, so any certificate will do as that of the client to let in. */
function clientCertificate() {
  return rootCertificates[0];
}
