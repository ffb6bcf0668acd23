/** One piece of work of the engine in a process of its own, which measures itself. Reads one JSON document from standard input. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { runJob, systemClock, verifyJob } from '../lib/engine';
import type { RunEvent, RunJobOptions, RunReport, VerifyReport } from '../lib/engine';
import type { JobDefinition } from '../lib/planner/job';
import { Pool } from '../lib/xapi';

export interface BenchEndpoint {
  readonly name: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly fingerprints: readonly string[];
}

export interface EngineInput {
  readonly work: 'run' | 'verify';
  readonly source: BenchEndpoint;
  readonly target: BenchEndpoint;
  readonly job: JobDefinition;
  readonly cacheDir: string;
  /** Length of a segment; the engine's own where absent. */
  readonly segmentBytes?: number;
  /** Ends itself with SIGKILL when so much was sent. */
  readonly dieAtSentBytes?: number;
}

/** From the first call of the work to its report: start of the process and logging in not counted. */
export interface EngineFigures {
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Of the whole process, start included. */
  readonly peakRssBytes: number;
  /** XAPI calls of the work, by method. */
  readonly calls: Readonly<Record<string, number>>;
}

export interface RunFigures extends EngineFigures {
  readonly report: RunReport;
}

export interface VerifyFigures extends EngineFigures {
  readonly report: VerifyReport;
}

const input = JSON.parse(readFileSync(0, 'utf8')) as EngineInput;
let calls: Record<string, number> = {};

function connect({ name, url, username, password, fingerprints }: BenchEndpoint): Promise<Pool> {
  return Pool.connect(
    {
      name,
      url,
      username,
      password: () => Promise.resolve(password),
      tls: { kind: 'fingerprints', sha256: fingerprints },
      legacyTls: false,
    },
    {
      onCall: (method) => {
        calls[method] = (calls[method] ?? 0) + 1;
      },
    },
  );
}

function dieWhenSent(event: RunEvent): void {
  const { dieAtSentBytes } = input;
  if (dieAtSentBytes === undefined || event.kind !== 'disk-progress') return;
  if (event.bytesSent >= dieAtSentBytes) process.kill(process.pid, 'SIGKILL');
}

const { job, segmentBytes, cacheDir } = input;
const context = { clock: systemClock, signal: new AbortController().signal };

function run(source: Pool, target: Pool): Promise<RunReport> {
  const options: RunJobOptions = {
    job,
    cacheDir,
    source,
    target,
    context: { ...context, runId: randomUUID(), who: 'bench', emit: dieWhenSent },
  };
  if (segmentBytes === undefined) return runJob(options);
  return runJob({ ...options, limits: { bytesMax: segmentBytes, durationMaxMs: 600_000 } });
}

function verify(source: Pool, target: Pool): Promise<VerifyReport> {
  return verifyJob({
    job,
    source,
    target,
    onlyVms: null,
    points: 'newest',
    mode: 'full',
    sampleBytes: 0,
    context: { ...context, runId: randomUUID(), emit: () => undefined, random: Math.random },
  });
}

async function main(): Promise<void> {
  const source = await connect(input.source);
  const target = await connect(input.target);
  calls = {};
  const startedMs = performance.now();
  const before = process.cpuUsage();
  const report = await (input.work === 'run' ? run : verify)(source, target);
  const cpu = process.cpuUsage(before);
  const wallMs = performance.now() - startedMs;
  const counted = { ...calls };
  await Promise.all([source.disconnect(), target.disconnect()]);
  const figures: EngineFigures & { readonly report: unknown } = {
    report,
    wallMs,
    cpuMs: (cpu.user + cpu.system) / 1000,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    calls: counted,
  };
  process.stdout.write(JSON.stringify(figures));
}

void main();
