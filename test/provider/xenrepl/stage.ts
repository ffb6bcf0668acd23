import { runAttached, Workspace } from '../terraform/workspace';
import type { Result } from '../terraform/workspace';
import { FakeWorld, ids } from './fake-pools';

const address = 'terraform.local/xenrepl/xenrepl';
const header = `
terraform {
  required_providers {
    xenrepl = { source = "${address}" }
  }
}
`;

interface StateFile {
  readonly resources: readonly {
    readonly type: string;
    readonly instances: readonly { readonly attributes: Readonly<Record<string, unknown>> }[];
  }[];
}

/** The real terraform with the provider in this process, over two fake pools. */
export class Stage implements Disposable {
  readonly world = new FakeWorld();
  readonly workspace = new Workspace();

  run(...args: readonly string[]): Promise<Result> {
    return runAttached(this.workspace, address, this.world.provider(), ...args);
  }

  configure(body: string): void {
    this.workspace.write('main.tf', header + body);
  }

  async apply(body: string): Promise<Result> {
    this.configure(body);
    return this.run('apply', '-auto-approve');
  }

  /** 0: nothing to do; 2: there is. */
  async planCode(): Promise<number | null> {
    const { code, stdout, stderr } = await this.run('plan', '-detailed-exitcode');
    if (code === 1) throw new Error(stdout + stderr);
    return code;
  }

  /** Attributes of the job in the state. */
  state(): Readonly<Record<string, unknown>> {
    const { resources } = JSON.parse(this.workspace.stateText()) as StateFile;
    const found = resources.find(({ type }) => type === 'xenrepl_job')?.instances[0]?.attributes;
    if (found === undefined) throw new Error('the state has no job');
    return found;
  }

  /** Loses the state. */
  forget(): void {
    this.workspace.write('terraform.tfstate', '');
  }

  /** Keys of job definitions on the target. */
  jobKeys(): readonly string[] {
    return Object.keys(this.world.munich.otherConfig).filter((key) => key.startsWith('xenrepl:job:'));
  }

  /** The one definition on the target. */
  definition(): Record<string, unknown> {
    const [key = ''] = this.jobKeys();
    return JSON.parse(this.world.munich.otherConfig[key] ?? 'null') as Record<string, unknown>;
  }

  /** Somebody else writes the next revision. */
  changeOnPool(change: (definition: Record<string, unknown>) => Record<string, unknown>): void {
    const [key = ''] = this.jobKeys();
    const next = key.replace(/\d+$/, (revision) => String(Number(revision) + 1));
    this.world.munich.otherConfig[next] = JSON.stringify(change(this.definition()));
    Reflect.deleteProperty(this.world.munich.otherConfig, key);
  }

  [Symbol.dispose](): void {
    this.workspace[Symbol.dispose]();
  }
}

/** HCL of a job with everything that is required, and more. */
export function job(more = '', name = 'web'): string {
  return `
resource "xenrepl_job" "web" {
  name        = "${name}"
  source_pool = "paris"
  target_pool = "munich"
  target_sr   = "nas"
  vm_uuids    = ["${ids.web}"]
  ${more}
}
`;
}
