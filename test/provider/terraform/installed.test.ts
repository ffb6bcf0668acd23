import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { providerAddress } from '../../../lib/delivery';
import type { Simulator } from '../../../lib/simulator';
import { Bundle } from '../plugin/bundle';
import { install, password, poolEntry, startSite, version } from './site';
import { Workspace } from './workspace';

/*
 * The provider as users get it: bundled, started by terraform through the launcher, over mutual TLS, against whole
 * pools over HTTPS with pinned certificates.
 */

const header = `
terraform {
  required_providers {
    xenrepl = {
      source  = "${providerAddress}"
      version = "${version}"
    }
  }
}
`;

const job = `
resource "xenrepl_job" "web" {
  name        = "web"
  source_pool = "paris"
  target_pool = "munich"
  target_sr   = "nas"
  vm_tags     = ["dr"]
  network_map = { "LAN Paris" = "LAN Munich" }
}
`;

const replicas = `
data "xenrepl_replicas" "web" {
  target_pool = xenrepl_job.web.target_pool
  job_id      = xenrepl_job.web.job_id
}
output "replicas" { value = data.xenrepl_replicas.web }
`;

let bundle: Bundle;
let site: Simulator;
beforeAll(async () => {
  [bundle, site] = await Promise.all([Bundle.build(), startSite()]);
});
afterAll(async () => {
  bundle[Symbol.dispose]();
  await site.close();
});

async function workspaceWith(
  configuration: string,
  munich: Readonly<Record<string, string>> = {},
): Promise<Workspace> {
  const workspace = new Workspace();
  install(workspace, bundle);
  workspace.write('main.tf', header + configuration);
  workspace.write(
    'xenrepl.yaml',
    `pools:\n${poolEntry(site.pool('paris'))}${poolEntry(site.pool('munich'), munich)}`,
  );
  const init = await workspace.run(['init', '-input=false']);
  if (init.code !== 0) throw new Error(init.stdout + init.stderr);
  return workspace;
}

/** Processes of the provider that terraform started in a workspace. */
function providersOf({ folder }: Workspace): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const isOurs = readlinkSync(`/proc/${pid}/cwd`) === folder;
      return isOurs && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('provider.cjs');
    } catch {
      // Not a process, or one that ended meanwhile.
      return false;
    }
  });
}

/** What providers leave in the temporary folder while they run. */
function socketFolders({ folder }: Workspace): readonly string[] {
  return readdirSync(folder).filter((name) => name.startsWith('tfp-'));
}

/** Processes that are not our children tell nobody of their end: looked at until it comes, or the test's time is up. */
async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('a job on real pools: apply, clean plan, replicas, destroy; no secret anywhere, nothing left running', async () => {
  using workspace = await workspaceWith(job + replicas);
  const applied = await workspace.run(['apply', '-auto-approve'], { TF_LOG: 'TRACE' });
  expect(applied.code).toBe(0);
  expect(applied.stdout).toContain('1 added');

  const plan = await workspace.run(['plan', '-detailed-exitcode']);
  expect([plan.code, plan.stderr]).toEqual([0, '']);

  const output = await workspace.run(['output', '-json', 'replicas']);
  expect(JSON.parse(output.stdout)).toMatchObject({ reachable: true, replicas: [] });

  expect(workspace.stateText()).not.toContain(password);
  expect(applied.stdout + applied.stderr).not.toContain(password);
  expect(applied.stderr).toMatch(
    /\[INFO\] +provider\.terraform-provider-xenrepl_v0\.1\.0: connected:.* pool=munich/,
  );

  const destroyed = await workspace.run(['destroy', '-auto-approve']);
  expect(destroyed.stdout).toContain('1 destroyed');
  expect(providersOf(workspace)).toEqual([]);
  expect(socketFolders(workspace)).toEqual([]);
});

test('a certificate that is not pinned is refused, and the password stays here', async () => {
  using workspace = await workspaceWith(job, { fingerprints: 'AA:'.repeat(31) + 'AA' });
  const applied = await workspace.run(['apply', '-auto-approve']);
  expect(applied.code).toBe(1);
  expect(applied.stderr).toContain('fingerprint');
});

test('a role that may only read is refused at plan, with the role that is needed', async () => {
  using workspace = await workspaceWith(job, { username: 'reader' });
  const plan = await workspace.run(['plan']);
  expect(plan.code).toBe(1);
  expect(plan.stderr).toContain('Missing Permissions');
  expect(plan.stderr).toContain('pool-operator');
});

