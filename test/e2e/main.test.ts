/*
 * The app of this repository, which users copy: it imports the package by its name, so it needs the build.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const repository = resolve(__dirname, '..', '..');
let outdir: string;
beforeEach(() => {
  outdir = mkdtempSync(join(tmpdir(), 'main-'));
});
afterEach(() => rmSync(outdir, { recursive: true, force: true }));

interface Synthesized {
  resource: {
    xenrepl_job: { site: Record<string, unknown> };
    null_resource: { 'first-run': { triggers: Record<string, string> } };
  };
}

/** The Terraform JSON, as text, of the app with these settings. */
function synthesized(settings: Record<string, string>): string {
  const env = {
    PATH: process.env['PATH'],
    CDKTF_OUTDIR: outdir,
    TF_CLI_CONFIG_FILE: join(outdir, 'none'),
    ...settings,
  };
  execFileSync(process.execPath, ['dist/main.js'], { cwd: repository, env, stdio: 'pipe' });
  return readFileSync(join(outdir, 'stacks', 'xen-replication', 'cdk.tf.json'), 'utf8');
}

test('protects the VMs with a tag, every 15 minutes, and runs once', () => {
  const { resource } = JSON.parse(synthesized({})) as Synthesized;
  expect(resource.xenrepl_job.site).toMatchObject({
    name: 'site',
    source_pool: 'source',
    target_pool: 'target',
    target_sr: 'Local storage',
    vm_tags: ['protect'],
    schedule: { every: '15m' },
    retention: { latest: 3 },
  });
  expect(resource.null_resource['first-run'].triggers['trigger']).toBe('1');
});

test('takes every name from the environment', () => {
  const { resource } = JSON.parse(
    synthesized({
      XENREPL_JOB_NAME: 'web',
      XENREPL_SOURCE_POOL: 'berlin',
      XENREPL_TARGET_POOL: 'munich',
      XENREPL_TARGET_SR: 'nas',
      XENREPL_VM_TAG: '',
      XENREPL_VM_UUIDS: '6b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10,7b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10',
      XENREPL_NETWORK_MAP: '{"LAN = Berlin, old": "LAN Munich"}',
      XENREPL_RUN_TRIGGER: '2',
    }),
  ) as Synthesized;
  expect(resource.xenrepl_job.site).toMatchObject({
    name: 'web',
    source_pool: 'berlin',
    target_pool: 'munich',
    target_sr: 'nas',
    vm_uuids: ['6b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10', '7b1c0f7e-0f4e-4a43-9ac1-2c7f3c1f9d10'],
    network_map: { 'LAN = Berlin, old': 'LAN Munich' },
  });
  expect(resource.xenrepl_job.site).not.toHaveProperty('vm_tags');
  expect(resource.null_resource['first-run'].triggers['trigger']).toBe('2');
});

test('synthesizes to the same text on every machine: no path of this one is in it', () => {
  const text = synthesized({ XENREPL_AIR_GAPPED: 'true' });
  for (const path of [repository, outdir, homedir(), tmpdir(), process.execPath])
    expect(text).not.toContain(path);
});
