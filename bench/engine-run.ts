/** One run of a job in a process of its own, which measures itself. Reads one JSON document from standard input. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { runJob, systemClock } from '../lib/engine';
import type { RunReport } from '../lib/engine';
import type { JobDefinition } from '../lib/planner/job';
import { Pool } from '../lib/xapi';

export interface BenchEndpoint {
  readonly name: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly fingerprints: readonly string[];
}

export interface EngineRunInput {
  readonly source: BenchEndpoint;
  readonly target: BenchEndpoint;
  readonly job: JobDefinition;
  readonly cacheDir: string;
}

export interface EngineRunFigures {
  readonly report: RunReport;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssBytes: number;
  /** XAPI calls of the run, by method; logging in and out not counted. */
  readonly calls: Readonly<Record<string, number>>;
}

const input = JSON.parse(readFileSync(0, 'utf8')) as EngineRunInput;
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

async function main(): Promise<void> {
  const source = await connect(input.source);
  const target = await connect(input.target);
  calls = {};
  const startedMs = performance.now();
  const before = process.cpuUsage();
  const report = await runJob({
    job: input.job,
    cacheDir: input.cacheDir,
    source,
    target,
    context: {
      runId: randomUUID(),
      who: 'bench',
      clock: systemClock,
      signal: new AbortController().signal,
      emit: () => undefined,
    },
  });
  const cpu = process.cpuUsage(before);
  const counted = { ...calls };
  const wallMs = performance.now() - startedMs;
  await Promise.all([source.disconnect(), target.disconnect()]);
  const figures: EngineRunFigures = {
    report,
    wallMs,
    cpuMs: (cpu.user + cpu.system) / 1000,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    calls: counted,
  };
  process.stdout.write(JSON.stringify(figures));
}

void main();
