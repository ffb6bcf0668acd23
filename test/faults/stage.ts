/** Two simulated pools, a VM with two disks, a job between them, and everything that a fault point does there. */
import { keepLatest } from '../../lib/planner/job';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runJob, systemClock, verifyJob } from '../../lib/engine';
import type { RunContext, RunEvent, RunJobOptions, RunReport, VerifyReport } from '../../lib/engine';
import type { SegmentLimits } from '../../lib/engine/data/write-segments';
import type { JobDefinition } from '../../lib/planner/job';
import type { SimulatedPool, SimulatorSpec } from '../../lib/simulator';
import { Pool } from '../../lib/xapi';
import type { PoolEndpoint } from '../../lib/xapi';
import { endpointOf, Site } from '../engine/site';
import { Admin } from './admin';
import { quickClock } from './clock';
import { gatekeeper, watch } from './gates';
import { Judge } from './judge';
import { OpenSteps, Pending } from './pending';
import type { Random } from './random';
import { Trace } from './trace';
import type { Victims } from './victims';

export const mib = 1024 ** 2;
export const vmName = 'db1';

export type Side = 'source' | 'target';

/** Small disks: what breaks is the order of calls and bytes, not their number. */
export const smallSpec: SimulatorSpec = {
  seed: 1,
  pools: [
    {
      name: 'source',
      hosts: [{ name: 'source-1' }, { name: 'source-2' }],
      srs: [{ name: 'source-sr', type: 'ext', sizeBytes: 64 * 1024 * mib, default: true }],
      networks: [{ name: 'lan' }],
      vms: [
        {
          name: vmName,
          tags: ['protect'],
          running: true,
          disks: [
            { device: 0, name: 'root', sizeBytes: 16 * mib, sr: 'source-sr' },
            { device: 1, name: 'data', sizeBytes: 24 * mib, sr: 'source-sr' },
          ],
          vifs: [{ network: 'lan', mac: '02:00:00:00:00:01' }],
        },
      ],
    },
    {
      name: 'target',
      hosts: [{ name: 'target-1' }, { name: 'target-2' }],
      srs: [{ name: 'target-sr', type: 'ext', sizeBytes: 64 * 1024 * mib, default: true }],
      networks: [{ name: 'dr-lan' }],
      vms: [],
    },
  ],
};

/** Something that happens right before the engine's nth call of a method, `openExport` or `finishExport`, `openImport` or `finishImport`. */
export interface Gate {
  readonly side: Side;
  readonly method: string;
  /** Default 1. */
  readonly nth?: number;
  readonly act: (stage: Stage) => Promise<unknown>;
}

export interface StageRun {
  readonly job?: JobDefinition;
  readonly gates?: readonly Gate[];
  readonly endpoints?: Readonly<Partial<Record<Side, PoolEndpoint>>>;
  readonly context?: Partial<RunContext>;
  readonly lockWaitMs?: number;
  readonly limits?: SegmentLimits;
}

export interface Ended {
  readonly report: RunReport;
  readonly events: readonly RunEvent[];
}

/** Segments end by bytes alone: the quick clock would cut them by time wherever the machine is slow. */
export const limits: SegmentLimits = { bytesMax: 4 * mib, durationMaxMs: 3_600_000 };

export class Stage implements AsyncDisposable {
  readonly site: Site;
  readonly victims: Victims;
  readonly judge: Judge;
  readonly admin: Readonly<Record<Side, Admin>>;
  readonly vm: string;
  job: JobDefinition;
  /** How often whole blocks were written: each time with another content. */
  blocksWritten = 0;
  /** What the table says of the point that is being played. */
  readonly trace = new Trace();
  /** What that point waits for. */
  readonly pending = new Pending();
  /** Ends runs of a point that did not end by itself. */
  readonly #left = new AbortController();
  /** Where runs keep what makes deltas smaller. */
  readonly #cacheDir = mkdtempSync(join(tmpdir(), 'xenrepl-faults-'));
  /** Whether they do. */
  remembers = false;

  private constructor(site: Site, job: JobDefinition, vm: string, victims: Victims) {
    this.site = site;
    this.job = job;
    this.vm = vm;
    this.victims = victims;
    this.admin = { source: new Admin(site.source), target: new Admin(site.target) };
    this.judge = new Judge(this);
  }

