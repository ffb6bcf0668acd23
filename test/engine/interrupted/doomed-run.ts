/** Starts runs that die, from tests. */
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobDefinition } from '../../../lib/planner/job';
import type { RunReport } from '../../../lib/engine';
import type { SimulatedPool } from '../../../lib/simulator';
import type { Site } from '../site';
import type { DeathPoint, EndpointData, RunnerInput } from './runner';

const mib = 1024 ** 2;

export interface Died {
  readonly signal: NodeJS.Signals | null;
  readonly exitCode: number | null;
  /** Only of a run that lived to its end. */
  readonly report: RunReport | null;
  readonly calls: number;
  readonly errors: string;
}

/** The runner as one file: built once per test file, since a process of its own cannot load TypeScript. */
export class DoomedRuns implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'xenrepl-doomed-'));

  static async build(): Promise<DoomedRuns> {
    const doomed = new DoomedRuns();
    await build({
      entryPoints: [join(__dirname, 'runner.ts')],
      outfile: doomed.#program,
      bundle: true,
      platform: 'node',
      target: 'node20',
      logLevel: 'error',
    });
    return doomed;
  }

  get #program(): string {
    return join(this.#folder, 'runner.cjs');
  }

  async run(site: Site, job: JobDefinition, death: DeathPoint): Promise<Died> {
    const input: RunnerInput = {
      source: data(site.source),
      target: data(site.target),
      job,
      run: randomUUID(),
      death,
      limits: { bytesMax: 4 * mib, durationMaxMs: 60_000 },
    };
    const child = spawn(process.execPath, [this.#program], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(JSON.stringify(input));
    const output = collect(child.stdout);
    const errors = collect(child.stderr);
    const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
      (resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, killedBy) => resolve([code, killedBy]));
      },
    );
    const text = output();
    const lived = text === '' ? null : (JSON.parse(text) as { report: RunReport; calls: number });
    return { signal, exitCode, report: lived?.report ?? null, calls: lived?.calls ?? 0, errors: errors() };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

function data(pool: SimulatedPool): EndpointData {
  return {
    name: pool.name,
    url: pool.url,
    username: pool.username,
    password: pool.password,
    fingerprints: pool.hosts.map(({ fingerprint }) => fingerprint),
  };
}
