import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  holdsNullStandIn,
  installPackage,
  nullPackage,
  packageFolder,
  packageHash,
  providerLauncher,
  removeProvider,
  xenreplPackage,
} from '../../lib/delivery';

const bundle = Buffer.from('/* provider */');
const ours = xenreplPackage('0.1.0', 'linux_amd64', bundle);
const nullAddress = 'registry.terraform.io/hashicorp/null';
let mirror: string;
beforeEach(() => {
  mirror = mkdtempSync(join(tmpdir(), 'mirror-'));
});
afterEach(() => rmSync(mirror, { recursive: true, force: true }));

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

test('places launcher and bundle where Terraform looks for them', () => {
  const hash = installPackage(mirror, ours);
  const folder = 'terraform.local/xenrepl/xenrepl/0.1.0/linux_amd64';
  expect(filesBelow(mirror)).toEqual([
    `${folder}/node-version.cjs`,
    `${folder}/provider.cjs`,
    `${folder}/terraform-provider-xenrepl_v0.1.0`,
  ]);
  expect(readFileSync(join(mirror, folder, 'terraform-provider-xenrepl_v0.1.0'), 'utf8')).toBe(
    providerLauncher(),
  );
  expect(hash).toBe(packageHash(ours.files));
});

test('the launcher may be executed', () => {
  installPackage(mirror, ours);
  const launcher = join(packageFolder(mirror, ours), 'terraform-provider-xenrepl_v0.1.0');
  expect(statSync(launcher).mode & 0o777).toBe(0o755);
});

test('writes nothing where the same stands already, so that a running provider is not disturbed', () => {
  installPackage(mirror, ours);
  const file = join(packageFolder(mirror, ours), 'provider.cjs');
  const before = statSync(file);
  installPackage(mirror, ours);
  expect(statSync(file).ino).toBe(before.ino);
  expect(statSync(file).mtimeMs).toBe(before.mtimeMs);
});

test('replaces other content, as a new file, and clears away what would count into the hash', () => {
  installPackage(mirror, ours);
  const folder = packageFolder(mirror, ours);
  const before = statSync(join(folder, 'provider.cjs')).ino;
  writeFileSync(join(folder, 'provider.cjs.4711.new'), 'left by a synth that was killed');
  installPackage(mirror, xenreplPackage('0.1.0', 'linux_amd64', Buffer.from('/* next */')));
  expect(readFileSync(join(folder, 'provider.cjs'), 'utf8')).toBe('/* next */');
  expect(statSync(join(folder, 'provider.cjs')).ino).not.toBe(before);
  expect(readdirSync(folder)).toHaveLength(3);
});

describe('the stand-in for null resources', () => {
  const standIn = nullPackage(nullAddress, '3.2.4', 'linux_arm64', bundle);

  test('is named as the official archive names it, and serves null resources', () => {
    installPackage(mirror, standIn);
    const launcher = `${nullAddress}/3.2.4/linux_arm64/terraform-provider-null_v3.2.4_x5`;
    expect(readFileSync(join(mirror, launcher), 'utf8')).toBe(providerLauncher(['--serve', 'null']));
  });

  test('is known again, and removed with the folders that are empty then', () => {
    installPackage(mirror, ours);
    installPackage(mirror, standIn);
    expect(holdsNullStandIn(mirror, nullAddress)).toBe(true);
    removeProvider(mirror, nullAddress);
    expect(holdsNullStandIn(mirror, nullAddress)).toBe(false);
    expect(readdirSync(mirror)).toEqual(['terraform.local']);
  });

  test('is not taken for the official provider that somebody mirrored there', () => {
    const folder = join(mirror, nullAddress, '3.2.4', 'linux_amd64');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'terraform-provider-null_v3.2.4_x5'), 'ELF');
    expect(holdsNullStandIn(mirror, nullAddress)).toBe(false);
  });

  test('its removal leaves neighbours', () => {
    installPackage(mirror, standIn);
    mkdirSync(join(mirror, 'registry.terraform.io/hashicorp/random'), { recursive: true });
    removeProvider(mirror, nullAddress);
    expect(readdirSync(join(mirror, 'registry.terraform.io/hashicorp'))).toEqual(['random']);
  });
});