test('a wrong password is an error of the pool, and keeps what stands in the state', async () => {
  using workspace = await workspaceWith(job);
  await workspace.run(['apply', '-auto-approve']);
  const before = workspace.stateText();
  const good = poolEntry(site.pool('paris')) + poolEntry(site.pool('munich'));
  workspace.write('xenrepl.yaml', `pools:\n${good.replaceAll(password, 'wrong')}`);
  const plan = await workspace.run(['plan']);
  expect(plan.code).toBe(1);
  expect(plan.stderr).toContain('Unable to Read Replication Job "web"');
  expect(plan.stderr.replace(/\s+/g, ' ')).toContain('user name or password is wrong');
  expect(workspace.stateText()).toBe(before);
  workspace.write('xenrepl.yaml', `pools:\n${good}`);
  expect((await workspace.run(['destroy', '-auto-approve'])).code).toBe(0);
});

test('a pools file that others can read is refused', async () => {
  using workspace = await workspaceWith(job);
  workspace.write('open.yaml', 'pools: {}\n');
  chmodSync(`${workspace.folder}/open.yaml`, 0o644);
  const plan = await workspace.run(['plan'], { XENREPL_POOLS_FILE: 'open.yaml' });
  expect(plan.stderr).toContain('Unable to Load Pools File');
});

test('the stand-in for hashicorp/null runs provisioners at creation, on change, and at destruction', async () => {
  using workspace = new Workspace();
  install(workspace, bundle);
  const configuration = (trigger: string) => `
    terraform {
      required_providers {
        null = { source = "hashicorp/null", version = "3.2.4" }
      }
    }
    resource "null_resource" "hook" {
      triggers = { at = "${trigger}" }
      provisioner "local-exec" { command = "echo made \${self.triggers.at}" }
      provisioner "local-exec" {
        when    = destroy
        command = "echo gone \${self.triggers.at}"
      }
    }
    data "null_data_source" "copy" { inputs = { at = null_resource.hook.triggers.at } }
    output "copied" { value = data.null_data_source.copy.outputs.at }
  `;
  workspace.write('main.tf', configuration('1'));
  await workspace.run(['init']);
  const made = await workspace.run(['apply', '-auto-approve']);
  expect(made.stdout).toContain('(local-exec): made 1');
  expect((await workspace.run(['plan', '-detailed-exitcode'])).code).toBe(0);
  workspace.write('main.tf', configuration('2'));
  const changed = await workspace.run(['apply', '-auto-approve']);
  expect(changed.stdout).toContain('(local-exec): gone 1');
  expect(changed.stdout).toContain('(local-exec): made 2');
  expect(changed.stdout).toContain('copied = "2"');
  const gone = await workspace.run(['destroy', '-auto-approve']);
  expect(gone.stdout).toContain('(local-exec): gone 2');
});

describe('while a pool keeps the provider waiting', () => {
  const write = 'pool.add_to_other_config';

  /** Applies until the pool was asked to write the definition, which it never answers. */
  async function stuckApply(workspace: Workspace): Promise<{ terraform: ChildProcess; shown: () => string }> {
    const { control } = site.pool('munich');
    await control.addFault({ match: { method: write }, effect: { kind: 'delay', ms: 60_000 } });
    const terraform = workspace.start(['apply', '-auto-approve']);
    let shown = '';
    for (const stream of [terraform.stdout, terraform.stderr]) {
      stream?.on('data', (chunk: Buffer) => (shown += chunk.toString()));
    }
    await eventually(async () => (await control.faultCounters()).some(({ hits }) => hits > 0));
    return { terraform, shown: () => shown };
  }

  afterEach(() => site.pool('munich').control.clearFaults());

  test('kill -9 of terraform leaves no process and no folder', async () => {
    using workspace = await workspaceWith(job);
    const { terraform } = await stuckApply(workspace);
    expect(providersOf(workspace)).toHaveLength(1);
    terraform.kill('SIGKILL');
    await once(terraform, 'exit');
    await eventually(() => providersOf(workspace).length === 0);
    expect(socketFolders(workspace)).toEqual([]);
  });

  test('Ctrl-C, which reaches terraform and provider alike, aborts the call and is told as what it is', async () => {
    using workspace = await workspaceWith(job);
    const { terraform, shown } = await stuckApply(workspace);
    for (const pid of providersOf(workspace)) process.kill(Number(pid), 'SIGINT');
    terraform.kill('SIGINT');
    await once(terraform, 'close');
    expect(terraform.exitCode).toBe(1);
    expect(shown()).toContain('Unable to Create Replication Job "web"');
    expect(shown()).toContain('Terraform asked to stop while this was going on.');
    await eventually(() => providersOf(workspace).length === 0);
    expect(socketFolders(workspace)).toEqual([]);
  });
});
