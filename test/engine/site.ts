/** Two simulated pools and a job between them: what every test of the engine starts from. */
import { jobDefaults, keepLatest } from '../../lib/planner/job';
import { randomUUID } from 'node:crypto';
import { startSimulator } from '../../lib/simulator';
import type { PoolControl, SimulatedPool, Simulator, SimulatorSpec } from '../../lib/simulator';
import { defaultScheduleId, runJob, systemClock } from '../../lib/engine';
import type { RunContext, RunEvent, RunJobOptions, RunReport } from '../../lib/engine';
import type { JobDefinition } from '../../lib/planner/job';
import { Pool } from '../../lib/xapi';
import type { ConnectOptions, PoolEndpoint } from '../../lib/xapi';

const mib = 1024 ** 2;

export const defaultSpec: SimulatorSpec = {
  seed: 1,
  pools: [
    {
      name: 'source',
      hosts: [{ name: 'source-1' }, { name: 'source-2' }],
      srs: [{ name: 'source-sr', type: 'ext', sizeBytes: 64 * 1024 * mib, default: true }],
      networks: [{ name: 'lan' }],
      vms: [
        {
          name: 'db1',
          tags: ['protect'],
          running: true,
          disks: [
            { device: 0, name: 'root', sizeBytes: 32 * mib, sr: 'source-sr' },
            { device: 1, name: 'data', sizeBytes: 64 * mib, sr: 'source-sr' },
          ],
          vifs: [{ network: 'lan', mac: '02:00:00:00:00:01' }],
        },
      ],
    },
    {
      name: 'target',
      hosts: [{ name: 'target-1' }],
      srs: [{ name: 'target-sr', type: 'ext', sizeBytes: 64 * 1024 * mib, default: true }],
      networks: [{ name: 'dr-lan' }],
      vms: [],
    },
  ],
};

export interface RunOutcome {
  readonly report: RunReport;
  readonly events: readonly RunEvent[];
}

export class Site implements AsyncDisposable {
  readonly simulator: Simulator;
  readonly source: SimulatedPool;
  readonly target: SimulatedPool;
  readonly #pools: Pool[] = [];
  readonly #spec: SimulatorSpec;

  private constructor(simulator: Simulator, spec: SimulatorSpec) {
    this.#spec = spec;
    this.simulator = simulator;
    this.source = simulator.pool('source');
    this.target = simulator.pool('target');
  }

  static async start(spec: SimulatorSpec = defaultSpec): Promise<Site> {
    return new Site(await startSimulator(spec), spec);
  }

  async connect(name: 'source' | 'target', options: ConnectOptions = {}): Promise<Pool> {
    const pool = await Pool.connect(endpointOf(this.simulator.pool(name), this.#isOld(name)), options);
    this.#pools.push(pool);
    return pool;
  }

  /** A job over all VMs tagged `protect`, onto the target's first SR. */
  async job(changes: Partial<JobDefinition> = {}): Promise<JobDefinition> {
    const target = await this.connect('target');
    const [sr] = await target.call('SR.get_by_name_label', ['target-sr']);
    if (sr === undefined) throw new Error('the target has no SR "target-sr"');
    const jobId = changes.jobId ?? '11111111-1111-4111-8111-111111111111';
    return {
      ...jobDefaults,
      schemaVersion: 1,
      jobId,
      scheduleId: defaultScheduleId(jobId),
      name: 'site',
      enabled: true,
      source: { poolName: 'source', poolUuid: null },
      target: { poolName: 'target', poolUuid: target.uuid, srUuid: await target.call('SR.get_uuid', [sr]) },
      selection: { uuids: [], tags: ['protect'] },
      schedule: { kind: 'manual' },
      retention: keepLatest(3),
      networkMap: { lan: 'dr-lan' },
      onUnmappedNetwork: 'fail',
      onMissingBase: 'fail',
      onDivergence: 'fail',
      concurrency: 2,
      ...changes,
    };
  }

  async run(
    job: JobDefinition,
    changes: Partial<Pick<RunJobOptions, 'limits' | 'lockWaitMs' | 'cacheDir' | 'neighbours'>> & {
      readonly context?: Partial<RunContext>;
      readonly connect?: ConnectOptions;
      /** What the run is given in place of the source pool. */
      readonly sourceAs?: (source: Pool) => Pool;
    } = {},
  ): Promise<RunOutcome> {
    const [source, target] = await Promise.all([
      this.connect('source', changes.connect),
      this.connect('target', changes.connect),
    ]);
    const events: RunEvent[] = [];
    const {
      context,
      limits,
      cacheDir,
      neighbours,
      lockWaitMs = 0,
      sourceAs = (one: Pool): Pool => one,
    } = changes;
    const report = await runJob({
      job,
      source: sourceAs(source),
      target,
      lockWaitMs,
      ...(limits === undefined ? {} : { limits }),
      ...(cacheDir === undefined ? {} : { cacheDir }),
      ...(neighbours === undefined ? {} : { neighbours }),
      context: {
        runId: randomUUID(),
        who: 'test',
        clock: systemClock,
        signal: new AbortController().signal,
        ...context,
        emit: (event) => {
          events.push(event);
          context?.emit?.(event);
        },
      },
    });
    await Promise.all([source.disconnect(), target.disconnect()]);
    return { report, events };
  }

  #isOld(name: string): boolean {
    return this.#spec.pools.some((pool) => pool.name === name && pool.release === '6.5');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.disconnect()));
    await this.simulator.close();
  }
}

/** @param legacyTls XenServer 6.5 knows TLS 1.0 only; with a pinned certificate that can be allowed for a pool */
export function endpointOf(pool: SimulatedPool, legacyTls = false): PoolEndpoint {
  return {
    name: pool.name,
    url: pool.url,
    username: pool.username,
    password: () => Promise.resolve(pool.password),
    tls: { kind: 'fingerprints', sha256: pool.hosts.map(({ fingerprint }) => fingerprint) },
    legacyTls,
  };
}

/** Writes a recognisable pattern as a guest would. */
export async function guestWrites(
  control: PoolControl,
  vmName: string,
  device: number,
  writes: readonly { readonly atBytes: number; readonly lengthBytes: number; readonly fill: number }[],
): Promise<void> {
  const disk = await control.diskOf(await control.vmUuid(vmName), device);
  for (const { atBytes, lengthBytes, fill } of writes) {
    await control.writeDisk(disk, atBytes, Buffer.alloc(lengthBytes, fill));
  }
}
