/** The demo's two pools: simulated, each a process of its own, reached over HTTPS with pinned certificates. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { connectSimulator } from '../lib/simulator';
import type { PoolControl } from '../lib/simulator';
import { Pool } from '../lib/xapi';
import type { PoolEndpoint } from '../lib/xapi';
import { startAndAwaitLine } from './programs';

const mib = 1024 ** 2;
const gib = 1024 ** 3;
const password = 'a password of the demo';

/** What `xenrepl simulate` prints when it is ready. */
interface ReadyLine {
  readonly controlUrl: string;
  readonly pools: readonly {
    readonly name: string;
    readonly url: string;
    readonly username: string;
    readonly hosts: readonly { readonly fingerprint: string }[];
  }[];
}

export interface DemoPool {
  readonly name: string;
  readonly endpoint: PoolEndpoint;
  readonly control: PoolControl;
  stop(): Promise<void>;
}

export const rootDiskBytes = 256 * mib;
export const dataDiskBytes = 8 * gib;

export function sourceSpec(rootImage: string): object {
  return {
    seed: 11,
    pools: [
      {
        name: 'source',
        password,
        hosts: [{ name: 'paris-1' }, { name: 'paris-2' }],
        srs: [{ name: 'Local storage', type: 'ext', sizeBytes: 100 * gib, default: true }],
        networks: [{ name: 'office' }],
        vms: [
          {
            name: 'db1',
            tags: ['protect'],
            running: true,
            memoryBytes: 512 * mib,
            vcpus: 2,
            disks: [
              {
                device: 0,
                name: 'root',
                sizeBytes: rootDiskBytes,
                sr: 'Local storage',
                contentFile: rootImage,
              },
              { device: 1, name: 'data', sizeBytes: dataDiskBytes, sr: 'Local storage' },
            ],
            vifs: [{ network: 'office', mac: '02:00:00:00:00:01' }],
          },
        ],
      },
    ],
  };
}

export function targetSpec(): object {
  return {
    seed: 12,
    pools: [
      {
        name: 'target',
        password,
        hosts: [{ name: 'lyon-1' }],
        srs: [{ name: 'Local storage', type: 'ext', sizeBytes: 100 * gib, default: true }],
        networks: [{ name: 'dr' }],
        vms: [],
      },
    ],
  };
}

/** Starts `xenrepl simulate` with one pool. */
export async function startPool(cli: string, folder: string, name: string, spec: object): Promise<DemoPool> {
  const specFile = join(folder, `${name}.yaml`);
  writeFileSync(specFile, stringify(spec), { mode: 0o600 });
  const { line, stop } = await startAndAwaitLine(
    process.execPath,
    [cli, 'simulate', '--spec', specFile],
    folder,
  );
  const ready = JSON.parse(line) as ReadyLine;
  const pool = ready.pools.find((one) => one.name === name);
  if (pool === undefined) throw new Error(`The simulator started without pool "${name}": ${line}`);
  const simulator = await connectSimulator(ready.controlUrl);
  return {
    name,
    control: simulator.control(name),
    endpoint: {
      name,
      url: pool.url,
      username: pool.username,
      password: () => Promise.resolve(password),
      tls: { kind: 'fingerprints', sha256: pool.hosts.map(({ fingerprint }) => fingerprint) },
      legacyTls: false,
    },
    stop,
  };
}

/** The pools file that provider and CLI find: its path is the only thing that the environment says. */
export function writePoolsFile(folder: string, pools: readonly DemoPool[]): string {
  const path = join(folder, 'xenrepl.yaml');
  const entries = pools.map(({ name, endpoint }) => [
    name,
    {
      url: endpoint.url,
      username: endpoint.username,
      password,
      fingerprints: endpoint.tls.kind === 'fingerprints' ? [...endpoint.tls.sha256] : [],
    },
  ]);
  writeFileSync(path, stringify({ pools: Object.fromEntries(entries) as unknown }), { mode: 0o600 });
  return path;
}

export async function connected<T>(pool: DemoPool, work: (connection: Pool) => Promise<T>): Promise<T> {
  const connection = await Pool.connect(pool.endpoint);
  try {
    return await work(connection);
  } finally {
    await connection.disconnect();
  }
}
