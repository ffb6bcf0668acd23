import { installPackage, terraformPlatform, xenreplPackage, nullPackage } from '../../../lib/delivery';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startSimulator } from '../../../lib/simulator';
import type { SimulatedPool, Simulator, SimulatorSpec } from '../../../lib/simulator';
import type { Bundle } from '../plugin/bundle';
import type { Workspace } from './workspace';

export const password = 'correct horse battery staple';
export const version = '0.1.0';
const mebibyte = 1024 * 1024;

const spec: SimulatorSpec = {
  seed: 7,
  pools: [
    {
      name: 'paris',
      password,
      hosts: [{ name: 'paris-1' }, { name: 'paris-2' }],
      srs: [{ name: 'local', type: 'ext', sizeBytes: 1024 * mebibyte }],
      networks: [{ name: 'LAN Paris' }],
      vms: [
        { name: 'web', tags: ['dr'], disks: [{ device: 0, sizeBytes: 8 * mebibyte, sr: 'local' }], vifs: [] },
      ],
    },
    {
      name: 'munich',
      password,
      wrongPasswordDelayMs: 0,
      users: [{ name: 'reader', password, role: 'read-only' }],
      hosts: [{ name: 'munich-1' }],
      srs: [{ name: 'nas', type: 'nfs', sizeBytes: 1024 * mebibyte }],
      networks: [{ name: 'LAN Munich' }],
      vms: [],
    },
  ],
};

/** Two simulated pools over HTTPS with self-signed certificates, Paris and Munich. */
export function startSite(): Promise<Simulator> {
  return startSimulator(spec);
}

/** How a pool is entered in a pools file: the pins of all its hosts, and a password in the clear, for tests to look for. */
export function poolEntry(
  { name, url, hosts, username }: SimulatedPool,
  change: Readonly<Record<string, string>> = {},
): string {
  const entry = {
    url,
    username,
    password,
    fingerprints: hosts.map(({ fingerprint }) => fingerprint),
    ...change,
  };
  return `  ${name}: ${JSON.stringify(entry)}\n`;
}

/** Puts the provider, and its stand-in for hashicorp/null, where terraform finds them without being told. */
export function install(workspace: Workspace, bundle: Bundle): void {
  const mirror = join(workspace.folder, 'terraform.d', 'plugins');
  const platform = terraformPlatform(process.platform, process.arch);
  const content = readFileSync(bundle.file);
  installPackage(mirror, xenreplPackage(version, platform, content));
  installPackage(mirror, nullPackage('registry.terraform.io/hashicorp/null', '3.2.4', platform, content));
}
