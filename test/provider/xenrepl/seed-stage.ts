import { randomUUID } from 'node:crypto';
import { listJobs } from '../../../lib/engine';
import * as engineSide from '../../../lib/provider/xenrepl/engine-side';
import { xenreplProvider } from '../../../lib/provider/xenrepl/provider';
import { carry, takeSnapshot } from '../../engine/seed/carried';
import { guestWrites, Site } from '../../engine/site';
import { runAttached, Workspace } from '../terraform/workspace';
import type { Result } from '../terraform/workspace';

const mib = 1024 ** 2;
const address = 'terraform.local/xenrepl/xenrepl';

interface StateFile {
  readonly resources: readonly {
    readonly type: string;
    readonly instances: readonly { readonly attributes: Readonly<Record<string, unknown>> }[];
  }[];
}

/** What the configuration says of the seed. */
export interface SeedArguments {
  readonly snapshot: string;
  readonly vm: string;
  /** Further arguments, as HCL. */
  readonly more?: string;
}

/** The real terraform over two simulated pools; a snapshot was taken, and its disks were carried to the target. */
export class SeedStage implements AsyncDisposable {
  readonly site: Site;
  readonly workspace = new Workspace();
  readonly snapshot: string;
  readonly vm: string;

  private constructor(site: Site, snapshot: string, vm: string) {
    this.site = site;
    this.snapshot = snapshot;
    this.vm = vm;
    this.lose();
  }

  static async start(): Promise<SeedStage> {
    const site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 5 * mib, fill: 0x11 }]);
    const snapshot = await takeSnapshot(site);
    return new SeedStage(site, snapshot, await carry(site, snapshot));
  }

  /** From now on these pools do not answer. */
  lose(...names: readonly string[]): void {
    this.workspace.write('pools.yaml', poolsFile(this.site, names));
  }

  /** Writes the configuration: a job that waits for a seed, and the seed, where one is given. */
  configure(seed: SeedArguments | null, provider = ''): void {
    const { snapshot, vm, more = '' } = seed ?? { snapshot: '', vm: '' };
    const resource = `
      resource "xenrepl_seed" "db1" {
        target_pool          = "target"
        job_id               = xenrepl_job.site.job_id
        source_snapshot_uuid = "${snapshot}"
        target_vm_uuid       = "${vm}"
        ${more}
      }`;
    this.workspace.write(
      'main.tf',
      `
      terraform {
        required_providers {
          xenrepl = { source = "${address}" }
        }
      }
      provider "xenrepl" {
        pools_file = "${this.workspace.folder}/pools.yaml"
        ${provider}
      }
      resource "xenrepl_job" "site" {
        name         = "site"
        source_pool  = "source"
        target_pool  = "target"
        target_sr    = "target-sr"
        vm_tags      = ["protect"]
        network_map  = { lan = "dr-lan" }
        retention    = { latest = 1 }
        initial_copy = "seed"
        enabled      = false
      }
      ${seed === null ? '' : resource}`,
    );
  }

  run(...args: readonly string[]): Promise<Result> {
    const provider = xenreplProvider({
      cwd: this.workspace.folder,
      env: {},
      home: this.workspace.folder,
      now: () => Date.now(),
      newId: randomUUID,
      who: 'a test',
      log: () => undefined,
      loadEngineSide: () => Promise.resolve(engineSide),
    });
    return runAttached(this.workspace, address, provider, ...args);
  }

  async apply(seed: SeedArguments | null): Promise<Result> {
    this.configure(seed);
    return this.run('apply', '-auto-approve');
  }

  /** 0: nothing to do; 1: an error; 2: there is. */
  async planCode(): Promise<number | null> {
    return (await this.run('plan', '-detailed-exitcode')).code;
  }

  /** Attributes of the seed in the state; null where it has none. */
  state(): Readonly<Record<string, unknown>> | null {
    const { resources } = JSON.parse(this.workspace.stateText()) as StateFile;
    return resources.find(({ type }) => type === 'xenrepl_seed')?.instances[0]?.attributes ?? null;
  }

  /** Runs the job as it stands on the target. */
  async runJob(): Promise<'full' | 'delta'> {
    const [job] = await listJobs(await this.site.connect('target'));
    if (job === undefined) throw new Error('the target has no job');
    const { report } = await this.site.run(job.definition);
    const outcome = report.vms[0]?.outcome;
    if (outcome?.kind !== 'replicated') throw new Error(`not replicated: ${JSON.stringify(report)}`);
    return outcome.copyKind;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.workspace[Symbol.dispose]();
    await this.site[Symbol.asyncDispose]();
  }
}

function poolsFile({ source, target }: Site, away: readonly string[]): string {
  const entries = [source, target].map(({ name, url, username, password, hosts }) => [
    name,
    {
      // Nothing listens on the port of the discard protocol.
      url: away.includes(name) ? 'https://127.0.0.1:9' : url,
      username,
      password,
      fingerprints: hosts.map(({ fingerprint }) => fingerprint),
    },
  ]);
  return JSON.stringify({ pools: Object.fromEntries(entries) as unknown });
}
