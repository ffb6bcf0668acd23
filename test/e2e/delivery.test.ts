/*
 * The real cdktf and Terraform, on a machine that has nothing of ours installed and reaches no network: the first
 * `cdktf deploy` must pass, in a stack that requires a third provider too.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LockFile, installPackage, nullPackage, terraformPlatform } from '../../lib/delivery';
import { CdktfProject } from './cdktf-project';

const app = `
const { App, TerraformProvider, TerraformResource, TerraformStack } = require('cdktf');
const { XenReplicationProvider } = require('cdktf-xen-replication');
const { NullProvider } = require('@cdktf/provider-null/lib/provider');
const { Resource } = require('@cdktf/provider-null/lib/resource');

const app = new App();
const stack = new TerraformStack(app, 'site');
new XenReplicationProvider(stack, 'xenrepl', { airGapped: process.env.CONNECTED !== '1' });

new NullProvider(stack, 'null');
const command = 'test -f ./xenrepl/xenrepl.cjs && "$\${XENREPL_NODE:-node}" -p "\\'node \\' + 6 * 7"';
new Resource(stack, 'hook', { triggers: { at: '1' }, provisioners: [{ type: 'local-exec', command }] });

const other = new TerraformProvider(stack, 'other', {
  terraformResourceType: 'other',
  terraformProviderSource: 'terraform.local/acme/other',
  terraformGeneratorMetadata: { providerName: 'other', providerVersion: '1.2.3' },
});
new TerraformResource(stack, 'third', { terraformResourceType: 'null_resource', provider: other });
app.synth();
`;

let project: CdktfProject;
beforeAll(() => {
  project = new CdktfProject(app);
  // Somebody else's provider in a mirror of the user's own: it is there before the first synth, and not locked.
  const platform = terraformPlatform(process.platform, process.arch);
  const bundle = readFileSync(join(__dirname, '..', '..', 'dist', 'bundle', 'provider.cjs'));
  const mirror = join(project.stackFolder('site'), 'terraform.d', 'plugins');
  installPackage(mirror, nullPackage('terraform.local/acme/other', '1.2.3', platform, bundle));
});
afterAll(() => project.remove());

function lock(): LockFile {
  return new LockFile(readFileSync(join(project.stackFolder('site'), '.terraform.lock.hcl'), 'utf8'));
}

test('the first deploy passes, and its provisioners find the CLI and node', async () => {
  const { status, output } = await project.cdktf('deploy', '--auto-approve');
  expect(output).toMatch('Apply complete! Resources: 2 added, 0 changed, 0 destroyed');
  expect(output).toMatch('null_resource.hook (local-exec): node 42');
  expect(status).toBe(0);
}, 180_000);

test('Terraform accepted our hashes, and filled in that of the third provider', () => {
  expect(lock().addresses).toEqual([
    'registry.terraform.io/hashicorp/null',
    'terraform.local/acme/other',
    'terraform.local/xenrepl/xenrepl',
  ]);
  for (const address of lock().addresses) {
    expect(lock().get(address)?.hashes).toEqual([expect.stringMatching(/^h1:/)]);
  }
});

test('a plan right after it has nothing to do', async () => {
  const { status, output } = await project.terraform('site', 'plan', '-detailed-exitcode', '-input=false');
  expect(output).toMatch('No changes. Your infrastructure matches the configuration');
  expect(status).toBe(0);
}, 60_000);

test('a second deploy changes neither lock file nor resources', async () => {
  const before = lock().toString();
  const { status, output } = await project.cdktf('deploy', '--auto-approve');
  expect(output).toMatch('No changes');
  expect(status).toBe(0);
  expect(lock().toString()).toBe(before);
}, 180_000);

test('destroy leaves an empty state', async () => {
  const { status, output } = await project.cdktf('destroy', '--auto-approve');
  expect(output).toMatch('Destroy complete! Resources: 2 destroyed');
  expect(status).toBe(0);
}, 180_000);

test('a site that reaches the registry again loses the stand-in at the next synth', async () => {
  project.write('app.js', app.replace("process.env.CONNECTED !== '1'", 'false'));
  const { status } = await project.cdktf('synth');
  expect(status).toBe(0);
  expect(existsSync(join(project.stackFolder('site'), 'terraform.d/plugins/registry.terraform.io'))).toBe(
    false,
  );
  expect(lock().get('registry.terraform.io/hashicorp/null')?.hashes).toEqual([]);
}, 60_000);
