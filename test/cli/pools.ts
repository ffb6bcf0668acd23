/** Two simulated pools, a job between them, and a folder with the pools file that names them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeJob } from '../../lib/engine';
import type { JobDefinition } from '../../lib/planner/job';
import type { SimulatedPool, SimulatorSpec } from '../../lib/simulator';
import { Site } from '../engine/site';
import { call, called } from './call';
import type { Called, Surroundings } from './call';

export const jobId = '11111111-1111-4111-8111-111111111111';

export class Pools implements AsyncDisposable {
  readonly site: Site;
  readonly folder: string;

  private constructor(site: Site, folder: string) {
    this.site = site;
    this.folder = folder;
  }

  static async start(spec?: SimulatorSpec): Promise<Pools> {
    const pools = new Pools(await Site.start(spec), await mkdtemp(join(tmpdir(), 'xenrepl-cli-')));
    await pools.writePoolsFile([pools.site.source, pools.site.target]);
    return pools;
  }

  /** Under names other than their own where `names` says so. */
  async writePoolsFile(
    pools: readonly SimulatedPool[],
    names: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const entries = pools.map((pool) => [names[pool.name] ?? pool.name, entryOf(pool)] as const);
    await writeFile(join(this.folder, 'xenrepl.yaml'), stringify({ pools: Object.fromEntries(entries) }), {
      mode: 0o600,
    });
  }

  /** The job "site" of all VMs tagged `protect`, stored on the target. */
  async storeJob(changes: Partial<JobDefinition> = {}): Promise<JobDefinition> {
    const job = await this.site.job({ jobId, ...changes });
    await writeJob(await this.site.connect('target'), job);
    return job;
  }

  call(argv: readonly string[], surroundings: Surroundings = {}): Called {
    return call(argv, { cwd: this.folder, ...surroundings });
  }

  called(
    argv: readonly string[],
    surroundings: Surroundings = {},
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    return called(argv, { cwd: this.folder, ...surroundings });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function entryOf({
  url,
  username,
  password,
  hosts,
}: SimulatedPool): Readonly<Record<string, unknown>> {
  return { url, username, password, fingerprints: hosts.map(({ fingerprint }) => fingerprint) };
}

/** Puts words in place of what differs from run to run: uuids by their first sight, times, durations, rates. */
export function masked(text: string): string {
  const seen: string[] = [];
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (uuid) => {
      if (!seen.includes(uuid)) seen.push(uuid);
      return `<uuid ${String(seen.indexOf(uuid) + 1)}>`;
    })
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, '<time>')
    .replace(/\d{8}T\d{6}Z/g, '<stamp>')
    .replace(/\b\d+(\.\d+)? s\b/g, '<duration>')
    .replace(/ {2,}/g, '  ');
}