  static async open(
    victims: Victims,
    spec: SimulatorSpec = smallSpec,
    job: Partial<JobDefinition> = {},
  ): Promise<Stage> {
    const site = await Site.start(spec);
    try {
      const vm = await site.source.control.vmUuid(vmName);
      const retention = keepLatest(2);
      return new Stage(site, await site.job({ retention, ...job }), vm, victims);
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
  }

  pool(side: Side): SimulatedPool {
    return this.site[side];
  }

  /**
   * What a guest does between two runs: a stretch over three blocks of one disk, a little on the other, some zeros.
   * Wherever it falls, as many blocks are touched: runs of one kind make the same calls.
   */
  async write(random: Random): Promise<void> {
    const fill = 1 + random.below(254);
    await this.fill(0, 2 * mib * random.below(5) + 4096 * random.below(100), 5 * mib, fill);
    const block = 2 * mib * random.below(12);
    await this.fill(1, block + 512 * random.below(300), 512 * (1 + random.below(300)), fill + 1);
    await this.fill(1, block + mib, 65_536, 0);
  }

  get cacheDir(): string | null {
    return this.remembers ? this.#cacheDir : null;
  }

  /** What the disks of the VM hold. */
  async contents(): Promise<readonly Buffer[]> {
    const { control } = this.site.source;
    const disks = await Promise.all([0, 1].map((device) => control.diskOf(this.vm, device)));
    const sizes = [16 * mib, 24 * mib];
    return Promise.all(
      disks.map(async (disk, at) => Buffer.from(await control.readDisk(disk, 0, sizes[at] ?? 0))),
    );
  }

  /** The guest takes back what it has written since, piece by piece. */
  async writeBack(before: readonly Buffer[]): Promise<void> {
    const { control } = this.site.source;
    const pieceBytes = 64 * 1024;
    for (const [device, now] of (await this.contents()).entries()) {
      const disk = await control.diskOf(this.vm, device);
      for (let at = 0; at < now.length; at += pieceBytes) {
        const piece = before[device]?.subarray(at, at + pieceBytes);
        if (piece === undefined || piece.equals(now.subarray(at, at + pieceBytes))) continue;
        await control.writeDisk(disk, at, piece);
      }
    }
  }

  /** Writes to a disk of the VM as its guest does. */
  async fill(device: number, atBytes: number, lengthBytes: number, value: number): Promise<void> {
    const { control } = this.site.source;
    await control.writeDisk(await control.diskOf(this.vm, device), atBytes, Buffer.alloc(lengthBytes, value));
  }

  /** A run of the engine in this process, with sessions of its own. */
  async run(options: StageRun = {}): Promise<Ended> {
    const source = await this.#connect('source', options);
    const target = await this.#connect('target', options).catch(async (error: unknown) => {
      await source.disconnect();
      throw error;
    });
    const events: RunEvent[] = [];
    const steps = new OpenSteps(this.pending);
    try {
      const given: RunJobOptions = {
        job: options.job ?? this.job,
        source,
        target,
        limits: options.limits ?? limits,
        lockWaitMs: options.lockWaitMs ?? 0,
        ...(this.cacheDir === null ? {} : { cacheDir: this.cacheDir }),
        context: {
          runId: randomUUID(),
          who: 'fault table',
          clock: quickClock,
          signal: this.#left.signal,
          ...options.context,
          emit: (event) => {
            events.push(event);
            steps.on(event);
            options.context?.emit?.(event);
          },
        },
      };
      const report = await this.pending.during('a run', () => runJob(given));
      this.trace.reported(report);
      return { report, events };
    } finally {
      await this.#leave(source, target);
    }
  }

  /** Reads the newest recovery point back in full. */
  async verify(): Promise<VerifyReport> {
    const [source, target] = [await this.#connect('source', {}), await this.#connect('target', {})];
    const context = {
      runId: randomUUID(),
      clock: systemClock,
      signal: new AbortController().signal,
      emit: () => undefined,
      random: Math.random,
    };
    try {
      return await verifyJob({
        job: this.job,
        source,
        target,
        onlyVms: null,
        points: 'newest',
        mode: 'full',
        sampleBytes: 0,
        context,
      });
    } finally {
      await this.#leave(source, target);
    }
  }

  async #leave(...pools: readonly Pool[]): Promise<void> {
    await this.pending.during('leaving the pools', () => Promise.all(pools.map((pool) => pool.disconnect())));
  }

  async #connect(side: Side, { endpoints, gates = [] }: StageRun): Promise<Pool> {
    const pool = await Pool.connect(endpoints?.[side] ?? endpointOf(this.pool(side)));
    const pass = gatekeeper(
      side,
      gates,
      (gate) => gate.act(this),
      async (method) => {
        if (side === 'source' && method === 'VDI.destroy') await this.judge.remember();
      },
    );
    watch(pool, { side, pending: this.pending, pass });
    return pool;
  }

  async clearFaults(): Promise<void> {
    await Promise.all([this.site.source.control.clearFaults(), this.site.target.control.clearFaults()]);
  }

  /** Lets the lease of a dead holder run out. */
  async outwaitLease(): Promise<void> {
    await this.site.target.control.advanceClock(125_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#left.abort();
    await Promise.all([this.admin.source.leave(), this.admin.target.leave()]).catch(() => undefined);
    rmSync(this.#cacheDir, { recursive: true, force: true });
    await this.site[Symbol.asyncDispose]();
  }
}
