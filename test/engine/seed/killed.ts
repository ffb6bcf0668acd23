/** Starts attachments that die, from tests. */
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SeedJob } from '../../../lib/planner/seed';
import type { SimulatedPool } from '../../../lib/simulator';
import type { EndpointData } from '../interrupted/runner';
import type { Site } from '../site';
import type { Carried } from './carried';
import type { AttachInput } from './runner';

export interface Died {
  /** Null where it lived to its end. */
  readonly signal: NodeJS.Signals | null;
}

export class KilledAttachments implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'xenrepl-killed-'));

  /** The runner as one file: a process of its own cannot load TypeScript. */
  static async build(): Promise<KilledAttachments> {
    const killed = new KilledAttachments();
    await build({
      entryPoints: [join(__dirname, 'runner.ts')],
      outfile: killed.#program,
      bundle: true,
      platform: 'node',
      target: 'node20',
      external: ['pac-proxy-agent'],
      logLevel: 'error',
    });
    return killed;
  }

  get #program(): string {
    return join(this.#folder, 'runner.cjs');
  }

  /** Dies as the call of this method, `target VM.snapshot`, was answered; after `nth` others of it. */
  attachUntil(site: Site, seed: Carried, job: SeedJob, call: string, nth = 0): Promise<Died> {
    return this.#run(site, seed, job, { call, nth });
  }

  async #run(site: Site, seed: Carried, job: SeedJob, death: AttachInput['death']): Promise<Died> {
    const input: AttachInput = {
      source: data(site.source),
      target: data(site.target),
      job,
      run: randomUUID(),
      ...seed,
      death,
    };
    const child = spawn(process.execPath, [this.#program], { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.end(JSON.stringify(input));
    const errors: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, killedBy) => resolve([exitCode, killedBy]));
    });
    if (signal === null && code !== 0) throw new Error(`failed: ${Buffer.concat(errors).toString('utf8')}`);
    return { signal };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
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
