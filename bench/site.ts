/**
 * Two simulated pools, and runs between them. Each pool is a process of its own, as real pools are machines of their own:
 * in one process they would share a core, and whoever moves the bytes would have the other one to itself.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { defaultScheduleId, deleteReplicas } from '../lib/engine';
import type { RunReport } from '../lib/engine';
import { jobDefaults, keepLatest } from '../lib/planner/job';
import type { JobDefinition } from '../lib/planner/job';
import { connectSimulator } from '../lib/simulator';
import type { Inventory, PoolControl } from '../lib/simulator';
import { Pool } from '../lib/xapi';
import type { Ref } from '../lib/xapi';
import { sentBytes } from './bench';
import type { BenchEndpoint, EngineInput, RunFigures, VerifyFigures } from './engine-run';
import type { PoolFailed, PoolReady } from './pool-process';
import type { Processes } from './processes';
import { poolSpecs } from './spec';
import type { SiteSpec } from './spec';

export type Side = 'source' | 'target';
const sides = ['source', 'target'] as const;
/** Heads of frames of 64 KiB and more, and what a transfer begins and ends with. */
const framingShare = 0.001;

interface RunningPool {
  readonly child: ChildProcess;
  readonly endpoint: BenchEndpoint;
  readonly control: PoolControl;
}

export class BenchSite implements AsyncDisposable {
  readonly folder: string;
  readonly #processes: Processes;
  readonly #pools: Readonly<Record<Side, RunningPool>>;

  private constructor(processes: Processes, folder: string, pools: Readonly<Record<Side, RunningPool>>) {
    this.#processes = processes;
    this.folder = folder;
    this.#pools = pools;
  }

  static async start(processes: Processes, spec: SiteSpec): Promise<BenchSite> {
    const folder = mkdtempSync(join(processes.folder, 'site-'));
    const specs = poolSpecs(spec);
    const started = sides.map(async (side, index): Promise<RunningPool> => {
      const temporary = join(folder, side);
      mkdirSync(temporary);
      const child = processes.start(join(__dirname, 'pool-process.js'), temporary);
      // Another seed for each: two pools never share a uuid.
      child.send({ seed: index + 1, pools: [specs[side]] });
      const { controlUrl, url, username, password, fingerprints } = await ready(child, side);
      const client = await connectSimulator(controlUrl);
      const endpoint = { name: side, url, username, password, fingerprints };
      return { child, endpoint, control: client.control(side) };
    });
    const [source, target] = await Promise.all(started);
    if (source === undefined || target === undefined) throw new RangeError('a site has two pools');
    return new BenchSite(processes, folder, { source, target });
  }

  control(side: Side): PoolControl {
    return this.#pools[side].control;
  }

  url(side: Side): string {
    return this.#pools[side].endpoint.url;
  }

  connect(side: Side): Promise<Pool> {
    const { name, url, username, password, fingerprints } = this.#pools[side].endpoint;
    return Pool.connect({
      name,
      url,
      username,
      password: () => Promise.resolve(password),
      tls: { kind: 'fingerprints', sha256: fingerprints },
      legacyTls: false,
    });
  }

  async disk(vmName: string, device = 0): Promise<string> {
    const source = this.control('source');
    return source.diskOf(await source.vmUuid(vmName), device);
  }

  /** A job over the VMs that bear the tag `protect`. @param number tells jobs apart */
  async job(number: number, changes: Partial<JobDefinition> = {}): Promise<JobDefinition> {
    await using target = await this.#connected('target');
    const [sr] = await target.pool.call('SR.get_by_name_label', ['target-sr']);
    if (sr === undefined) throw new Error('the target pool has no SR "target-sr"');
    const jobId = `22222222-2222-4222-8222-${String(number).padStart(12, '0')}`;
    return {
      ...jobDefaults,
      schemaVersion: 1,
      jobId,
      scheduleId: defaultScheduleId(jobId),
      name: `bench ${String(number)}`,
      enabled: true,
      source: { poolName: 'source', poolUuid: null },
      target: {
        poolName: 'target',
        poolUuid: target.pool.uuid,
        srUuid: await target.pool.call('SR.get_uuid', [sr]),
      },
      selection: { uuids: [], tags: ['protect'] },
      schedule: { kind: 'manual' },
      retention: keepLatest(2),
      networkMap: { lan: 'lan' },
      onUnmappedNetwork: 'fail',
      onMissingBase: 'fail',
      onDivergence: 'fail',
      concurrency: 4,
      ...changes,
    };
  }

