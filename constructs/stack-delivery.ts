import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  LockFile,
  holdsNullStandIn,
  installPackage,
  mirrorFolderName,
  nullPackage,
  providerAddress,
  removeProvider,
  terraformPlatform,
  writeIfDifferent,
  xenreplPackage,
} from '../lib/delivery';

/** Where the CLI lies in the stack folder, which is the working directory of Terraform and of every provisioner. */
export const cliInStack = './xenrepl/xenrepl.cjs';

/** Address and version of the provider that an air-gapped stack gets a stand-in for. */
export const nullProviderAddress = 'registry.terraform.io/hashicorp/null';

/** One entry of `required_providers`. */
export interface RequiredProvider {
  readonly source: string;
  readonly version?: string;
}

/** What one stack needs beside its configuration. */
export interface StackDelivery {
  /** The stack's folder below cdktf.out, where `cdk.tf.json` will stand. */
  readonly stackFolder: string;
  /** Holds `provider.cjs` and `xenrepl.cjs`. */
  readonly bundleFolder: string;
  /** Version of our provider, as the stack requires it. */
  readonly version: string;
  /** Node's name of the system and architecture Terraform will run on. */
  readonly system: string;
  readonly architecture: string;
  readonly airGapped: boolean;
  readonly requiredProviders: readonly RequiredProvider[];
}

/**
 * Writes what `terraform init` needs to find our provider without asking anybody: the provider in a mirror folder, the
 * CLI that provisioners run, and lock entries. Answers warnings for what it could not arrange.
 *
 * Writing the same delivery twice changes nothing, so that a synth never disturbs a running apply.
 */
export function deliver(delivery: StackDelivery): string[] {
  const { stackFolder, bundleFolder, version } = delivery;
  const platform = terraformPlatform(delivery.system, delivery.architecture);
  const mirror = join(stackFolder, mirrorFolderName);
  const bundle = readFileSync(join(bundleFolder, 'provider.cjs'));
  writeIfDifferent(join(stackFolder, cliInStack), readFileSync(join(bundleFolder, 'xenrepl.cjs')));

  const lockFile = join(stackFolder, '.terraform.lock.hcl');
  const before = new LockFile(existsSync(lockFile) ? readFileSync(lockFile, 'utf8') : '');
  let lock = withOwn(
    before,
    providerAddress,
    version,
    installPackage(mirror, xenreplPackage(version, platform, bundle)),
  );

  if (delivery.airGapped) {
    const nullVersion = nullVersionOf(delivery.requiredProviders);
    const standIn = nullPackage(nullProviderAddress, nullVersion, platform, bundle);
    removeOtherVersions(mirror, nullVersion);
    lock = withOwn(lock, nullProviderAddress, nullVersion, installPackage(mirror, standIn));
  } else if (holdsNullStandIn(mirror, nullProviderAddress)) {
    // The official provider has another hash: with the stand-in's entry left over, init would refuse it for good.
    removeProvider(mirror, nullProviderAddress);
    lock = lock.without(nullProviderAddress);
  }

  const others = delivery.requiredProviders.filter(
    ({ source }) =>
      ![providerAddress, ...(delivery.airGapped ? [nullProviderAddress] : [])].includes(fullAddress(source)),
  );
  const warnings = others.flatMap((required) => {
    const [locked, warning] = withOther(lock, required);
    lock = locked;
    return warning === undefined ? [] : [warning];
  });
  if (lock.toString() !== before.toString()) writeFileSync(lockFile, lock.toString());
  return warnings;
}

/** Full source address of a provider: Terraform lets the host, and for HashiCorp's own the namespace, be left out. */
export function fullAddress(source: string): string {
  const parts = source.toLowerCase().split('/');
  return [...['registry.terraform.io', 'hashicorp'].slice(0, 3 - parts.length), ...parts].join('/');
}

/** The entry of a provider whose folder we have just written: its hash is the only true one. */
function withOwn(lock: LockFile, address: string, version: string, hash: string): LockFile {
  const entry = lock.get(address);
  if (entry?.version === version && entry.constraints === version && entry.hashes.includes(hash)) return lock;
  return lock.with(address, { version, constraints: version, hashes: [hash] });
}

/**
 * The entry of somebody else's provider. cdktf runs `terraform providers lock` as soon as one required provider has no
 * matching entry, and that command asks every provider's registry, ours too, whose host is made up. An entry without
 * hashes keeps cdktf from it; `terraform init` then verifies the provider as always and fills the hashes in.
 */
function withOther(lock: LockFile, { source, version }: RequiredProvider): [LockFile, string?] {
  const address = fullAddress(source);
  if (address.startsWith('terraform.io/builtin/')) return [lock];
  const entry = lock.get(address);
  const exact = /^=?\s*(\d+\.\d+\.\d+(?:-[\w.-]+)?)$/.exec(version?.trim() ?? '')?.[1];
  if (exact !== undefined) {
    if (entry?.version === exact) return [lock];
    return [lock.with(address, { version: exact, constraints: exact, hashes: [] })];
  }
  if (entry !== undefined && version !== undefined && sameConstraints(entry.constraints, version))
    return [lock];
  return [
    lock,
    `The provider ${address} is required ${version === undefined ? 'in any version' : `as "${version}"`}, not in an exact ` +
      'version, and is not locked yet: the first deploy would fail with "Could not retrieve providers for locking", ' +
      'because cdktf then asks every registry, also for the provider that this stack delivers itself. ' +
      'Set CDKTF_SKIP_PROVIDER_LOCK=true, or require an exact version',
  ];
}

function sameConstraints(left: string, right: string): boolean {
  return left.replaceAll(/\s/g, '') === right.replaceAll(/\s/g, '');
}

/** Version the stack requires of the null provider; the one of @cdktf/provider-null 11 where it requires none. */
function nullVersionOf(required: readonly RequiredProvider[]): string {
  const found = required.find(({ source }) => fullAddress(source) === nullProviderAddress);
  const version = found?.version ?? '3.2.4';
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(
      `airGapped needs an exact version of hashicorp/null, not "${version}": its stand-in is delivered as one version`,
    );
  }
  return version;
}

/** A stand-in of an older synth would offer itself beside the new one. */
function removeOtherVersions(mirror: string, version: string): void {
  const folder = join(mirror, ...nullProviderAddress.split('/'));
  if (existsSync(folder) && !existsSync(join(folder, version))) removeProvider(mirror, nullProviderAddress);
}
