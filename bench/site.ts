/** Two simulated pools in one process of their own, and runs between them in another. */
import { jobDefaults, keepLatest } from '../lib/planner/job';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { defaultScheduleId } from '../lib/engine';
import type { JobDefinition } from '../lib/planner/job';
import { connectSimulator } from '../lib/simulator';
import type { PoolControl } from '../lib/simulator';
import { Pool } from '../lib/xapi';
import type { BenchEndpoint, EngineRunFigures, EngineRunInput } from './engine-run';

const gib = 1024 ** 3;
const password = 'bench';

interface ReadyPool {
  readonly name: string;
  readonly url: string;
  readonly username: string;
  readonly hosts: readonly { readonly fingerprint: string }[];
}

export class BenchSite {
  readonly source: PoolControl;
  readonly target: PoolControl;
  readonly #folder: string;
  readonly #endpoints: Readonly<Record<'source' | 'target', BenchEndpoint>>;
  readonly #stop: () => Promise<void>;

  private constructor(
    folder: string,
    endpoints: Readonly<Record<'source' | 'target', BenchEndpoint>>,
    controls: Readonly<Record<'source' | 'target', PoolControl>>,
    stop: () => Promise<void>,
  ) {
    this.#folder = folder;
    this.#endpoints = endpoints;
    this.source = controls.source;
    this.target = controls.target;
    this.#stop = stop;
  }

  /** @param diskSizesBytes one disk each of the VM "db1" */
  static async start(diskSizesBytes: readonly number[]): Promise<BenchSite> {
    const folder = mkdtempSync(join(tmpdir(), 'xenrepl-bench-'));
    const spec = join(folder, 'spec.yaml');
    writeFileSync(spec, stringify(specOf(diskSizesBytes)), { mode: 0o600 });
    const cli = join(__dirname, '..', 'bundle', 'xenrepl.cjs');
    const child = spawn(process.execPath, [cli, 'simulate', '--spec', spec], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const line = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      void ended.then(() => reject(new Error('the simulator ended before it was ready')));
    });
    const ready = JSON.parse(line) as { controlUrl: string; pools: readonly ReadyPool[] };
    const client = await connectSimulator(ready.controlUrl);
    const endpoint = (name: 'source' | 'target'): BenchEndpoint => endpointOf(ready.pools, name);
    return new BenchSite(
      folder,
      { source: endpoint('source'), target: endpoint('target') },
      { source: client.control('source'), target: client.control('target') },
      async () => {
        child.kill('SIGTERM');
        await ended;
      },
    );
  }

  connect(name: 'source' | 'target'): Promise<Pool> {
    const { url, username, fingerprints } = this.#endpoints[name];
    return Pool.connect({
      name,
      url,
      username,
      password: () => Promise.resolve(password),
      tls: { kind: 'fingerprints', sha256: fingerprints },
      legacyTls: false,
    });
  }

  url(name: 'source' | 'target'): string {
    return this.#endpoints[name].url;
  }

  async job(): Promise<JobDefinition> {
    const target = await this.connect('target');
    const [sr] = await target.call('SR.get_by_name_label', ['target-sr']);
    if (sr === undefined) throw new Error('no SR "target-sr"');
    const srUuid = await target.call('SR.get_uuid', [sr]);
    const poolUuid = target.uuid;
    await target.disconnect();
    const jobId = '22222222-2222-4222-8222-222222222222';
    return {
      ...jobDefaults,
      schemaVersion: 1,
      jobId,
      scheduleId: defaultScheduleId(jobId),
      name: 'bench',
      enabled: true,
      source: { poolName: 'source', poolUuid: null },
      target: { poolName: 'target', poolUuid, srUuid },
      selection: { uuids: [], tags: ['protect'] },
      schedule: { kind: 'manual' },
      retention: keepLatest(2),
      networkMap: {},
      onUnmappedNetwork: 'omit',
      onMissingBase: 'fail',
      onDivergence: 'fail',
      concurrency: 4,
    };
  }

  async run(job: JobDefinition): Promise<EngineRunFigures> {
    const { source, target } = this.#endpoints;
    const input: EngineRunInput = { source, target, job, cacheDir: join(this.#folder, 'cache') };
    const child = spawn(process.execPath, [join(__dirname, 'engine-run.js')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(JSON.stringify(input));
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => resolve());
    });
    const figures = JSON.parse(Buffer.concat(chunks).toString('utf8')) as EngineRunFigures;
    if (!figures.report.ok) throw new Error(`the run failed: ${JSON.stringify(figures.report.vms)}`);
    return figures;
  }

  /** Fills a range of a disk of the source VM with bytes that are not zero. */
  async fill(device: number, fromBytes: number, lengthBytes: number, seed: number): Promise<void> {
    const disk = await this.source.diskOf(await this.source.vmUuid('db1'), device);
    const piece = Buffer.alloc(4 * 1024 ** 2);
    for (let index = 0; index < piece.length; index += 1) piece[index] = 1 + ((index * 31 + seed * 7) % 255);
    for (let at = 0; at < lengthBytes; at += piece.length) {
      await this.source.writeDisk(
        disk,
        fromBytes + at,
        piece.subarray(0, Math.min(piece.length, lengthBytes - at)),
      );
    }
  }

  async close(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function specOf(diskSizesBytes: readonly number[]): object {
  const pool = (name: string, vms: readonly object[]): object => ({
    name,
    password,
    hosts: [{ name: `${name}-1` }],
    srs: [{ name: `${name}-sr`, type: 'ext', sizeBytes: 400 * gib, default: true }],
    networks: [{ name: 'lan' }],
    vms,
  });
  const disks = diskSizesBytes.map((sizeBytes, device) => ({
    device,
    name: `disk ${String(device)}`,
    sizeBytes,
    sr: 'source-sr',
  }));
  return {
    seed: 5,
    pools: [pool('source', [{ name: 'db1', tags: ['protect'], running: true, disks }]), pool('target', [])],
  };
}

function endpointOf(pools: readonly ReadyPool[], name: string): BenchEndpoint {
  const pool = pools.find((one) => one.name === name);
  if (pool === undefined) throw new Error(`no pool "${name}"`);
  const { url, username, hosts } = pool;
  return { name, url, username, password, fingerprints: hosts.map(({ fingerprint }) => fingerprint) };
}
