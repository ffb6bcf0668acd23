import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { providerLauncher, versionCheck, versionCheckName } from './launcher';
import { packageHash } from './package-hash';
import type { PackageFiles } from './package-hash';

/** Full source address of our provider. The host is made up: nothing is ever asked of it. */
export const providerAddress = 'terraform.local/xenrepl/xenrepl';

/** Where Terraform looks for providers beside a configuration, without any setting. */
export const mirrorFolderName = join('terraform.d', 'plugins');

/** One provider to place in a mirror folder, for one platform. */
export interface ProviderPackage {
  /** Full source address: host/namespace/type. */
  readonly address: string;
  readonly version: string;
  /** Terraform's platform name, from `terraformPlatform`. */
  readonly platform: string;
  readonly files: PackageFiles;
}

/** The package of our own provider. `providerBundle` is the content of `provider.cjs`. */
export function xenreplPackage(
  version: string,
  platform: string,
  providerBundle: Uint8Array,
): ProviderPackage {
  return {
    address: providerAddress,
    version,
    platform,
    files: packageFiles(`terraform-provider-xenrepl_v${version}`, providerBundle),
  };
}

/**
 * A stand-in for a provider of null resources, served by the same bundle. The executable is named as the official
 * archive names it, so that a look into the folder tells what it stands for.
 */
export function nullPackage(
  address: string,
  version: string,
  platform: string,
  providerBundle: Uint8Array,
): ProviderPackage {
  const executable = `terraform-provider-${basename(address)}_v${version}_x5`;
  return { address, version, platform, files: packageFiles(executable, providerBundle, ['--serve', 'null']) };
}

/** The folder of a package below a mirror folder. */
export function packageFolder(
  mirror: string,
  { address, version, platform }: Omit<ProviderPackage, 'files'>,
): string {
  return join(mirror, ...address.split('/'), version, platform);
}

/**
 * Puts a provider package into a mirror folder and answers its lock hash. What is already there with the same content
 * is left alone; other files in the package folder are removed, since they would count into the hash.
 */
export function installPackage(mirror: string, provider: ProviderPackage): string {
  const folder = packageFolder(mirror, provider);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (!provider.files.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  for (const [name, content] of provider.files) writeIfDifferent(join(folder, name), content);
  return packageHash(provider.files);
}

/** Removes a provider with all its versions from a mirror folder, and the folders that are empty then. */
export function removeProvider(mirror: string, address: string): void {
  rmSync(join(mirror, ...address.split('/')), { recursive: true, force: true });
  for (
    let folder = dirname(join(mirror, ...address.split('/')));
    folder !== mirror;
    folder = dirname(folder)
  ) {
    if (!existsSync(folder)) continue;
    if (readdirSync(folder).length > 0) return;
    rmSync(folder, { recursive: true });
  }
}

/** Does the mirror folder hold a null stand-in of ours for this address? A real provider put there by hand is not ours. */
export function holdsNullStandIn(mirror: string, address: string): boolean {
  const versions = foldersIn(join(mirror, ...address.split('/')));
  const platforms = versions.flatMap((version) => foldersIn(version));
  return platforms.some((folder) => existsSync(join(folder, 'provider.cjs')));
}

/**
 * Writes an executable file unless it stands there with the same content. A reader never sees half a file: Terraform of
 * another terminal may be starting the provider at this moment.
 */
export function writeIfDifferent(file: string, content: Uint8Array): void {
  if (existsSync(file) && Buffer.compare(readFileSync(file), content) === 0) {
    chmodSync(file, 0o755);
    return;
  }
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${file}.${String(process.pid)}.new`;
  writeFileSync(unfinished, content);
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, file);
}

function packageFiles(
  executable: string,
  providerBundle: Uint8Array,
  serveArguments: readonly string[] = [],
): PackageFiles {
  return new Map([
    [executable, Buffer.from(providerLauncher(serveArguments))],
    [versionCheckName, Buffer.from(versionCheck)],
    ['provider.cjs', providerBundle],
  ]);
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}