  /** @throws Error where a VM was not replicated */
  async run(job: JobDefinition, segmentBytes?: number): Promise<RunFigures> {
    const figures = (await this.#engine({
      ...this.#input('run', job),
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    })) as RunFigures;
    if (!figures.report.ok) throw new Error(`a run failed: ${JSON.stringify(figures.report.vms)}`);
    return figures;
  }

  /**
   * Bytes that a run sent, as the target pool counted them: the engine is no witness of itself.
   *
   * @throws Error also where the engine says something else
   */
  async runCounted(
    job: JobDefinition,
    segmentBytes?: number,
  ): Promise<{ readonly run: RunFigures; readonly importedBytes: number }> {
    const target = this.control('target');
    // What a run that was killed had on the line may still arrive.
    for (let before = -1, now = 0; now !== before;) {
      before = now;
      now = (await target.counters()).bytesImported;
    }
    await target.resetCounters();
    const run = await this.run(job, segmentBytes);
    const { bytesImported: importedBytes } = await target.counters();
    const saidBytes = sentBytes(run);
    if (Math.abs(importedBytes - saidBytes) > framingShare * saidBytes)
      throw new Error(
        `the engine says that it sent ${String(saidBytes)} bytes, the target pool took ${String(importedBytes)}`,
      );
    return { run, importedBytes };
  }

  /** A run that dies in the middle of a transfer; its lock has run out when this resolves. */
  async runAndDie(job: JobDefinition, dieAtSentBytes: number, segmentBytes: number): Promise<void> {
    const input: EngineInput = { ...this.#input('run', job), segmentBytes, dieAtSentBytes };
    const { signal, stderr } = await this.#runEngine(input);
    if (signal !== 'SIGKILL')
      throw new Error(`a run lived on although it had sent ${String(dieAtSentBytes)} bytes: ${stderr}`);
    await this.control('target').advanceClock(125_000);
  }

  /** @throws Error where the newest recovery points were not found equal */
  async verify(job: JobDefinition): Promise<VerifyFigures> {
    const figures = (await this.#engine(this.#input('verify', job))) as VerifyFigures;
    if (!figures.report.ok) throw new Error(`verification: ${JSON.stringify(figures.report.points)}`);
    return figures;
  }

  /**
   * Holds each disk of the new recovery points against its source snapshot, by digests that the simulators make themselves.
   *
   * @throws Error where one differs: whatever was measured is worth nothing then
   */
  async assertEqual({ vms }: RunReport): Promise<void> {
    const [source, target] = await Promise.all(sides.map((side) => this.control(side).inventory()));
    for (const { vm, outcome } of vms) {
      if (outcome.kind !== 'replicated') throw new Error(`VM "${vm.name}" was not replicated`);
      const copied = disksOf(target, outcome.point.uuid);
      const disks = [...disksOf(source, outcome.sourceSnapshot.uuid)];
      if (disks.length === 0) throw new Error(`the source snapshot of VM "${vm.name}" has no disks`);
      for (const [device, uuid] of disks) {
        await this.assertSameContent(uuid, copied.get(device) ?? 'none', `disk ${device} of VM "${vm.name}"`);
      }
    }
  }

  async assertSameContent(sourceVdi: string, targetVdi: string, what: string): Promise<void> {
    const [original, copy] = await Promise.all([
      this.control('source').digestData(sourceVdi),
      this.control('target').digestData(targetVdi),
    ]);
    if (original.sha256 === copy.sha256 && original.sizeBytes === copy.sizeBytes) return;
    throw new Error(
      `${what}: the copy is not equal, ${JSON.stringify(copy)} for ${JSON.stringify(original)}`,
    );
  }

  /** The job's replicas and source snapshots go, and the storage of both pools is tidied: the next round starts as this one did. */
  async forget({ jobId }: JobDefinition): Promise<void> {
    await using target = await this.#connected('target');
    await deleteReplicas(target.pool, jobId);
    await using source = await this.#connected('source');
    for (const [ref, vm] of Object.entries(await source.pool.call('VM.get_all_records', []))) {
      if (vm.is_a_snapshot && Object.keys(vm.other_config).some((key) => key.includes(jobId)))
        await destroySnapshot(source.pool, ref as Ref<'VM'>, vm.VBDs);
    }
    for (const side of sides) await this.control(side).coalesce();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(sides.map((side) => this.#processes.stop(this.#pools[side].child)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #input(work: EngineInput['work'], job: JobDefinition): EngineInput {
    const { source, target } = this.#pools;
    const cacheDir = join(this.folder, 'cache');
    return { work, source: source.endpoint, target: target.endpoint, job, cacheDir };
  }

  #runEngine(input: EngineInput): ReturnType<Processes['run']> {
    return this.#processes.run(process.execPath, [join(__dirname, 'engine-run.js')], JSON.stringify(input));
  }

  async #engine(input: EngineInput): Promise<RunFigures | VerifyFigures> {
    const { code, signal, stdout, stderr } = await this.#runEngine(input);
    if (code !== 0) throw new Error(`the engine ended with ${String(code ?? signal)}: ${stderr}`);
    return JSON.parse(stdout) as RunFigures | VerifyFigures;
  }

  async #connected(side: Side): Promise<AsyncDisposable & { readonly pool: Pool }> {
    const pool = await this.connect(side);
    return { pool, [Symbol.asyncDispose]: () => pool.disconnect() };
  }
}

async function ready(child: ChildProcess, side: Side): Promise<PoolReady> {
  const ended = once(child, 'close').then(() => {
    throw new Error(`the simulated ${side} pool ended before it was ready`);
  });
  const [answer] = (await Promise.race([once(child, 'message'), ended])) as [PoolReady | PoolFailed];
  if (answer.kind === 'failed') throw new Error(`the simulated ${side} pool: ${answer.reason}`);
  return answer;
}

/** Disk uuids of a VM by device. */
function disksOf(inventory: Inventory | undefined, vmUuid: string): ReadonlyMap<string, string> {
  const { VM = {}, VBD = {}, VDI = {} } = inventory ?? {};
  const ref = Object.keys(VM).find((one) => VM[one]?.['uuid'] === vmUuid);
  const disks = Object.values(VBD).filter((vbd) => vbd['VM'] === ref && vbd['type'] === 'Disk');
  return new Map(disks.map((vbd) => [String(vbd['userdevice']), String(VDI[String(vbd['VDI'])]?.['uuid'])]));
}

export async function destroySnapshot(pool: Pool, vm: Ref<'VM'>, vbds: readonly Ref<'VBD'>[]): Promise<void> {
  const records = await Promise.all(vbds.map((vbd) => pool.call('VBD.get_record', [vbd])));
  await pool.call('VM.destroy', [vm]);
  for (const { type, VDI } of records) if (type === 'Disk') await pool.call('VDI.destroy', [VDI]);
}
